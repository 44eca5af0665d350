"""The kit for models that were trained elsewhere takes each form, and runs no code unasked."""

import importlib
import json
import pickle
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from harness import ServeProcess
from jobs import files, train
from project import TOP, assemble
from sagemaker_runtime.errors import ExitCode, ModelError

KIT = TOP / "examples/pretrained/pretrained_model"
ONNX = Path(__file__).parent / "onnx"
RNG = np.random.default_rng(7)
NUMBERS = {name: RNG.normal(size=300) for name in ("a", "b", "c")}
X = np.column_stack(list(NUMBERS.values()))
AMOUNT = X[:, 0] * 3 + X[:, 1] ** 2
SIDE = np.where(X[:, 0] > 0, "right", "left")
PEOPLE = {
    "age": np.array([8.0, 12, 30, 45] * 5),
    "country": np.array(["NA", "DE", "DE", ""] * 5, object),
}
ADULT = np.array(["no", "no", "yes", "yes"] * 5)


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The kit under another name, as a user has it who renamed the folder, without its model."""
    ignore = shutil.ignore_patterns("model.*", "__pycache__")
    shutil.copytree(KIT, tmp_path / "program/adults", ignore=ignore)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "program"), *sys.path])
    before = set(sys.modules)
    yield importlib.import_module("adults")
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


class Archive:
    """A model that went through the kit."""

    def __init__(self, kit: ModuleType, folder: Path, **said: Any) -> None:
        self.folder, kit_says = folder / "archive", replace(kit.KIT, **said)
        self.folder.mkdir()
        kit_says.publish(kit.HERE, self.folder)
        self.model = kit_says.load(self.folder)


def test_a_renamed_kit_trains_and_serves(tmp_path):
    """
    1. The kit is copied under another name; train puts its model.onnx into the archive.
    2. serve is asked with example.csv and with JSON.
    Result: one number per row.
    """
    program = assemble(tmp_path / "program", KIT)
    (program / KIT.name).rename(program / "bikes")
    done = train(program, tmp_path / "ml")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "ml/model") == ["model.onnx", "openapi.json"]
    with ServeProcess(program, root=tmp_path / "ml") as serve:
        serve.wait_for_ping(60)
        body = (KIT / "example.csv").read_bytes()
        answer = serve.call("/invocations", body, headers={"Content-Type": "text/csv"})
        assert answer.status == 200, answer.body
        record = json.dumps({"temperature": 15, "humidity": 52, "hour": 6})
        other = serve.call("/invocations", record, headers={"Content-Type": "application/json"})
        assert other.json["predictions"] == pytest.approx([float(answer.body)])


@pytest.mark.parametrize("shape", ["dicts", "arrays", "columns"])
def test_an_onnx_classifier_gives_label_and_probabilities(kit, tmp_path, shape):
    """Whether its probabilities are dicts or an array, and whether columns are inputs by name."""
    shutil.copyfile(ONNX / f"{shape}.onnx", tmp_path / "model.onnx")
    people = {"age": PEOPLE["age"], "country": np.array(["NA", "DE"] * 10, object)}
    columns = people if shape == "columns" else {"age": people["age"]}
    answer = kit.load(tmp_path)(columns)
    names = ["0", "1"] if shape == "arrays" else ["no", "yes"]
    assert list(answer) == ["label", *(f"probability_{name}" for name in names)]
    assert answer["label"].tolist() == ADULT.tolist()
    both = answer[f"probability_{names[0]}"] + answer[f"probability_{names[1]}"]
    np.testing.assert_allclose(both, 1, rtol=1e-5)


def test_lightgbm_text_becomes_trees(kit, tmp_path):
    """The same numbers as LightGBM's own, without LightGBM."""
    booster = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(X, AMOUNT).booster_
    booster.save_model(kit.HERE.joinpath("model.txt"))
    archive = Archive(kit, tmp_path)
    assert files(archive.folder) == ["model.npz"]
    np.testing.assert_allclose(archive.model(NUMBERS), booster.predict(X), rtol=1e-12)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_xgboosts_files_become_trees(kit, tmp_path, suffix):
    """A classifier without names has the numbers of its classes as labels."""
    xgboost = pytest.importorskip("xgboost")
    classes = (SIDE == "right").astype(int)
    model = xgboost.XGBClassifier(n_estimators=5).fit(X, classes)
    model.save_model(kit.HERE.joinpath(f"model.{suffix}"))
    archive = Archive(kit, tmp_path)
    assert files(archive.folder) == ["model.npz"]
    answer = archive.model(NUMBERS)
    assert answer["label"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(answer["probability_1"], model.predict_proba(X)[:, 1], rtol=1e-5)


def test_the_package_names_the_classes_of_a_booster(kit, tmp_path):
    """CLASSES stands for what LightGBM's file does not say."""
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, SIDE)
    model.booster_.save_model(kit.HERE / "model.txt")
    answer = Archive(kit, tmp_path, classes=("left", "right")).model(NUMBERS)
    assert answer["label"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(answer["probability_left"], model.predict_proba(X)[:, 0], rtol=1e-12)


@pytest.mark.parametrize("suffix", ["pkl", "pickle", "joblib", "skops"])
def test_an_estimator_of_trees_becomes_arrays(kit, tmp_path, suffix):
    """However it was saved, the archive holds arrays, and classes and columns keep their names."""
    frame = pd.DataFrame({"c": NUMBERS["c"], "a": NUMBERS["a"], "b": NUMBERS["b"]})
    model = RandomForestClassifier(5, random_state=7).fit(frame, SIDE)
    file = kit.HERE.joinpath(f"model.{suffix}")
    if suffix == "skops":
        skops.io.dump(model, file)
    elif suffix == "joblib":
        joblib.dump(model, file)
    else:
        file.write_bytes(pickle.dumps(model))
    archive = Archive(kit, tmp_path, trust_pickle=True)
    assert files(archive.folder) == ["columns.json", "model.npz"]
    answer = archive.model(NUMBERS)
    assert answer["label"].tolist() == model.predict(frame).tolist()
    probabilities = np.column_stack([answer["probability_left"], answer["probability_right"]])
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), atol=1e-12)


def test_a_pickled_pipeline_becomes_skops(kit, tmp_path):
    """One that was fitted on a DataFrame is given one, where gaps in texts are NaN."""
    people = pd.DataFrame(PEOPLE).replace("", np.nan)
    features = make_column_transformer((OneHotEncoder(), ["country"]), (SimpleImputer(), ["age"]))
    model = make_pipeline(features, LogisticRegression(max_iter=1000)).fit(people, ADULT)
    joblib.dump(model, kit.HERE.joinpath("model.joblib"))
    archive = Archive(kit, tmp_path, trust_pickle=True)
    assert files(archive.folder) == ["model.skops"]
    assert archive.model(PEOPLE)["label"].tolist() == ADULT.tolist()


def test_a_pickle_that_cannot_be_converted_stays_in_the_image(kit, tmp_path):
    """The archive only says which file it is, and another one in the image is refused."""
    package = kit.HERE
    (package / "squares.py").write_text("def square(x):\n    return x ** 2\n")
    sys.path.insert(0, str(package))
    square = importlib.import_module("squares").square
    sys.path.remove(str(package))
    model = make_pipeline(FunctionTransformer(square), LogisticRegression()).fit(X, SIDE)
    joblib.dump(model, package / "model.joblib")
    archive = Archive(kit, tmp_path, trust_pickle=True)
    assert files(archive.folder) == ["pickle-in-image.json"]
    assert archive.model(NUMBERS)["label"].tolist() == model.predict(X).tolist()
    joblib.dump(LogisticRegression(), package / "model.joblib")
    with pytest.raises(ModelError, match=r"for another model.joblib than the image holds"):
        replace(kit.KIT, trust_pickle=True).load(archive.folder)


class Bomb:
    """What is unpickled runs code: this leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_a_pickle_is_loaded_only_when_the_package_says_so(kit, tmp_path):
    """Without TRUST_PICKLE, from a channel or an archive, none of its code runs."""
    mark, package = tmp_path / "mark", kit.HERE
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (package, elsewhere):
        (folder / "model.pkl").write_bytes(pickle.dumps(Bomb(mark)))
    target, trusting = tmp_path / "target", replace(kit.KIT, trust_pickle=True)
    target.mkdir()
    with pytest.raises(ModelError, match=r"TRUST_PICKLE = True in adults/__init__.py"):
        kit.KIT.publish(package, target)
    with pytest.raises(ModelError, match=r"channel 'elsewhere' holds model.pkl; a pickle is taken"):
        trusting.publish(elsewhere, target)
    with pytest.raises(ModelError, match=r"the archive holds model.pkl; a pickle is taken"):
        trusting.load(elsewhere)
    assert not mark.exists()
    assert kit.TRUST_PICKLE is False


def test_a_job_says_that_a_pickle_is_not_trusted(tmp_path):
    """The failure is the reason and the remedy."""
    program = assemble(tmp_path / "program", KIT)
    (program / KIT.name / "model.onnx").unlink()
    joblib.dump(GradientBoostingRegressor(), program / KIT.name / "model.joblib")
    done = train(program, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_MODEL
    failure = (tmp_path / "ml/output/failure").read_text()
    assert "write TRUST_PICKLE = True in pretrained_model/__init__.py" in failure


def test_types_of_a_skops_file_must_be_trusted(kit, tmp_path):
    """Those that skops does not take are named, and pass once they stand in TRUST_TYPES."""
    skops.io.dump(KNeighborsClassifier().fit(X, SIDE), tmp_path / "model.skops")
    unknown = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert unknown
    with pytest.raises(ModelError, match=r"holds the types .*KDTree.*TRUST_TYPES"):
        kit.load(tmp_path)
    assert replace(kit.KIT, trust_types=unknown).load(tmp_path)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "holds 0 models; there is: nothing"),
        (["model.onnx", "model.txt"], "holds 2 models; there is: model.onnx, model.txt"),
        (["my-model.onnx"], "holds 0 models; there is: my-model.onnx. Expected one file called m"),
        (["model.onnx"], "onnxruntime cannot read model.onnx"),
        (["model.txt"], "model.txt cannot be scored"),
        (["model.npz"], "model.npz is damaged"),
    ],
)
def test_an_archive_that_cannot_be_served_is_told(kit, tmp_path, names, reason):
    """What is there, what is expected."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"damaged")
    with pytest.raises(ModelError, match=reason):
        kit.load(folder)


def test_columns_have_the_kinds_that_the_example_shows(kit, tmp_path):
    """An empty field anywhere makes a column optional; a code with a leading zero is a text."""
    example = tmp_path / "example.csv"
    example.write_text(
        "amount,code,day,member,series,name,rank\n"
        '1.5,01067,2024-02-25,True,"[1, 2]",Ann,\n'
        ",10115,2024-02-25 12:00,False,[],Bob,3\n"
    )
    columns = [(c.name, c.kind, c.optional) for c in kit.columns_of(example)]
    assert columns == [
        ("amount", "number", True),
        ("code", "text", False),
        ("day", "timestamp", False),
        ("member", "boolean", False),
        ("series", "numbers", False),
        ("name", "text", False),
        ("rank", "number", True),
    ]
