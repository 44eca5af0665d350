"""The fare model as a caller meets it: its files, the business rules, how far off it is."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression

import taxi_fare
from project import TOP
from sagemaker_runtime.engines.trees import Trees
from sagemaker_runtime.errors import InvalidValue, ModelError
from sagemaker_runtime.formats.values import examples
from taxi_fare import artifact, features, geography, prediction, simulation, training
from taxi_fare.cleaning import clean
from taxi_fare.estimator import fit, make_estimator, pull_outliers
from taxi_fare.hyperparameters import HYPERPARAMETERS
from taxi_fare.tariff import FLAG_FALL

REAL = TOP.parent / "shared/data/nyc_taxi/train.csv.gz"
SMALL = {
    "estimator": "scikit-learn",
    "rounds": 20,
    "leaves": 15,
    "learning_rate": 0.2,
    "min_leaf": 20,
    "l2": 1.0,
    "seed": 0,
}


@pytest.fixture
def told(monkeypatch):
    """How many rows the server was told of, by rule."""
    counted = Counter()
    monkeypatch.setattr(
        prediction, "count_repaired", lambda rule, rows: counted.update({rule: rows})
    )
    return counted


@pytest.fixture(scope="module")
def trips():
    """Simulated trips without bad rows."""
    return clean([simulation.simulate(3_000, seed=5)])[0]


def save(folder, estimator):
    artifact.save(folder, artifact.to_serve(estimator, 8.1), estimator, {})


@pytest.fixture(scope="module")
def folder(trips, tmp_path_factory):
    """A folder with the files of a small model."""
    folder = tmp_path_factory.mktemp("model")
    estimator = make_estimator(**SMALL).fit(features.build(trips), trips["fare_amount"])
    save(folder, estimator)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return taxi_fare.load(folder)


def trip(**values):
    """One good trip, some of its values replaced."""
    columns = examples(taxi_fare.INPUT)
    return columns | {name: np.array([value], "float64") for name, value in values.items()}


def test_a_fare_is_in_cents_and_never_below_the_flag_fall(model, trips):
    """Whatever the trip, the fare is one that a meter could show."""
    fares = taxi_fare.predict(model, trips)
    assert (fares >= FLAG_FALL).all()
    np.testing.assert_array_equal(fares, np.round(fares, 2))
    low = artifact.Model(model.trees, typical_fare=0.01)
    assert taxi_fare.predict(low, trip(pickup_latitude=np.nan)).tolist() == [FLAG_FALL]


@pytest.mark.parametrize(
    "values",
    [
        {"pickup_latitude": np.nan},
        {"dropoff_longitude": 0.0},
        {"pickup_longitude": 0.0, "pickup_latitude": 0.0},
        {"dropoff_latitude": 51.5},
    ],
)
def test_a_trip_without_usable_coordinates_gets_the_typical_fare(model, values):
    """Such a row is answered, with the median fare."""
    assert taxi_fare.predict(model, trip(**values)).tolist() == [8.1]


def test_swapped_coordinates_are_put_right(model):
    """Latitude and longitude in each other's place give the fare of the trip meant."""
    swapped = trip(pickup_longitude=40.715937, pickup_latitude=-74.014833)
    assert taxi_fare.predict(model, swapped) == taxi_fare.predict(model, trip())


@pytest.mark.parametrize("rows", [1, 50])
@pytest.mark.parametrize("passengers", [np.nan, -1.0, 7.0, 208.0])
def test_impossible_passengers_count_as_the_usual_one(model, trips, passengers, rows):
    """What training repairs, requests are forgiven: the fare is that of one passenger."""
    some = {name: values[:rows] for name, values in trips.items()}
    odd, one = (some | {"passenger_count": np.full(rows, number)} for number in (passengers, 1.0))
    np.testing.assert_array_equal(taxi_fare.predict(model, odd), taxi_fare.predict(model, one))


@pytest.mark.parametrize("rows", [6, 50])
def test_the_report_counts_what_the_server_counts(model, trips, told, rows):
    """What repairs says of rows as they came is what predict tells the server, few rows or many."""
    some = {name: values[:rows].copy() for name, values in trips.items()}
    some["passenger_count"][:3] = (208, np.nan, 1)
    for end in ("pickup", "dropoff"):
        names = [f"{end}_{axis}itude" for axis in ("long", "lat")]
        for first, second in (names, names[::-1]):
            some[first][4] = trips[second][4]
    some["dropoff_latitude"][5] = np.nan
    taxi_fare.predict(model, some)
    found = {rule: int(rows.sum()) for rule, rows in taxi_fare.repairs(some).items()}
    assert found == told == {"passengers": 2, "coordinates": 1}


@pytest.mark.parametrize("rows", [2, 50])
@pytest.mark.parametrize(
    "when", ["2001-01-01T00:00:08", "2007-12-31T23:59:59", "2041-11-15T02:57:16"]
)
def test_a_time_that_training_drops_is_refused(model, trips, when, rows):
    """No model has learned from a recorder's wrong clock, so none is asked about it."""
    pickup = trips["pickup_datetime"][:rows].copy()
    pickup[1] = when
    some = {name: values[:rows] for name, values in trips.items()}
    with pytest.raises(InvalidValue, match=f"pickup_datetime is {when}; expected") as refused:
        taxi_fare.predict(model, some | {"pickup_datetime": pickup})
    assert (refused.value.row, refused.value.column) == (2, "pickup_datetime")


def test_one_row_and_many_give_the_same(model, trips):
    """A row's fare does not depend on the rows beside it."""
    many = taxi_fare.predict(model, trips)[:200]
    one_by_one = [
        taxi_fare.predict(model, {name: values[i : i + 1] for name, values in trips.items()})[0]
        for i in range(200)
    ]
    np.testing.assert_array_equal(many, one_by_one)


@pytest.mark.parametrize("missing", ["trees.npz", "metadata.json"])
def test_an_incomplete_archive_is_listed(folder, tmp_path, missing):
    """The message says what is there and what was expected."""
    for path in folder.iterdir():
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match=f"lacks {missing}; there is: estimator.skops, "):
        taxi_fare.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metadata.json", b"{", "metadata.json is damaged"),
        ("metadata.json", b'{"format": 1}', "metadata.json is damaged"),
        ("metadata.json", b"[" * 100_000, "metadata.json is damaged"),
        ("metadata.json", b" " * 2_000_000, "2,000,000 bytes; expected at most"),
        ("trees.npz", b"PK nonsense", "trees.npz is damaged"),
        ("trees.npz", b"", "trees.npz is damaged"),
    ],
)
def test_a_damaged_file_is_named(folder, tmp_path, name, content, words):
    """A file that cannot be read does not end in a traceback."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words):
        taxi_fare.load(tmp_path)


def test_files_of_two_models_are_told_apart(folder, tmp_path, trips):
    """Trees and metadata of different jobs are not served together."""
    forest = RandomForestRegressor(n_estimators=2, max_depth=3, random_state=0)
    save(tmp_path, forest.fit(features.build(trips), trips["fare_amount"]))
    (tmp_path / "metadata.json").write_bytes((folder / "metadata.json").read_bytes())
    with pytest.raises(ModelError, match="the files are of two models"):
        taxi_fare.load(tmp_path)


@pytest.mark.parametrize("name", ["typical_fare", "hyperparameters", "trees_sha256", "anything"])
def test_metadata_changed_after_training_is_refused(folder, tmp_path, name):
    """Every entry of metadata.json is covered by its hash, those that no one reads too."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))  # spaces are not entries
    assert taxi_fare.load(tmp_path).typical_fare == 8.1
    metadata[name] = 1e6
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match=r"was changed after training.*metadata_sha256"):
        taxi_fare.load(tmp_path)


@pytest.mark.parametrize("fare", [-1.0, 0.0, float("nan"), float("inf"), "8.1", None, True])
def test_a_typical_fare_that_is_not_dollars_is_refused(trips, tmp_path, fare):
    """Even where the hash is right: the message has the value."""
    estimator = make_estimator(**SMALL).fit(features.build(trips), trips["fare_amount"])
    artifact.save(tmp_path, artifact.to_serve(estimator, fare), estimator, {})
    with pytest.raises(ModelError, match=f"typical_fare in metadata.json is {fare!r}"):
        taxi_fare.load(tmp_path)


def test_trees_of_a_classifier_are_refused(folder, trips, tmp_path):
    """Their labels are not fares."""
    forest = RandomForestClassifier(n_estimators=2, max_depth=3, random_state=0)
    save(tmp_path, forest.fit(features.build(trips), trips["fare_amount"] > 10))
    with pytest.raises(ModelError, match="expected a fare from at most"):
        taxi_fare.load(tmp_path)


def test_a_model_of_other_features_is_refused(folder, tmp_path):
    """A model that other code trained is not fed with features it does not know."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    metadata["features"].append("moon_phase")
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match=r"moon_phase.*Train the model again"):
        taxi_fare.load(tmp_path)


def test_another_regressor_of_trees_is_served_alike(trips, tmp_path):
    """To exchange the estimator, nothing else needs to be changed."""
    matrix = features.build(trips)
    forest = RandomForestRegressor(n_estimators=5, max_depth=6, random_state=0)
    fit(forest, matrix, trips["fare_amount"], lambda rounds, model: True)
    save(tmp_path, forest)
    served = taxi_fare.load(tmp_path).trees.predict(matrix)
    np.testing.assert_allclose(served, forest.predict(matrix), rtol=0, atol=1e-6)


def test_a_regressor_without_trees_is_refused(trips, tmp_path):
    """The message says which ones can be served."""
    line = LinearRegression().fit(features.build(trips), trips["fare_amount"])
    with pytest.raises(ModelError, match=r"LinearRegression holds no trees.*RandomForestRegressor"):
        save(tmp_path, line)


@pytest.mark.parametrize("served", [8.1 + 1e-5, np.nan])
def test_a_saved_model_that_predicts_something_else_is_refused(served):
    """One row that differs by more than the tolerance, or is not a number, ends the job."""
    trained = np.full(3, 8.1)
    training._verify(trained + 1e-9, trained)
    with pytest.raises(ModelError, match="the saved model differs from the trained one"):
        training._verify(np.array([8.1, served, 8.1]), trained)


BOTH = pytest.mark.parametrize("library", ["scikit-learn", "lightgbm"])


@BOTH
def test_a_fit_can_be_watched_and_stopped(trips, library):
    """
    1. the trees so far are shown, by LightGBM after each round, by scikit-learn after each tenth
    of them 2. twelve rounds are there and it is asked to stop.

    Result: the estimator has twelve rounds, those of a fit that nobody watched.
    """
    matrix, errors, seen = features.build(trips), [], []

    def stop(rounds, model):
        seen.append(rounds)
        off = np.abs(Trees.from_estimator(model).predict(matrix) - trips["fare_amount"])
        errors.append(np.mean(off))
        return rounds == 12

    stopped = make_estimator(**SMALL | {"estimator": library})
    fit(stopped, matrix, trips["fare_amount"], stop)
    assert seen == list(range(1, 13) if library == "lightgbm" else range(2, 13, 2))
    assert errors == sorted(errors, reverse=True)
    short = make_estimator(**SMALL | {"estimator": library, "rounds": 12})
    short.fit(matrix, trips["fare_amount"])
    assert stopped.predict(matrix).tobytes() == short.predict(matrix).tobytes()


@BOTH
def test_the_estimator_comes_back_from_its_file(trips, tmp_path, library):
    """Loading estimator.skops gives what was fitted, with the parameters that were asked."""
    matrix = features.build(trips)
    estimator = make_estimator(**SMALL | {"estimator": library})
    asked = estimator.get_params()
    fit(estimator, matrix, trips["fare_amount"], lambda rounds, model: False)
    save(tmp_path, estimator)
    file = tmp_path / "estimator.skops"
    unknown = skops.io.get_untrusted_types(file=file)
    assert all(name.startswith((library[:7], "sklearn.", "collections.")) for name in unknown)
    loaded = skops.io.load(file, trusted=unknown)
    assert loaded.get_params() == asked
    assert loaded.predict(matrix).tobytes() == estimator.predict(matrix).tobytes()


def test_a_mistyped_fare_hardly_moves_the_model(trips):
    """With outliers pulled in, an absurd fare changes its neighbours' fares less than without."""
    matrix = features.build(trips)
    wrong = trips["fare_amount"].copy()
    wrong[::100] = 240.0
    fares = {
        name: make_estimator(**SMALL).fit(matrix, targets).predict(matrix)
        for name, targets in (
            ("right", trips["fare_amount"]),
            ("pulled", pull_outliers(matrix, wrong, estimator="scikit-learn", clip=8.0, seed=0)),
            ("plain", wrong),
        )
    }
    off = {name: np.abs(fares[name] - fares["right"]).mean() for name in ("pulled", "plain")}
    assert off["pulled"] < 0.6 * off["plain"]


def test_it_is_as_accurate_as_promised_on_real_trips():
    """
    Two folds of real trips, with half the rows to learn from, stay below RMSE 3.4 and MAE 1.51;
    half-years after the last row learned from below 3.55 and 1.70.
    """
    if not REAL.exists():
        pytest.skip(f"the real trips are not here: {REAL.name} beside the project")
    done = subprocess.run(
        [sys.executable, TOP / "benchmarks/accuracy.py", REAL, "--folds", "2", "--json"],
        capture_output=True,
        check=True,
    )
    results = json.loads(done.stdout)
    for name, bars in {"same time": (3.4, 1.51), "forward": (3.55, 1.70)}.items():
        rmse, mae = np.mean(results[name], axis=0)[:2]
        assert (rmse < bars[0], mae < bars[1]) == (True, True), (name, rmse, mae)


def test_the_defaults_make_an_estimator():
    """The table's names are those that the estimator takes, but for the two of training itself."""
    defaults = {p.name: p.default for p in HYPERPARAMETERS}
    del defaults["validation_fraction"], defaults["clip"]
    asked = make_estimator(**defaults).get_params()
    assert defaults["rounds"] in (asked.get("max_iter"), asked.get("n_estimators"))
    assert geography.usable(examples(taxi_fare.INPUT)).all()
