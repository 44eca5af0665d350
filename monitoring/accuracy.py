"""
Whether a model errs more than training promised, by the labels that came since.

Significant is not enough: the means of real windows vary by more than those of independent rows
would. A z-test at 1 % raised an alarm in 29 % of quiet windows of 500 rows, Kolmogorov-Smirnov in
43 %; with a margin that matters it is one of fifty.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import hypot, sqrt
from typing import NamedTuple

import numpy as np

from sagemaker_runtime.baseline.moments import Moments

# Of the baseline's mean absolute error: what the mean may shift, and the error may grow, without
# being worth an alarm.
MEAN_MARGIN, MAE_MARGIN = 0.20, 0.25
# Standard errors beyond the margin: for one look, and for one of many.
ONCE, AGAIN = 2.58, 3.0
FEWEST_ROWS = 50

# The rolling check: at the newest rows, once few and once more, each time so many have come.
NEWEST, EVERY = (250, 500), 25


@dataclass(frozen=True)
class Accuracy:
    """
    Errors, label less prediction, beside the baseline's. ``shift`` is how much further the mean is
    from the baseline's, ``growth`` how much larger the absolute error is, each with the half width
    of its 95 % interval; ``z_mean`` and ``z_mae`` say how many standard errors they lie beyond what
    they may. Of a share of wrong predictions only the growth is judged: fewer are no alarm, and
    none is too high or too low.
    """

    moments: Moments
    shift: float
    shift_ends: float
    growth: float
    growth_ends: float
    z_mean: float
    z_mae: float

    def alarms(self, beyond: float = ONCE) -> bool:
        """
        Tell whether the mean has shifted or the error has grown by too much.
        """
        return self.has_shifted(beyond) or self.has_grown(beyond)

    def has_shifted(self, beyond: float = ONCE) -> bool:
        """
        Tell whether predictions are too high or too low now.
        """
        return self.moments.rows >= FEWEST_ROWS and self.z_mean > beyond

    def has_grown(self, beyond: float = ONCE) -> bool:
        """
        Tell whether predictions miss by more now.
        """
        return self.moments.rows >= FEWEST_ROWS and self.z_mae > beyond


def judge(baseline: Moments, errors: np.ndarray, correlation: float = 0.0) -> Accuracy:
    """
    Compare errors with the baseline's.
    """
    found = Moments.of(errors, baseline.low, baseline.high, correlation)
    return _judged(baseline, found, baseline)


def _judged(baseline: Moments, found: Moments, whole: Moments) -> Accuracy:
    shift, growth = found.mean - baseline.mean, found.mae - baseline.mae
    mean_error = _standard_error(baseline.deviation, baseline.rows, found.deviation, found.rows)
    mae_error = _standard_error(
        baseline.absolute_deviation, baseline.rows, found.absolute_deviation, found.rows
    )
    return Accuracy(
        found,
        shift,
        1.96 * mean_error,
        growth,
        1.96 * mae_error,
        0.0 if whole.is_share else (abs(shift) - MEAN_MARGIN * whole.mae) / mean_error,
        (growth - MAE_MARGIN * whole.mae) / mae_error,
    )


def by_segment(
    baseline: Mapping[str, Mapping[str, Moments]],
    whole: Moments,
    errors: np.ndarray,
    segments: Mapping[str, Mapping[str, np.ndarray]],
    fewest: int = 5,
) -> dict[str, dict[str, Accuracy]]:
    """
    Compare the errors of each segment with those that the same one had.
    """
    return {
        group: {
            name: _judged(baseline[group][name], found, whole)
            for name, rows in members.items()
            if name in baseline[group]
            and (found := Moments.of(errors[rows], whole.low, whole.high)).rows >= fewest
        }
        for group, members in segments.items()
        if group in baseline
    }


class Look(NamedTuple):
    """
    One look of the rolling check, after ``rows`` labelled rows.
    """

    rows: int
    accuracy: Accuracy
    alarms: bool


def rolling(baseline: Moments, errors: np.ndarray) -> Iterator[Look]:
    """
    Look at the newest rows again and again, as a stream of errors grows.
    """
    for rows in range(FEWEST_ROWS, len(errors) + 1, EVERY):
        looks = [judge(baseline, errors[max(0, rows - newest) : rows]) for newest in NEWEST]
        worst = max(looks, key=lambda each: max(each.z_mean, each.z_mae))
        yield Look(rows, worst, worst.alarms(AGAIN))


def first_alarm(baseline: Moments, errors: np.ndarray) -> int | None:
    """
    Return after how many rows the rolling check raises its first alarm, None for none.
    """
    return next((look.rows for look in rolling(baseline, errors) if look.alarms), None)


def _standard_error(first: float, rows: int, second: float, more: int) -> float:
    return max(hypot(first / sqrt(max(rows, 1)), second / sqrt(max(more, 1))), 1e-9)
