"""
What was asked and predicted, in numbers: rows outside the training ranges, predictions by size.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sagemaker_runtime.baseline.content import Ranges
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.schema import Columns

# Upper ends of the counts of predictions where training has left none.
USUAL_STEPS = (-1000.0, -100, -10, -1, 0, 0.1, 0.25, 0.5, 0.75, 0.9, 1, 10, 100, 1000, 10_000)
# Outputs of one prediction that are counted, such as the probabilities of classes.
MOST_OUTPUTS = 10
UNNAMED = "prediction"

Piece = tuple[Any, Any]


@dataclass
class Counts:
    """
    Of some rows: how many there were, lay outside, and by which column; of each output how many
    predictions there were up to each step, and their sum; texts by what they say.
    """

    rows: int = 0
    outside: int = 0
    outside_by_column: Counter[str] = field(default_factory=Counter)
    predictions: dict[str, tuple[np.ndarray, float]] = field(default_factory=dict)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)


class Observer:
    """
    Counts by a model's ranges.
    """

    def __init__(self, ranges: Ranges) -> None:
        self._ends = ranges.columns
        self.steps = np.array(sorted({*ranges.label} or USUAL_STEPS))

    def count(self, pieces: Sequence[Piece]) -> Counts:
        """
        Count the pieces, each of which is what ``predict`` was given and what it returned.
        """
        counts = Counts()
        asked = [columns for columns, _ in pieces if type(columns) is dict and columns]
        if self._ends and asked:
            self._count_outside(asked, counts)
        found: dict[str, list[Any]] = {}
        for _, predicted in pieces:
            for name, values in outputs(predicted):
                found.setdefault(name, []).append(values)
        for name, parts in found.items():
            values = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if values.dtype.kind in "fiu":
                known = values[np.isfinite(values)]
                at = np.searchsorted(self.steps, known)  # a step's own value belongs to it
                each = np.bincount(at, minlength=len(self.steps) + 1)
                counts.predictions[name] = each, float(known.sum())
            else:
                counts.labels.update((name, str(value)) for value in values.tolist())
        return counts

    def _count_outside(self, asked: Sequence[Columns], counts: Counts) -> None:
        anywhere: np.ndarray = np.zeros(sum(map(count, asked)), np.bool_)
        counts.rows = len(anywhere)
        for name, (low, high) in self._ends.items():
            parts = [columns[name] for columns in asked if name in columns]
            if not parts:  # taken out by predict, or of a model for another table
                continue
            values = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if len(values) < len(anywhere) or values.dtype.kind != "f":
                continue
            outside = (values < low) | (values > high)  # what is missing is neither
            if more := int(np.count_nonzero(outside)):
                counts.outside_by_column[name] += more
                anywhere |= outside
        counts.outside = int(np.count_nonzero(anywhere))


def outputs(predicted: Any) -> list[tuple[str, np.ndarray]]:
    """
    Return the columns of whatever ``predict`` returned, those of numbers and of single texts.
    """
    if type(predicted) is np.ndarray and predicted.ndim == 1:  # most are
        return [(UNNAMED, predicted)]
    if hasattr(predicted, "columns"):
        predicted = {name: predicted[name] for name in predicted.columns}
    if isinstance(predicted, Mapping):
        return [(str(n), v) for n in predicted if (v := _column(predicted[n])) is not None]
    if isinstance(predicted, list) and predicted and isinstance(predicted[0], Mapping):
        names = list(predicted[0])[:MOST_OUTPUTS]
        return outputs({name: [row.get(name) for row in predicted] for name in names})
    try:
        array = np.asarray(predicted)
    except ValueError:  # lists of several lengths
        return []
    if array.ndim == 2:
        columns = array.T[:MOST_OUTPUTS]
        return [(str(n), v) for n, each in enumerate(columns) if (v := _column(each)) is not None]
    values = _column(array)
    return [] if values is None else [(UNNAMED, values)]


def _column(values: Any) -> np.ndarray | None:
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    if array.ndim != 1 or array.dtype.kind not in "fiubUO":
        return None
    if array.dtype.kind == "O" and not all(isinstance(each, str) for each in array):
        return None
    return array
