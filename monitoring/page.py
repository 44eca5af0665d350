"""
One HTML page that shows a report and needs nothing else to be displayed.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from monitoring import pictures, verdict
from monitoring.accuracy import Accuracy
from monitoring.report import Report
from sagemaker_runtime.baseline.moments import Moments

MOST_PICTURES = 6  # of columns that have drifted


def render(report: Report) -> str:
    """
    Return the page.
    """
    template = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
    found = verdict.of(report)
    return template.substitute(
        kind="alarm" if found.is_alarm else "quiet",
        verdict=escape(found.value),
        sentence=escape(verdict.sentence(report)),
        window=escape(_window(report)),
        errors=_errors(report),
        drift=_drift(report),
        quality=_quality(report),
        read=_read(report),
    )


def _window(report: Report) -> str:
    times = report.captured.times
    known = times[~np.isnat(times)]
    if not len(times):
        return "No request was captured."
    if not len(known):
        return f"{len(times):,} rows; when they were requested is not known."
    begin, end = (str(each).replace("T", " ") for each in (known.min(), known.max()))
    return f"{len(report.captured):,} rows, requested from {begin} to {end} UTC."


def _errors(report: Report) -> str:
    judged, before = report.accuracy, report.baseline.errors
    if judged is None or before is None:
        return "<p>No row has both a label and a prediction.</p>"
    now = judged.moments
    if before.is_share:
        rows = (
            ("labelled rows", f"{before.rows:,}", f"{now.rows:,}", ""),
            (
                "wrong predictions",
                f"{before.mae:.1%}",
                f"{now.mae:.1%}",
                f"{judged.growth:+.1%} ± {judged.growth_ends:.1%}",
            ),
        )
        table, note = _table(("", "training", "this window", "change, 95 %"), rows), ""
    else:
        table, note = _differences(report, judged, before)
    chart = pictures.rolling(report.looks, before) if len(report.looks) > 1 else ""
    by_segment = [
        (f"{group}: {name}", each)
        for group, members in report.segments.items()
        for name, each in members.items()
    ]
    return table + note + chart + (pictures.segments(by_segment, judged) if by_segment else "")


def _differences(report: Report, judged: Accuracy, before: Moments) -> tuple[str, str]:
    """
    Return the table of errors of numbers, and a note on it.
    """
    now = judged.moments
    table = _table(
        ("", "training", "this window", "change, 95 %"),
        [
            ("labelled rows", f"{before.rows:,}", f"{now.rows:,}", ""),
            (
                "label less prediction, mean",
                f"{before.mean:+.3f}",
                f"{now.mean:+.3f}",
                f"{judged.shift:+.3f} ± {judged.shift_ends:.3f}",
            ),
            (
                "absolute error, mean",
                f"{before.mae:.3f}",
                f"{now.mae:.3f}",
                f"{judged.growth:+.3f} ± {judged.growth_ends:.3f}",
            ),
            (
                "correlation of label and prediction",
                f"{before.correlation:.3f}",
                f"{now.correlation:.3f}",
                "",
            ),
        ],
    )
    note = (
        f"<p>Errors are clipped to {before.low:.4g} to {before.high:.4g}; the plain mean is "
        f"{report.mean:+.3f}.</p>"
    )
    return table, note


def _drift(report: Report) -> str:
    if not report.drifts:
        return "<p>Too few rows to compare distributions.</p>"
    shown = pictures.drifts(report.drifts)
    for each in report.drifted[:MOST_PICTURES]:
        bins = report.baseline.columns.get(each.name) or report.baseline.prediction
        if bins:
            shown += pictures.distribution(each, bins)
    table = _table(
        ("column", "rows", "index", "p", "most changed", "training", "now"),
        [
            (
                each.name,
                f"{each.rows:,}",
                f"{each.psi:.3f}",
                f"{each.p:.1g}",
                each.most_changed,
                f"{each.share_before:.1%}",
                f"{each.share_now:.1%}",
            )
            for each in report.drifts
        ],
    )
    return f"{shown}<details><summary>The figures</summary>{table}</details>"


def _quality(report: Report) -> str:
    unknown = ", ".join(f"{n} ({times:,})" for n, times in report.captured.unknown.most_common(10))
    return _table(
        ("column", "missing", "missing in training", "outside the range of training"),
        [
            (
                each.name,
                f"{each.missing:.2%}",
                f"{each.missing_before:.2%}",
                "" if each.outside is None else f"{each.outside:.2%}",
            )
            for each in report.quality
        ],
    ) + "".join(
        [
            f"<p>Columns that nobody reads: {escape(unknown)}.</p>" if unknown else "",
            _repaired(report),
        ]
    )


def _repaired(report: Report) -> str:
    if report.repaired is None:
        return ""
    rows = int(report.captured.asked.sum())
    told = [f"{rule} {times / rows:.2%} ({times:,})" for rule, times in report.repaired.items()]
    return f"<p>Rows that the model puts right: {escape(', '.join(told))}.</p>"


def _read(report: Report) -> str:
    counts = {**report.captured.counts, **report.labels}
    return _table(("", "number"), [(name, f"{times:,}") for name, times in counts.items()])


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    def row(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return (
        f'<div class="wide"><table><thead>{row("th", head)}</thead>'
        f"<tbody>{''.join(row('td', cells) for cells in body)}</tbody></table></div>"
    )
