"""
What a training job sees, noted for its baseline: an even sample of the rows that it reads, and the
newest of those by which the model was judged.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from sagemaker_runtime.baseline import outcomes, views
from sagemaker_runtime.baseline.bins import Bins
from sagemaker_runtime.baseline.content import FILE, Baseline, Ranges
from sagemaker_runtime.baseline.moments import Moments, errors_of
from sagemaker_runtime.formats import predictions
from sagemaker_runtime.formats.columns import count, join
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

# A range ends at these quantiles: the few values beyond them are often wrong ones.
LOW, HIGH = 0.001, 0.999
# Steps between the smallest and the largest label, by which predictions are counted.
STEPS = 10
# Rows that the quantiles are taken of: enough for each end to stand on 50 of them.
SAMPLE_ROWS = 50_000
# Of the rows that the model was judged by: the newest are most like those to come.
NEWEST_ROWS = 2_000
# In a segment of fewer rows an error is not known.
FEWEST_ROWS = 20

logger = logging.getLogger(__name__)

# Names groups of rows, such as airports, and in each group some segments with a truth for each row.
Segments = Callable[[Columns], Mapping[str, Mapping[str, np.ndarray]]]


class Seen:
    """
    Takes an even sample of the rows that a job reads.
    """

    def __init__(self) -> None:
        self._pieces: list[Columns] = []
        self._rows = self._kept = 0
        self._stride = 1
        self._used: Columns = {}
        self._judged: tuple[Columns, np.ndarray] | None = None

    def watch(self, pieces: Iterable[Columns]) -> Iterator[Columns]:
        """
        Hand pieces on and take some of their rows.
        """
        for columns in pieces:
            self._add(columns)
            yield columns

    def use(self, columns: Columns) -> None:
        """
        Note that the model is trained on these rows: the ranges are theirs, the counts those of the
        rows as they were read.
        """
        step = slice(None, None, math.ceil(count(columns) / SAMPLE_ROWS) or 1)
        self._used = {n: v[step].copy() for n, v in columns.items() if v.dtype.kind == "f"}

    def judge(self, columns: Columns, predicted: object) -> None:
        """
        Note what the model predicted for rows that it was not trained on, label included; of
        several outputs the first counts.

        Raises AlgorithmError unless there is one prediction for each row.
        """
        block = predictions.checked(predicted, count(columns), ())
        self._judged = columns, predictions.first(block)

    def save(self, model_dir: Path, table: object, segments: Segments | None = None) -> None:
        """
        Write the baseline beside a model that was trained on rows of a table, and that has no file
        of that name.
        """
        if not (self._pieces or self._used) or not isinstance(table, Table):
            return
        if (model_dir / FILE).exists():
            return
        raw = join(self._pieces) if self._pieces else self._used
        of = views.of(table, raw)
        baseline = Baseline(
            table,
            _ranges(table, self._used or raw),
            {name: Bins.of(values) for name, values in of.items()},
        )
        if self._judged and table.label:
            judge(baseline, *self._judged, segments)
        (model_dir / FILE).write_text(baseline.text(), encoding="utf-8")

    def _add(self, columns: Columns) -> None:
        some = slice(-self._rows % self._stride, None, self._stride)
        taken = {name: values[some].copy() for name, values in columns.items()}
        self._rows += count(columns)
        self._pieces.append(taken)
        self._kept += count(taken)
        if self._kept > 2 * SAMPLE_ROWS:
            whole = join(self._pieces)
            self._pieces = [{name: values[::2].copy() for name, values in whole.items()}]
            self._kept, self._stride = count(self._pieces[0]), 2 * self._stride


def judge(
    baseline: Baseline, columns: Columns, predicted: np.ndarray, segments: Segments | None = None
) -> None:
    """
    Add to a baseline what rows tell, their label among the columns: the newest of them, but all
    where they are told apart by segment.
    """
    label = baseline.table.label
    if label is None or label.name not in columns:
        return
    labels, predicted = outcomes.read(label, columns[label.name]), outcomes.read(label, predicted)
    known = outcomes.present(labels) & outcomes.present(predicted)
    if not known.all():
        labels, predicted = labels[known], predicted[known]
        columns = {name: values[known] for name, values in columns.items()}
    if why := outcomes.objection(label, labels, predicted):
        logger.warning(
            "%s holds no errors, as those that job.seen.judge was given are not errors of %s: %s",
            FILE, label.name, why,
        )  # fmt: skip
        return
    newest = _newest(baseline.table, columns)
    baseline.prediction = Bins.of(predicted[newest])
    baseline.errors = whole = Moments.of_baseline(labels[newest], predicted[newest])
    errors = errors_of(labels, predicted)  # of all: some segments are rare
    for group, members in (segments(columns) if segments else {}).items():
        baseline.segments[group] = {
            name: Moments.of(errors[rows], whole.low, whole.high)
            for name, rows in members.items()
            if rows.sum() >= FEWEST_ROWS
        }


def _newest(table: Table, columns: Columns) -> np.ndarray:
    """
    Return the places of the newest rows: by the first column of times, or else the last ones.
    """
    times = [columns[each.name] for each in table.features if each.kind == "timestamp"]
    if not times:
        return np.arange(count(columns))[-NEWEST_ROWS:]
    # As whole numbers, which put rows without a time first.
    return np.argsort(times[0].astype(np.int64), kind="stable")[-NEWEST_ROWS:]


def _ranges(table: Table, columns: Columns) -> Ranges:
    label = table.label.name if table.label and table.label.kind == "number" else ""
    names = [column.name for column in table.features if column.kind == "number"]
    ends = {name: _quantiles(columns.get(name), (LOW, HIGH)) for name in names}
    return Ranges(
        {name: (found[0], found[1]) for name, found in ends.items() if found},
        _quantiles(columns.get(label), np.linspace(LOW, HIGH, STEPS + 1)),
    )


def _quantiles(values: np.ndarray | None, at: Iterable[float]) -> list[float]:
    """
    Return values of a column: rounded ones might have others of it beyond them.
    """
    known = values[np.isfinite(values)] if values is not None else ()
    if not len(known):
        return []
    found: list[float] = np.quantile(known, list(at), method="closest_observation").tolist()
    return found
