"""Trees predict what the estimator of each library does that they were taken from."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sagemaker_runtime.engines.trees import Trees

WIDTH = 5
ROWS = 300
# Relative to 1 + the value. XGBoost adds in single precision; the others in another order at most.
PRECISION = {"sklearn": 1e-12, "lightgbm": 1e-12, "xgboost": 2e-6}

Make = Callable[[int], tuple[Any, np.ndarray]]


def rows_of(seed: int, missing: float = 0.15) -> np.ndarray:
    """
    Return features on a coarse grid, so that thresholds lie between few values, some missing.
    """
    rng = np.random.default_rng(seed)
    features = rng.integers(-8, 8, size=(ROWS, WIDTH)) / 4
    features[:, 0] += rng.normal(size=ROWS)  # one that single precision cannot hold
    features[rng.random(features.shape) < missing] = np.nan
    return features


def borders(trees: Trees, features: np.ndarray, single: bool) -> np.ndarray:
    """
    Return rows whose values are thresholds of the trees, and the next numbers on either side.
    """
    rng = np.random.default_rng(0)
    kind = np.float32 if single else np.float64
    found = features[rng.integers(len(features), size=500)].copy()
    for column in range(trees.width):
        thresholds = trees.ensemble.number[trees.ensemble.feature == column]
        thresholds = thresholds[np.abs(thresholds) < 1e30].astype(kind)
        if thresholds.size:
            near = rng.choice(thresholds, size=len(found))
            towards = rng.choice([-np.inf, 0, np.inf], size=len(found)).astype(kind)
            moved = np.where(towards == 0, near, np.nextafter(near, towards))
            found[:, column] = np.where(np.isnan(found[:, column]), np.nan, moved)
    return found


def assert_same(estimator: Any, features: np.ndarray, exact: bool = True) -> Trees:
    """
    Assert that the estimator's trees predict what it does, also at thresholds.
    """
    library = type(estimator).__module__.partition(".")[0]
    trees = Trees.from_estimator(estimator)
    single = bool(trees.ensemble.single)
    # scikit-learn's thresholds are of double precision, and its features of single.
    rows = np.concatenate((features, borders(trees, features, single)))
    assert trees.ensemble.score(rows).tobytes() == trees.ensemble.walk(rows).tobytes()
    expected = estimator.predict(rows)
    predicted = trees.predict(rows)
    assert predicted.shape == expected.shape
    if not trees.classes:
        off = np.abs(predicted - expected) / (1 + np.abs(expected))
        assert off.max() <= PRECISION[library]
        return trees
    chances, wanted = trees.predict_proba(rows), estimator.predict_proba(rows)
    for chance, want in zip(chances, wanted, strict=True):
        np.testing.assert_allclose(chance, want, rtol=0, atol=PRECISION[library])
    if isinstance(wanted, list):
        sure = np.stack([np.ptp(np.sort(each)[:, -2:], axis=1) for each in wanted], axis=1) > 1e-5
    else:
        sure = np.abs(np.sort(np.atleast_2d(wanted))[:, -1] - 0.5) > 1e-5
        if predicted.ndim == 1 and wanted.shape[1] > 1:
            sure = np.ptp(np.sort(wanted)[:, -2:], axis=1) > 1e-5
    np.testing.assert_array_equal(predicted[sure], expected[sure])  # but for ties
    return trees


def target(features: np.ndarray, seed: int) -> np.ndarray:
    known = np.nan_to_num(features)
    return known[:, 0] * known[:, 1] + np.random.default_rng(seed).normal(size=len(features)) / 4


def three(y: np.ndarray) -> np.ndarray:
    return np.array(["low", "mid", "übr"])[np.digitize(y, [-0.5, 0.5])]


def two(y: np.ndarray) -> np.ndarray:
    return y > 0.1


def pair(y: np.ndarray) -> np.ndarray:
    return np.stack((y, 3 - y**2), axis=1)


def same(y: np.ndarray) -> np.ndarray:
    return y


def numbers(y: np.ndarray) -> np.ndarray:
    return np.digitize(y, [-0.5, 0.5])


def many(y: np.ndarray) -> np.ndarray:
    return np.digitize(y, np.quantile(y, np.arange(1, 25) / 25))


SK = {"n_estimators": 6, "random_state": 0}
HIST = {"max_iter": 12, "min_samples_leaf": 3, "random_state": 0}
LGB = {"n_estimators": 12, "min_child_samples": 3, "verbose": -1, "n_jobs": 1}
XGB = {"n_estimators": 8, "max_depth": 4, "random_state": 0, "n_jobs": 1}
RF = {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1}
VECTORS = {"multi_strategy": "multi_output_tree"}

# Estimator, parameters, target.
ESTIMATORS: list[tuple[Any, dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = [
    (tree.DecisionTreeRegressor, {"random_state": 0}, same),
    (tree.DecisionTreeRegressor, {"random_state": 0}, pair),
    (tree.DecisionTreeClassifier, {"max_depth": 3}, three),
    (tree.ExtraTreeClassifier, {"max_depth": 4}, two),
    (tree.ExtraTreeRegressor, {"max_depth": 4}, same),
    (ensemble.RandomForestRegressor, SK, same),
    (ensemble.RandomForestRegressor, SK | {"criterion": "absolute_error"}, pair),
    (ensemble.RandomForestClassifier, SK, two),
    (ensemble.RandomForestClassifier, SK | {"max_depth": 4}, many),
    (ensemble.RandomForestClassifier, SK, lambda y: np.stack((two(y), numbers(y)), axis=1)),
    (ensemble.RandomForestClassifier, SK, lambda y: np.zeros(len(y))),
    (ensemble.ExtraTreesRegressor, SK, same),
    (ensemble.ExtraTreesClassifier, SK, three),
    (ensemble.HistGradientBoostingRegressor, HIST, same),
    (ensemble.HistGradientBoostingRegressor, HIST | {"loss": "poisson"}, np.exp),
    (ensemble.HistGradientBoostingRegressor, HIST | {"loss": "gamma"}, np.exp),
    (ensemble.HistGradientBoostingRegressor, HIST | {"loss": "quantile", "quantile": 0.9}, same),
    (ensemble.HistGradientBoostingClassifier, HIST, two),
    (ensemble.HistGradientBoostingClassifier, HIST, three),
    (lightgbm.LGBMRegressor, LGB, same),
    (lightgbm.LGBMRegressor, LGB | {"reg_sqrt": True}, same),
    (lightgbm.LGBMRegressor, LGB | {"objective": "poisson"}, np.exp),
    (lightgbm.LGBMRegressor, LGB | {"objective": "gamma"}, np.exp),
    (lightgbm.LGBMRegressor, LGB | {"objective": "tweedie"}, np.exp),
    (lightgbm.LGBMRegressor, LGB | {"objective": "cross_entropy"}, two),
    (lightgbm.LGBMRegressor, LGB | {"objective": "cross_entropy_lambda"}, two),
    (lightgbm.LGBMRegressor, LGB | {"boosting_type": "dart"}, same),
    (lightgbm.LGBMRegressor, LGB | RF, same),
    (lightgbm.LGBMRegressor, LGB | {"use_missing": False}, same),
    (lightgbm.LGBMClassifier, LGB | {"sigmoid": 1.7}, two),
    (lightgbm.LGBMClassifier, LGB, three),
    (lightgbm.LGBMClassifier, LGB | {"objective": "multiclassova", "sigmoid": 2.0}, numbers),
    (lightgbm.LGBMClassifier, LGB | RF, three),
    (lightgbm.LGBMClassifier, LGB | {"n_estimators": 3}, many),
    (xgboost.XGBRegressor, XGB, same),
    (xgboost.XGBRegressor, XGB | {"base_score": 0.25}, same),
    (xgboost.XGBRegressor, XGB | {"objective": "count:poisson"}, np.exp),
    (xgboost.XGBRegressor, XGB | {"objective": "reg:gamma"}, np.exp),
    (xgboost.XGBRegressor, XGB | {"objective": "reg:tweedie"}, np.exp),
    (xgboost.XGBRegressor, XGB | {"objective": "reg:logistic"}, two),
    (xgboost.XGBRegressor, XGB | {"objective": "reg:absoluteerror"}, same),
    (
        xgboost.XGBRegressor,
        XGB | {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]},
        same,
    ),
    (xgboost.XGBRegressor, XGB | {"booster": "dart", "rate_drop": 0.5}, same),
    (xgboost.XGBRegressor, XGB | {"tree_method": "exact"}, same),
    (xgboost.XGBRegressor, XGB, pair),
    (xgboost.XGBRegressor, XGB | VECTORS, pair),
    (xgboost.XGBRFRegressor, XGB, same),
    (xgboost.XGBClassifier, XGB, two),
    (xgboost.XGBClassifier, XGB | {"objective": "binary:hinge"}, two),
    (xgboost.XGBClassifier, XGB, numbers),
    (xgboost.XGBClassifier, XGB | {"objective": "multi:softmax"}, numbers),
    (xgboost.XGBClassifier, XGB | VECTORS, numbers),
    (xgboost.XGBClassifier, XGB, many),
    (xgboost.XGBClassifier, XGB, lambda y: pair(y) > 1),
    (xgboost.XGBClassifier, XGB, lambda y: np.stack((y > 0, y > 1, y < 0), axis=1)),
    (xgboost.XGBRFClassifier, XGB, numbers),
]


def name_of(value: Any) -> str | None:
    return getattr(value, "__name__", None) if callable(value) else None


@pytest.mark.parametrize(("kind", "parameters", "aim"), ESTIMATORS, ids=name_of)
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_trees_predict_what_their_estimator_does(
    kind: Any, parameters: dict[str, Any], aim: Any, missing: float
) -> None:
    """Within its own precision, on thresholds and beside them, for values that it never missed."""
    features = rows_of(1, missing)
    y = aim(target(features, 1))
    if kind.__module__.startswith("xgboost"):
        y = y.astype(float)
    assert_same(kind(**parameters).fit(features, y), rows_of(2))


@pytest.mark.parametrize(
    ("kind", "parameters", "aim"),
    [
        (ensemble.GradientBoostingRegressor, SK, same),
        (ensemble.GradientBoostingRegressor, SK | {"loss": "huber"}, same),
        (ensemble.GradientBoostingRegressor, SK | {"init": "zero"}, same),
        (
            ensemble.GradientBoostingRegressor,
            {"n_estimators": 50, "n_iter_no_change": 1, "learning_rate": 1.0, "random_state": 0},
            same,
        ),
        (ensemble.GradientBoostingClassifier, SK, two),
        (ensemble.GradientBoostingClassifier, SK | {"loss": "exponential"}, two),
        (ensemble.GradientBoostingClassifier, SK, three),
        (ensemble.GradientBoostingClassifier, SK | {"init": DummyClassifier()}, three),
    ],
    ids=name_of,
)
def test_an_estimator_that_takes_no_missing_values_too(
    kind: Any, parameters: dict[str, Any], aim: Any
) -> None:
    """The same, with early stopping and other starting points."""
    features = rows_of(1, missing=0)
    assert_same(kind(**parameters).fit(features, aim(target(features, 1))), rows_of(2, missing=0))


GROWN = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "missing": st.sampled_from([0.0, 0.05, 0.6]),
        "rounds": st.integers(1, 30),
        "leaves": st.integers(2, 60),
        "aim": st.sampled_from([same, two, numbers]),
        "magnitude": st.sampled_from([1e-30, 1.0, 1e30]),
    }
)


@settings(max_examples=25, deadline=None)
@given(grown=GROWN, library=st.sampled_from(["sklearn", "forest", "lightgbm", "xgboost"]))
def test_models_made_at_random_are_the_same(grown: dict[str, Any], library: str) -> None:
    """Few rounds and many, few leaves and many, tiny features and huge ones, often missing."""
    rounds, leaves, seed = grown["rounds"], grown["leaves"], grown["seed"]
    makers = {
        "sklearn": (
            ensemble.HistGradientBoostingRegressor,
            ensemble.HistGradientBoostingClassifier,
            {"max_iter": rounds, "max_leaf_nodes": leaves, "min_samples_leaf": 1},
        ),
        "forest": (
            ensemble.RandomForestRegressor,
            ensemble.ExtraTreesClassifier,
            {"n_estimators": rounds, "max_leaf_nodes": leaves, "random_state": seed},
        ),
        "lightgbm": (
            lightgbm.LGBMRegressor,
            lightgbm.LGBMClassifier,
            {
                "n_estimators": rounds,
                "num_leaves": leaves,
                "min_child_samples": 1,
                "n_jobs": 1,
                "verbose": -1,
            },
        ),
        "xgboost": (
            xgboost.XGBRegressor,
            xgboost.XGBClassifier,
            {
                "n_estimators": rounds,
                "max_leaves": leaves,
                "grow_policy": "lossguide",
                "n_jobs": 1,
            },
        ),
    }
    regressor, classifier, parameters = makers[library]
    kind = regressor if grown["aim"] is same else classifier
    features = rows_of(seed, grown["missing"])
    y = grown["aim"](target(features, seed))
    assert_same(kind(**parameters).fit(features * grown["magnitude"], y), rows_of(seed + 1))


@pytest.mark.parametrize(
    "estimator",
    [
        ensemble.HistGradientBoostingRegressor(max_iter=1),
        ensemble.RandomForestRegressor(n_estimators=1),
        lightgbm.LGBMRegressor(n_estimators=2, verbose=-1),
        xgboost.XGBRegressor(n_estimators=1),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_tree_of_one_leaf_is_a_tree(estimator: Any) -> None:
    """A target that never varies gives trees without splits."""
    features = rows_of(1, missing=0)
    trees = Trees.from_estimator(estimator.fit(features, np.full(ROWS, 2.5)))
    assert trees.width == 0
    assert trees.predict(features) == pytest.approx(estimator.predict(features), abs=1e-7)


def test_early_stopping_keeps_the_best_round() -> None:
    """What LightGBM and XGBoost predict with is what the trees have."""
    features, later = rows_of(1), rows_of(3)
    y, checked = target(features, 1), target(later, 3)
    light = lightgbm.LGBMRegressor(**LGB | {"n_estimators": 200, "learning_rate": 0.5})
    light.fit(
        features,
        y,
        eval_X=later,
        eval_y=checked,
        callbacks=[lightgbm.early_stopping(2, verbose=False)],
    )
    extreme = xgboost.XGBRegressor(**XGB | {"n_estimators": 200}, early_stopping_rounds=2)
    extreme.fit(features, y, eval_set=[(later, checked)], verbose=False)
    assert len(assert_same(light, later).ensemble.sizes) == light.best_iteration_ < 200
    assert len(assert_same(extreme, later).ensemble.sizes) == extreme.best_iteration + 1 < 200


@pytest.mark.parametrize("aim", [same, two, numbers], ids=name_of)
def test_a_booster_and_its_file_predict_the_same(tmp_path: Path, aim: Any) -> None:
    """LightGBM's text, XGBoost's JSON and UBJSON: without labels, so probabilities."""
    features = rows_of(1)
    y = aim(target(features, 1))
    light = (lightgbm.LGBMRegressor if aim is same else lightgbm.LGBMClassifier)(**LGB)
    extreme = (xgboost.XGBRegressor if aim is same else xgboost.XGBClassifier)(**XGB)
    booster = light.fit(features, y).booster_
    booster.save_model(tmp_path / "model.txt")
    matrix = xgboost.DMatrix(features)
    other = extreme.fit(features, y).get_booster()
    other.save_model(tmp_path / "model.json")
    other.save_model(tmp_path / "model.ubj")
    cases = [
        (Trees.from_estimator(booster), booster.predict(features)),
        (Trees.from_file(tmp_path / "model.txt"), booster.predict(features)),
        (Trees.from_estimator(other), other.predict(matrix)),
        (Trees.from_file(tmp_path / "model.json"), other.predict(matrix)),
        (Trees.from_file(tmp_path / "model.ubj"), other.predict(matrix)),
    ]
    for trees, expected in cases:
        assert trees.classes == ()
        np.testing.assert_allclose(trees.predict(features), expected, rtol=2e-6, atol=1e-6)


def categories() -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(0).integers(0, 9, size=(ROWS, 2)).astype(float)
    return features, np.isin(features[:, 0], (1, 4, 7)) + 0.0


def fitted(kind: Any, **parameters: Any) -> Any:
    features = rows_of(1, missing=0)
    y = target(features, 1)
    return kind(**parameters).fit(features, y > 0 if "Classifier" in kind.__name__ else y)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: fitted(LinearRegression), "LinearRegression holds no trees; expected DecisionTr"),
        (lambda: fitted(ensemble.IsolationForest), "IsolationForest scores by the depth"),
        (lambda: fitted(ensemble.AdaBoostRegressor), "AdaBoostRegressor holds no trees"),
        (
            lambda: make_pipeline(fitted(tree.DecisionTreeRegressor)),
            "Of a Pipeline or a search, give the fitted estimator inside",
        ),
        (
            lambda: fitted(ensemble.GradientBoostingRegressor, init=LinearRegression()),
            "starts from the predictions of LinearRegression",
        ),
        (tree.DecisionTreeRegressor, "not fitted yet"),
        (ensemble.HistGradientBoostingRegressor, "not fitted yet"),
        (lightgbm.LGBMRegressor, "Need to call fit"),
        (xgboost.XGBRegressor, "need to call fit"),
        (object, "object holds no trees that can be read"),
        (
            lambda: ensemble.HistGradientBoostingRegressor(categorical_features=[0]).fit(
                *categories()
            ),
            "HistGradientBoostingRegressor: it has categorical features",
        ),
        (
            lambda: (
                lightgbm.LGBMRegressor(verbose=-1, min_child_samples=2, min_data_per_group=2)
                .fit(*categories(), categorical_feature=[0])
                .booster_
            ),
            "Booster: it has categorical splits; encode categories as numbers",
        ),
        (
            lambda: xgboost.train(
                {"max_cat_to_onehot": 1},
                xgboost.DMatrix(*categories(), feature_types=["c", "q"], enable_categorical=True),
                3,
            ),
            "Booster: it has categorical splits",
        ),
        (lambda: fitted(lightgbm.LGBMRegressor, linear_tree=True, verbose=-1), "linear trees"),
        (
            lambda: fitted(lightgbm.LGBMRegressor, zero_as_missing=True, verbose=-1),
            "zero_as_missing=True cannot be repeated",
        ),
        (lambda: fitted(xgboost.XGBRegressor, missing=-9.0), "missing=-9.0 cannot be repeated"),
        (lambda: fitted(xgboost.XGBRegressor, booster="gblinear"), "booster='gblinear'"),
        (
            lambda: fitted(xgboost.XGBClassifier, objective="binary:logitraw"),
            "gives scores, not probabilities",
        ),
        (
            lambda: lightgbm.LGBMClassifier(verbose=-1).fit(
                rows_of(1, missing=0), [0] * len(rows_of(1, missing=0))
            ),
            "seen one class only",
        ),
    ],
)
def test_a_model_that_cannot_be_repeated_is_refused_with_the_reason(make: Any, reason: str) -> None:
    """The message names the estimator or what about it, and where there is one, the remedy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # LightGBM's on categories
        estimator = make()
    with pytest.raises(ValueError, match=reason):
        Trees.from_estimator(estimator)


def test_labels_of_other_kinds_are_refused() -> None:
    """Only what can be stored without pickle is a label."""
    features = rows_of(1, missing=0)
    labels = np.array(["x", 1], object)[two(target(features, 1)).astype(int)]
    forest = ensemble.RandomForestClassifier(n_estimators=1)
    forest.fit(features, two(target(features, 1)))
    forest.classes_ = labels
    with pytest.raises(ValueError, match="expected numbers, booleans or texts"):
        Trees.from_estimator(forest)


@pytest.mark.parametrize("content", [b"", b"tree\nversion=v4\n", b"{", b"\x80\x04pickle"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    """The message says what was expected."""
    file = tmp_path / "model.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"model.json cannot be read: .*LightGBM as text"):
        Trees.from_file(file)
