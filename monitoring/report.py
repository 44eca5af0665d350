"""
The report on a window: data quality, drift, errors, and what all of it means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from monitoring import accuracy, drift, truth
from monitoring.accuracy import Accuracy, Look
from monitoring.captured import Captured
from monitoring.drift import Drift
from monitoring.truth import Truth
from sagemaker_runtime.algorithm import Repairs
from sagemaker_runtime.baseline import outcomes, views
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.baseline.moments import correlation_of, errors_of
from sagemaker_runtime.baseline.seen import Segments

PREDICTION = "prediction"


@dataclass(frozen=True)
class Quality:
    """
    Of a column the share of rows in which it is missing, now and in training, and in which it lies
    outside the range of training, None without one.
    """

    name: str
    missing: float
    missing_before: float
    outside: float | None


@dataclass(frozen=True)
class Report:
    """
    What a window shows. ``accuracy`` is None without labels; ``mean`` is the plain mean of label
    less prediction, of all rows, none clipped. ``repaired`` says how many rows each of the
    algorithm's rules puts right, None where it does not name them.
    """

    baseline: Baseline
    captured: Captured
    quality: list[Quality]
    drifts: list[Drift]
    repaired: dict[str, int] | None = None
    accuracy: Accuracy | None = None
    mean: float = 0.0
    segments: dict[str, dict[str, Accuracy]] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def drifted(self) -> list[Drift]:
        """
        The columns that have drifted, the one that changed most first.
        """
        return sorted((e for e in self.drifts if e.has_drifted), key=lambda each: -each.psi)

    @property
    def first_alarm(self) -> Look | None:
        """
        The first look of the rolling check that raised an alarm.
        """
        return next((look for look in self.looks if look.alarms), None)


def make(
    baseline: Baseline,
    captured: Captured,
    labels: Truth | None = None,
    segments: Segments | None = None,
    repairs: Repairs | None = None,
) -> Report:
    """
    Look at the rows of a window, with what labels there are for them; ``segments`` and ``repairs``
    are the algorithm's.
    """
    asked = {name: values[captured.asked] for name, values in captured.columns.items()}
    found = views.of(baseline.table, asked)
    drifts = drift.compare(baseline.columns, found)
    if baseline.prediction:
        predicted = {PREDICTION: captured.predicted[outcomes.present(captured.predicted)]}
        drifts += drift.compare({PREDICTION: baseline.prediction}, predicted)
    repaired = None
    if repairs and captured.asked.any():
        repaired = {rule: int(np.count_nonzero(rows)) for rule, rows in repairs(asked).items()}
    whole = Report(baseline, captured, _quality(baseline, found), drifts, repaired)
    label = baseline.table.label
    if labels is None or label is None or baseline.errors is None:
        return whole
    rows, actual = truth.joined(captured, labels, label)
    if not len(rows):
        return whole
    actual = outcomes.read(label, actual)
    errors = errors_of(actual, rows.predicted)
    by_segment = {}
    if segments and baseline.segments and rows.asked.any():
        some = rows.take(rows.asked)
        by_segment = accuracy.by_segment(
            baseline.segments, baseline.errors, errors[rows.asked], segments(some.columns)
        )
    return Report(
        baseline,
        captured,
        whole.quality,
        drifts,
        repaired,
        accuracy.judge(baseline.errors, errors, correlation_of(actual, rows.predicted)),
        float(errors.mean()),
        by_segment,
        list(accuracy.rolling(baseline.errors, errors)),
        dict(labels.counts),
    )


def _quality(baseline: Baseline, found: Mapping[str, np.ndarray]) -> list[Quality]:
    made = []
    for name, values in found.items():
        if name not in baseline.columns or not len(values):
            continue
        bins = baseline.columns[name]
        before = bins.counts[-1] / max(bins.counts.sum(), 1)
        outside = None
        if ends := baseline.ranges.columns.get(name):
            outside = float(np.mean((values < ends[0]) | (values > ends[1])))
        made.append(
            Quality(name, float(bins.count(values)[-1] / len(values)), float(before), outside)
        )
    return made
