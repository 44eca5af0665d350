"""
The report as plain values, for programs that decide by it.
"""

from typing import Any

import numpy as np

from monitoring import verdict
from monitoring.accuracy import Accuracy
from monitoring.report import Report


def as_json(report: Report) -> dict[str, Any]:
    """
    Return the report as plain values.
    """
    times = report.captured.times
    known = times[~np.isnat(times)]
    judged = report.accuracy
    return {
        "verdict": verdict.of(report).value,
        "sentence": verdict.sentence(report),
        "from": str(known.min()) if len(known) else None,
        "to": str(known.max()) if len(known) else None,
        "rows": len(report.captured),
        "read": {**report.captured.counts, **report.labels},
        "unknown_columns": dict(report.captured.unknown),
        "quality": [vars(each) for each in report.quality],
        "repaired_rows": report.repaired,
        "drift": [{**vars(each), "counts": each.counts.tolist()} for each in report.drifts],
        "errors": judged and {"mean": report.mean, **_figures(judged)},
        "segments": {
            group: {name: _figures(each) for name, each in members.items()}
            for group, members in report.segments.items()
        },
        "first_alarm_after_rows": look.rows if (look := report.first_alarm) else None,
    }


def _figures(found: Accuracy) -> dict[str, Any]:
    return {
        "rows": found.moments.rows,
        "clipped_mean": found.moments.mean,
        "mae": found.moments.mae,
        "shift": found.shift,
        "shift_ends": found.shift_ends,
        "growth": found.growth,
        "growth_ends": found.growth_ends,
        "z_mean": found.z_mean,
        "z_mae": found.z_mae,
    }
