"""
From models of LightGBM, XGBoost and scikit-learn's histogram boosting to Trees, read by treelite.

Imported only when a model is converted: serving needs none of these libraries.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import treelite

from sagemaker_runtime.engines.assembly import Tree, assemble
from sagemaker_runtime.engines.labels import storable
from sagemaker_runtime.engines.trees import Trees

LESS_OR_EQUAL, LESS = 3, 2  # treelite's codes of comparisons
PROBABILITIES = ("sigmoid", "softmax", "multiclass_ova", "hinge")
ZERO_IS_MISSING = 1  # LightGBM's code in bits 2 and 3 of a split's decision_type
# LightGBM leaves out smaller values when it takes up a row, and 0 is what is left out.
ZERO = float(np.float32(1e-35))
TEXT_OF_LIGHTGBM = b"tree\n"


def from_estimator(estimator: Any) -> Trees:
    """
    Take the trees out of a fitted estimator or a Booster.

    Raises ValueError, with the reason, for one whose predictions they could not repeat.
    """
    name, library = type(estimator).__name__, type(estimator).__module__.partition(".")[0]
    try:
        if library == "sklearn":
            if name.startswith("HistGradientBoosting"):
                return _from_histograms(estimator)
            # Not above: LightGBM's and XGBoost's models can do without it.
            from sagemaker_runtime.engines import scikit_learn

            return scikit_learn.from_estimator(estimator)
        if library == "lightgbm":
            booster = estimator if name == "Booster" else estimator.booster_
            _check_lightgbm(booster.model_to_string())
            model = treelite.frontend.from_lightgbm(booster)
            return _from_treelite(model, getattr(estimator, "classes_", None), ZERO)
        if library == "xgboost":
            model = treelite.frontend.from_xgboost(_booster_of_xgboost(estimator))
            return _from_treelite(model, getattr(estimator, "classes_", None))
        raise ValueError(
            f"{name} holds no trees that can be read; expected an estimator of scikit-learn, "
            "LightGBM or XGBoost itself, not a class derived from one"
        )
    except treelite.TreeliteError as error:
        raise ValueError(f"{name} cannot be read: {str(error).splitlines()[0]}") from error
    except ValueError as error:
        raise ValueError(str(error) if name in str(error) else f"{name}: {error}") from error


def from_file(path: Path) -> Trees:
    """
    Read a model saved by LightGBM as text, or by XGBoost as JSON or UBJSON.

    Raises OSError or ValueError for one that cannot be read. XGBoost's objective multi:softmax
    gives probabilities.
    """
    with path.open("rb") as file:
        is_lightgbm = file.read(len(TEXT_OF_LIGHTGBM)) == TEXT_OF_LIGHTGBM
    try:
        if is_lightgbm:
            _check_lightgbm(path.read_text("utf-8"))
            return _from_treelite(treelite.frontend.load_lightgbm_model(path), None, ZERO)
        model = treelite.frontend.load_xgboost_model(path, format_choice="inspect")
        return _from_treelite(model, None)
    except (treelite.TreeliteError, ValueError) as error:
        raise ValueError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}. Expected a model saved by "
            "LightGBM as text, or by XGBoost as .json or .ubj"
        ) from error


def _from_histograms(estimator: Any) -> Trees:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    if np.any(estimator.is_categorical_):  # None where there are none
        raise ValueError("it has categorical features; encode them as numbers")
    model = treelite.sklearn.import_model(estimator)
    return _from_treelite(model, getattr(estimator, "classes_", None))


def _check_lightgbm(text: str) -> None:
    for line in re.findall(r"^decision_type=(.*)$", text, re.MULTILINE):
        if any(int(code) >> 2 & 3 == ZERO_IS_MISSING for code in line.split()):
            raise ValueError("zero_as_missing=True cannot be repeated; set such values to NaN")


def _booster_of_xgboost(estimator: Any) -> Any:
    """
    Return the Booster with those rounds that the estimator predicts with.
    """
    if not hasattr(estimator, "get_booster"):
        _check_xgboost(estimator)
        return estimator
    if estimator.missing is not None and not np.isnan(estimator.missing):
        raise ValueError(f"missing={estimator.missing} cannot be repeated; set such values to NaN")
    booster = estimator.get_booster()
    _check_xgboost(booster)
    best = booster.attr("best_iteration")  # of early stopping
    return booster if best is None else booster[: int(best) + 1]


def _check_xgboost(booster: Any) -> None:
    kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    if kind == "gblinear":
        raise ValueError("booster='gblinear' makes no trees; expected gbtree or dart")


def _from_treelite(model: treelite.Model, classes: Any, zero: float = 0.0) -> Trees:
    """
    Convert what treelite has read; ``classes`` are a classifier's labels.

    Values from ``-zero`` to ``zero`` count as 0.
    """
    field: Callable[[str], Any] = model.get_header_accessor().get_field
    targets, lengths, link = int(field("num_target")[0]), field("num_class"), field("postprocessor")
    outputs = int(lengths.sum())
    if classes is not None and link not in PROBABILITIES:
        raise ValueError("its objective gives scores, not probabilities; use its Booster")
    if classes is not None and len(classes) < 2:
        raise ValueError("it has seen one class only; train it with rows of two or more")
    vector = int(np.prod(field("leaf_vector_shape")))
    if vector not in (1, outputs) or (targets > 1 and (lengths != 1).any()):
        raise ValueError("its targets have several classes each")
    trees = [
        _tree(model.get_tree_accessor(number), vector if vector > 1 else 0, zero)
        for number in range(model.num_tree)
    ]
    # One of the two is 0 for all trees: there are several targets or several classes.
    output = field("target_id") + field("class_id")
    averaged = bool(field("average_tree_output")[0])
    per_output = len(trees) if vector > 1 else len(trees) // outputs
    labels = () if classes is None else (storable(classes),) * targets
    return Trees(
        assemble(
            trees,
            output=np.zeros(len(trees)) if vector > 1 else output,
            base=field("base_scores"),
            scale=1.0 / per_output if averaged else 1.0,
            single=model.input_type == "float32",
        ),
        link,
        # Its shortest form: treelite keeps 1.7 in single precision.
        float(str(field("sigmoid_alpha")[0])),
        labels,
    )


def _tree(accessor: Any, vector: int, zero: float) -> Tree:
    field = accessor.get_field
    left, compare, threshold = field("cleft"), field("cmp"), field("threshold")
    splits = left >= 0
    if field("has_categorical_split")[0]:
        raise ValueError("it has categorical splits; encode categories as numbers")
    if not np.isin(compare[splits], (LESS_OR_EQUAL, LESS)).all():
        raise ValueError("it splits otherwise than by < or <=")
    # Below a number is at most the next smaller one, in the precision of the comparison.
    below = np.nextafter(threshold, threshold.dtype.type(-np.inf))
    threshold = np.where(compare == LESS, below, threshold)
    if zero:  # all values near 0 go where 0 does
        threshold = np.where((threshold >= 0) & (threshold < zero), zero, threshold)
        before = np.nextafter(-zero, -np.inf)
        threshold = np.where((threshold < 0) & (threshold >= -zero), before, threshold)
    values = field("leaf_value")
    if vector:
        values = np.zeros((len(left), vector))
        values[~splits] = field("leaf_vector").reshape(-1, vector)
    return Tree(
        left=left,
        right=field("cright"),
        feature=field("split_index"),
        threshold=threshold,
        missing_left=field("default_left").astype(bool),
        values=values,
    )
