"""
How a model of each kind is asked: from columns to predictions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.engines.onnx import session as open_onnx
from sagemaker_runtime.engines.trees import Trees

from .transform import array, frame

Answer = np.ndarray | dict[str, np.ndarray]
Model = Callable[[Columns], Answer]

# numpy's types of ONNX's.
ONNX_TYPES = {
    "tensor(float)": "f4",
    "tensor(double)": "f8",
    "tensor(int32)": "i4",
    "tensor(int64)": "i8",
    "tensor(bool)": "?",
    "tensor(string)": "O",
}


def of_trees(trees: Trees, names: Sequence[str] | None) -> Model:
    """
    Score trees, whose features are the columns ``names``, or all of them in their order.
    """

    def answer(columns: Columns) -> Answer:
        features = array({name: columns[name] for name in names or columns})
        labels = trees.predict(features)
        if len(trees.classes) != 1:
            return labels
        return _classified(labels, trees.predict_proba(features), trees.classes[0])

    return answer


def of_estimator(estimator: Any) -> Model:
    """
    Ask a scikit-learn estimator as it was fitted: on a DataFrame or on an array.
    """
    names = getattr(estimator, "feature_names_in_", None)

    def answer(columns: Columns) -> Answer:
        features = array(columns) if names is None else frame(columns)[list(names)]
        labels: np.ndarray = estimator.predict(features)
        if not hasattr(estimator, "predict_proba") or labels.ndim > 1:
            return labels
        return _classified(labels, estimator.predict_proba(features), estimator.classes_)

    return answer


def of_onnx(file: Path) -> Model:
    """
    Ask an ONNX model: each column by its name where the inputs have those, otherwise all of them
    as one array.

    Raises ModelError for a file that onnxruntime cannot read.
    """
    session = open_onnx(file)
    inputs, outputs = session.get_inputs(), session.get_outputs()

    def answer(columns: Columns) -> Answer:
        if all(each.name in columns for each in inputs):
            given = {
                each.name: columns[each.name].astype(ONNX_TYPES[each.type])[:, np.newaxis]
                for each in inputs
            }
        else:
            given = {inputs[0].name: array(columns).astype(ONNX_TYPES[inputs[0].type])}
        first, *others = session.run(None, given)
        if not others or "label" not in outputs[0].name:
            return first[:, 0] if first.ndim == 2 and first.shape[1] == 1 else first
        if isinstance(others[0], np.ndarray):
            return _classified(first, others[0], range(others[0].shape[1]))
        classes = list(others[0][0])  # a dict for each row
        probabilities = np.array([[row[name] for name in classes] for row in others[0]])
        return _classified(first, probabilities, classes)

    return answer


def _classified(labels: np.ndarray, probabilities: Any, classes: Any) -> Answer:
    return {"label": labels} | {
        f"probability_{name}": probabilities[:, at] for at, name in enumerate(classes)
    }
