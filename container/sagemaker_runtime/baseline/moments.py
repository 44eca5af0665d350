"""
Errors of predictions, and what is kept of them: their moments.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

# Errors beyond these quantiles of the baseline's are pulled there: one mistyped label among 500
# would otherwise decide.
LOW, HIGH = 0.005, 0.995


@dataclass(frozen=True)
class Moments:
    """
    Of some rows' errors, clipped to ``low`` and ``high``: the mean, the mean absolute one, and how
    much both scatter. ``correlation`` is that of label and prediction, 0 where it is not known.
    With ``is_share`` an error is 1 for a wrong prediction and 0 for a right one.
    """

    rows: int
    mean: float
    mae: float
    deviation: float
    absolute_deviation: float
    low: float = -np.inf
    high: float = np.inf
    correlation: float = 0.0
    is_share: bool = False

    @classmethod
    def of(
        cls, errors: np.ndarray, low: float = -np.inf, high: float = np.inf, correlation: float = 0
    ) -> "Moments":
        """
        Measure errors, of which none is missing.
        """
        if not len(errors):
            return cls(0, 0.0, 0.0, 0.0, 0.0, low, high)
        clipped = np.clip(errors, low, high)
        absolute = np.abs(clipped)
        spread = [float(each.std(ddof=1)) if len(each) > 1 else 0.0 for each in (clipped, absolute)]
        return cls(
            len(errors),
            float(clipped.mean()),
            float(absolute.mean()),
            spread[0],
            spread[1],
            low,
            high,
            float(correlation),
        )

    @classmethod
    def of_baseline(cls, labels: np.ndarray, predicted: np.ndarray) -> "Moments":
        """
        Measure the errors that others are to be compared with, and where to clip those.
        """
        errors = errors_of(labels, predicted)
        if labels.dtype.kind not in "fiu":
            return replace(cls.of(errors), is_share=True)  # right or wrong: nothing to clip
        low, high = np.quantile(errors, [LOW, HIGH]).tolist()
        if low == high:  # clipped there, errors could never grow
            low, high = -np.inf, np.inf
        return cls.of(errors, low, high, correlation_of(labels, predicted))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Moments":
        """
        Read what ``as_json`` returned.
        """
        kinds = {"rows": int, "is_share": bool}
        return cls(**{name: kinds.get(name, float)(content[name]) for name in _NAMES})

    def as_json(self) -> dict[str, Any]:
        """
        Return plain values with five digits.
        """
        return {n: float(f"{v:.5g}") if type(v) is float else v for n, v in asdict(self).items()}


_NAMES = Moments.__dataclass_fields__


def errors_of(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """
    Return label less prediction; of texts 1 where they differ and 0 elsewhere.
    """
    if labels.dtype.kind in "fiu" and predicted.dtype.kind in "fiu":
        return labels.astype(float) - predicted.astype(float)
    return np.asarray(labels != predicted, float)


def correlation_of(labels: np.ndarray, predicted: np.ndarray) -> float:
    """
    Return the correlation of two arrays, 0 where one of them does not vary or is not of numbers.
    """
    if not {labels.dtype.kind, predicted.dtype.kind} <= set("fiu") or len(labels) < 2:
        return 0.0
    first, second = labels.astype(float), predicted.astype(float)
    if not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
