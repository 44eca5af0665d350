"""
A classifier's labels: how outputs belong to them, and which one is likeliest.

There is one array of labels for each target. Outputs stand side by side: as many as a target has
classes, or one for each target where all have two classes, the probability of the second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Classes = Sequence[np.ndarray]


def storable(labels: Any) -> np.ndarray:
    """
    Return a classifier's labels as an array that needs no pickle; texts as numpy's.

    Raises ValueError for labels other than numbers, booleans and texts.
    """
    array = np.asarray(labels)
    if array.dtype.kind in "biufU":
        return array
    if all(isinstance(label, str) for label in array.tolist()):
        return array.astype(str)
    raise ValueError(f"its classes are {array.tolist()[:5]}; expected numbers, booleans or texts")


def fit(classes: Classes, outputs: int) -> bool:
    """
    Tell whether this many outputs can belong to the classes; without classes, any number can.
    """
    flat = all(each.ndim == 1 and each.size for each in classes)
    binary = len(classes) == outputs and all(each.size == 2 for each in classes)
    return not classes or (flat and (_are_full(classes, outputs) or binary))


def probabilities(values: np.ndarray, classes: Classes) -> np.ndarray | list[np.ndarray]:
    """
    Return what predict_proba does, from values of shape (rows, outputs).
    """
    chances = _by_target(values, classes)
    if len(chances) == 1:
        return chances[0]
    return chances if _are_full(classes, values.shape[1]) else values


def likeliest(values: np.ndarray, classes: Classes) -> np.ndarray:
    """
    Return the labels, shape (rows,), or (rows, targets); of two equally likely the first.
    """
    found = [
        each[chance.argmax(axis=1)]
        for each, chance in zip(classes, _by_target(values, classes), strict=True)
    ]
    return found[0] if len(found) == 1 else np.stack(found, axis=1)


def _are_full(classes: Classes, outputs: int) -> bool:
    return sum(each.size for each in classes) == outputs


def _by_target(values: np.ndarray, classes: Classes) -> list[np.ndarray]:
    """
    Return each target's probabilities, (rows, classes).
    """
    if _are_full(classes, values.shape[1]):
        return np.split(values, np.cumsum([each.size for each in classes])[:-1], axis=1)
    return [np.stack((1.0 - value, value), axis=1) for value in values.T]
