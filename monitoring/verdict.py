"""
What a report means: one word for programs, one sentence for people.
"""

from collections.abc import Sequence
from enum import Enum

from monitoring.accuracy import ONCE, Accuracy
from monitoring.drift import FEWEST_ROWS
from monitoring.report import Report
from sagemaker_runtime.baseline.moments import Moments

# Of the baseline's correlation of labels and predictions: below, they are not of the same rows.
UNRELATED = 0.5
NAMED = 3  # columns and segments that a sentence names


class Verdict(Enum):
    """
    What happened; all but the first two are alarms.
    """

    QUIET = "quiet"
    TOO_FEW = "too few rows"
    INPUTS = "requests changed"
    ERRORS = "errors changed"
    LABELS = "labels do not belong to the inputs"

    @property
    def is_alarm(self) -> bool:
        """
        Whether somebody should look.
        """
        return self not in (Verdict.QUIET, Verdict.TOO_FEW)


def of(report: Report) -> Verdict:
    """
    Return the verdict; labels count more than requests.
    """
    judged = _worst(report)
    if judged:
        return Verdict.LABELS if _is_unrelated(report, judged) else Verdict.ERRORS
    if report.drifted:
        return Verdict.INPUTS
    return Verdict.QUIET if report.drifts else Verdict.TOO_FEW


def sentence(report: Report) -> str:
    """
    Say what happened, and what to do.
    """
    found, rows = of(report), len(report.captured)
    judged = _worst(report) or report.accuracy
    if found == Verdict.TOO_FEW:
        return f"{rows} rows were captured; at least {FEWEST_ROWS} are needed to tell anything."
    if found == Verdict.QUIET and judged:
        return (
            f"Nothing changed that matters: {_missed(report, judged)} on "
            f"{judged.moments.rows:,} labelled rows ({_size(report, _before(report).mae)} in "
            "training), and requests are distributed as in training."
        )
    if found == Verdict.QUIET:
        return (
            f"The {rows:,} requested rows are distributed as in training; without labels, nobody "
            "knows whether the predictions are right."
        )
    if found == Verdict.INPUTS or judged is None:
        cost = "no labels tell what it costs" if judged is None else "the errors have not changed"
        return (
            f"The requests changed: {_listed([_drift(report, n) for n in _names(report)])}; {cost}."
        )
    if found == Verdict.LABELS:
        return (
            "The labels do not belong to the inputs: predictions miss by "
            f"{judged.moments.mae:.2f} instead of {_before(report).mae:.2f}, too high and too low "
            "alike, and hardly go with the labels any more; look at how labels are matched before "
            "training on them."
        )
    return f"{_errors(report, judged)}{_where(report, judged)}{_inputs(report)}."


def _errors(report: Report, judged: Accuracy) -> str:
    before, rows = _before(report), judged.moments.rows
    if not judged.has_shifted():
        missed = _missed(report, judged)
        instead = _size(report, before.mae)
        return f"{missed[0].upper()}{missed[1:]} instead of {instead} on {rows:,} labelled rows"
    mean = report.mean if judged is report.accuracy else judged.moments.mean
    low, high = ("too low", "too high") if mean * judged.shift > 0 else ("lower now", "higher now")
    return (
        f"Predictions are {low if judged.shift > 0 else high}: labels differ from them by "
        f"{mean:+.2f} on average in {rows:,} rows ({before.mean:+.2f} in training)"
    )


def _missed(report: Report, judged: Accuracy) -> str:
    size = _size(report, judged.moments.mae)
    return (
        f"{size} of predictions are wrong"
        if _before(report).is_share
        else f"predictions miss by {size}"
    )


def _size(report: Report, error: float) -> str:
    """
    Return an error as people say it, that of labels which are not numbers as a share.
    """
    return f"{error:.1%}" if _before(report).is_share else f"{error:.2f}"


def _where(report: Report, judged: Accuracy) -> str:
    by_mean = judged.has_shifted()
    found = [
        (abs(each.shift) if by_mean else each.growth, f"{group} {name}", each)
        for group, members in report.segments.items()
        for name, each in members.items()
        if (each.z_mean if by_mean else each.z_mae) > ONCE
    ]
    named = [
        f"{name} ({_more(report, each.shift if by_mean else each.growth)})"
        for _, name, each in sorted(found, key=lambda one: -one[0])[:NAMED]
    ]
    return f", most of all for {_listed(named)}" if named else ""


def _more(report: Report, change: float) -> str:
    return f"{100 * change:+.0f} points" if _before(report).is_share else f"{change:+.1f}"


def _inputs(report: Report) -> str:
    if report.drifted:
        return f"; the requests changed too: {_listed([_drift(report, n) for n in _names(report)])}"
    return "; the requests are as in training, so what is true has changed: train again"


def _names(report: Report) -> list[str]:
    return [each.name for each in report.drifted[:NAMED]]


def _drift(report: Report, name: str) -> str:
    (each,) = (one for one in report.drifts if one.name == name)
    return f"{name} ({each.most_changed}: {each.share_before:.0%} before, {each.share_now:.0%} now)"


def _before(report: Report) -> Moments:
    assert report.baseline.errors  # noqa: S101 - without it nothing was judged
    return report.baseline.errors


def _is_unrelated(report: Report, judged: Accuracy) -> bool:
    """
    Tell whether the errors look as if labels stood beside the wrong predictions: larger, in both
    directions, and neither goes with the other.
    """
    before = _before(report).correlation
    now = report.accuracy.moments.correlation if report.accuracy else 0.0
    return judged.has_grown() and abs(judged.shift) < judged.growth / 2 and now < UNRELATED * before


def _worst(report: Report) -> Accuracy | None:
    """
    Return what raised the alarm: the whole window, or else a look of the rolling check.
    """
    if report.accuracy and report.accuracy.alarms():
        return report.accuracy
    look = report.first_alarm
    return look.accuracy if look else None


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
