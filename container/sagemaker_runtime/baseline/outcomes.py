"""
Labels and predictions as arrays that can be compared: both are read by the label column's rule.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats import values
from sagemaker_runtime.formats.messages import shown
from sagemaker_runtime.formats.schema import Column


def read(label: Column, given: np.ndarray | Sequence[object]) -> np.ndarray:
    """
    Return numbers, NaN where there is none, or, of any other label, texts, "" where there is none:
    booleans are "true" and "false", texts stay as they are, be they "007" or "nan".

    What breaks the label's rule, or is a list, is none.
    """
    if label.kind == "numbers":
        return _texts([""] * len(given))
    told: Sequence[object]
    if not isinstance(given, np.ndarray):
        told = given
    elif label.kind == "number" and given.dtype.kind in "fiu":
        return given.astype(float)
    else:
        told = (given.astype(str) if given.dtype.kind == "M" else given).tolist()
    if label.kind == "text":
        told = [_written(each) for each in told]
    column = replace(label, optional=True)
    try:
        found = values.convert(column, told)
    except InvalidValue:
        found = values.convert(column, [e if values.is_value(column, e) else None for e in told])
    match label.kind:
        case "boolean":
            words = {1.0: "true", 0.0: "false"}
            return _texts([words.get(each, "") for each in found.tolist()])
        case "timestamp":
            return _texts([text.replace("NaT", "") for text in found.astype(str).tolist()])
    return found


def present(outcomes: np.ndarray) -> np.ndarray:
    """
    Return a truth for each value of ``read``, whether there is one.
    """
    return np.isfinite(outcomes) if outcomes.dtype.kind == "f" else outcomes != ""


def objection(label: Column, labels: np.ndarray, predicted: np.ndarray) -> str:
    """
    Say why predictions are not right or wrong by labels, both as ``read`` returns them and all
    present; "" where they are.
    """
    if label.kind == "numbers":
        return "the label is a list of numbers; expected one with a single value per row"
    if not len(labels):
        return "no row has both a label and a prediction that is a value of it"
    if label.kind != "number" and set(predicted.tolist()).isdisjoint(labels.tolist()):
        return f"no prediction, such as {shown(predicted[0])}, is among the labels"
    return ""


def _written(value: object) -> object:
    """
    Return a value as the text that an answer in JSON or CSV has for it.
    """
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) and value == value else value


def _texts(given: Sequence[str]) -> np.ndarray:
    array = np.empty(len(given), object)
    array[:] = given
    return array
