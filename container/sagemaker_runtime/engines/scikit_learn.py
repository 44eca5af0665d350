"""
From scikit-learn's trees and forests to Trees, by the public arrays of ``tree_``.

These estimators round features to single precision.
"""

import warnings
from typing import Any

import numpy as np
from sklearn import dummy, ensemble, tree
from sklearn.utils.validation import check_is_fitted

from sagemaker_runtime.engines.assembly import Tree, assemble
from sagemaker_runtime.engines.labels import storable
from sagemaker_runtime.engines.trees import Trees

SINGLE = (tree.DecisionTreeRegressor, tree.DecisionTreeClassifier)  # ExtraTree* are such, too
FORESTS = (
    ensemble.RandomForestRegressor,
    ensemble.RandomForestClassifier,
    ensemble.ExtraTreesRegressor,
    ensemble.ExtraTreesClassifier,
)
BOOSTED = (ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier)


def from_estimator(estimator: Any) -> Trees:
    """
    Take the trees out of a fitted estimator.

    Raises ValueError, with the reason, for one whose predictions they could not repeat.
    """
    name = type(estimator).__name__
    if isinstance(estimator, ensemble.IsolationForest):
        raise ValueError(f"{name} scores by the depth that rows reach, not by the values of leaves")
    if not isinstance(estimator, SINGLE + FORESTS + BOOSTED):
        raise ValueError(
            f"{name} holds no trees; expected DecisionTree, ExtraTree, RandomForest, ExtraTrees, "
            "GradientBoosting or HistGradientBoosting, regressor or classifier. Of a Pipeline or a "
            "search, give the fitted estimator inside"
        )
    check_is_fitted(estimator)
    if isinstance(estimator, BOOSTED):
        return _boosted(estimator)
    return _averaged(estimator, [estimator] if isinstance(estimator, SINGLE) else None)


def _averaged(estimator: Any, trees: list[Any] | None) -> Trees:
    """
    Take a forest's trees; a single tree is a forest of one.
    """
    trees = trees or estimator.estimators_
    classes = getattr(estimator, "classes_", None)
    labels: tuple[np.ndarray, ...] = ()
    if classes is not None:
        targets = [classes] if estimator.n_outputs_ == 1 else classes
        labels = tuple(map(storable, targets))
    # tree_.value has shape (nodes, targets, most classes of a target); a regressor has one.
    lengths = [each.size for each in labels] or [1] * estimator.n_outputs_
    parts = []
    for each in trees:
        value = each.tree_.value
        columns = [value[:, target, :length] for target, length in enumerate(lengths)]
        values = np.concatenate(columns, axis=1)
        parts.append(_tree(each, values if values.shape[1] > 1 else values[:, 0]))
    return Trees(
        assemble(
            parts,
            output=np.zeros(len(parts)),
            base=np.zeros(sum(lengths)),
            scale=1.0 / len(parts),
            single=True,
        ),
        classes=labels,
    )


def _boosted(estimator: Any) -> Trees:
    if not (
        estimator.init_ == "zero"
        or isinstance(estimator.init_, dummy.DummyRegressor | dummy.DummyClassifier)
    ):
        raise ValueError(
            f"it starts from the predictions of {type(estimator.init_).__name__}, not from a "
            "constant; leave init at its default"
        )
    stages = estimator.estimators_  # (rounds, outputs)
    rate, outputs = estimator.learning_rate, stages.shape[1]
    trees = [_tree(each, each.tree_.value[:, 0, 0] * rate) for each in stages.ravel()]
    is_classifier = isinstance(estimator, ensemble.GradientBoostingClassifier)
    raw = estimator.decision_function if is_classifier else estimator.predict
    # The constant is what is left of a prediction without the trees' shares.
    row = np.zeros((1, estimator.n_features_in_), np.float32)
    with warnings.catch_warnings():  # rows without the names that it was fitted with
        warnings.simplefilter("ignore", UserWarning)
        shares = [rate * float(each.predict(row)[0]) for each in stages.ravel()]
        base = raw(row).ravel() - np.reshape(shares, stages.shape).sum(axis=0)
    link, factor = "identity", 1.0
    if is_classifier:
        link = "sigmoid" if outputs == 1 else "softmax"
        factor = 2.0 if estimator.loss == "exponential" else 1.0  # whose score is half the log-odds
    return Trees(
        assemble(
            trees,
            output=np.tile(np.arange(outputs), len(stages)),
            base=base,
            scale=1.0,
            single=True,
        ),
        link,
        factor,
        (storable(estimator.classes_),) if is_classifier else (),
    )


def _tree(estimator: Any, values: np.ndarray) -> Tree:
    nodes = estimator.tree_
    return Tree(
        left=nodes.children_left,
        right=nodes.children_right,
        feature=nodes.feature,
        threshold=nodes.threshold,
        missing_left=nodes.missing_go_to_left.astype(bool),
        values=values,
    )
