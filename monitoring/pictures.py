"""
The report's pictures, drawn by matplotlib and returned as SVG to stand in HTML.
"""

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitoring.accuracy import MEAN_MARGIN, Accuracy, Look
from monitoring.drift import MATTERS, Drift
from sagemaker_runtime.baseline.bins import Bins
from sagemaker_runtime.baseline.moments import Moments

NOW, BEFORE, ALARM, SOFT = "#1f6f8b", "#b8c4c9", "#c2410c", "#5b6770"
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#d5dbde",
    "axes.labelcolor": "#1b262c",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.color": "#e4e9eb",
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: found, read aloud, in the page's font
    "svg.hashsalt": "monitoring",  # the same picture in the same bytes
    "text.color": "#1b262c",
    "xtick.bottom": False,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "ytick.left": False,
}
WIDTH = 560 / 72  # inches: 560 units of SVG
MOST_SEGMENTS = 24


def drifts(found: Sequence[Drift]) -> str:
    """
    Draw each column's index as a bar, beside the threshold.
    """
    ranked = sorted(found, key=lambda each: -each.psi)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, (70 + 22 * len(ranked)) / 72))
        axes = figure.subplots()
        colours = [ALARM if each.has_drifted else NOW for each in ranked]
        bars = axes.barh([each.name for each in ranked], [e.psi for e in ranked], color=colours)
        axes.bar_label(bars, [f"{each.psi:.2f}" for each in ranked], padding=4)
        axes.axvline(MATTERS, color=SOFT, dashes=(4, 3), linewidth=1)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * max(2 * MATTERS, *(each.psi for each in ranked)))
        axes.set_xlabel(f"population stability index; what exceeds {MATTERS} may matter")
        return _svg(figure, "Drift by column", "; ".join(f"{e.name}: {e.psi:.2f}" for e in ranked))


def distribution(drift: Drift, bins: Bins) -> str:
    """
    Draw the shares of a column's bins, in training and now.
    """
    before = bins.counts / max(bins.counts.sum(), 1)
    now = drift.counts / max(drift.counts.sum(), 1)
    used = np.flatnonzero(before + now)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 230 / 72))
        axes = figure.subplots()
        places = np.arange(len(used))
        axes.bar(places - 0.2, before[used], width=0.4, color=BEFORE, label="training")
        axes.bar(places + 0.2, now[used], width=0.4, color=ALARM, label="this window")
        names = [bins.names[place] for place in used]
        axes.set_xticks(places, names, rotation=35, ha="right", fontsize=8)
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2)  # inside it would hide a bar
        told = (f"{n}: {before[p]:.0%}, {now[p]:.0%}" for n, p in zip(names, used, strict=True))
        return _svg(figure, f"{drift.name}: share of rows", "; ".join(told))


def rolling(looks: Sequence[Look], baseline: Moments) -> str:
    """
    Draw the mean error and the mean absolute error of the newest rows as labels came in.
    """
    rows = [look.rows for look in looks]
    margin = MEAN_MARGIN * baseline.mae
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 260 / 72))
        axes = figure.subplots()
        maes = [look.accuracy.moments.mae for look in looks]
        if baseline.is_share:
            axes.plot(rows, maes, color=NOW, label="share of wrong predictions")
        else:
            axes.axhspan(
                baseline.mean - margin, baseline.mean + margin, color=BEFORE, alpha=0.45,
                linewidth=0,
            )  # fmt: skip
            means = [look.accuracy.moments.mean for look in looks]
            axes.plot(rows, means, color=NOW, label="label less prediction, mean")
            axes.plot(rows, maes, "--", color=SOFT, label="absolute error, mean")
        axes.axhline(baseline.mae, color=BEFORE, linewidth=1, linestyle="--")
        if first := next((look for look in looks if look.alarms), None):
            axes.axvline(first.rows, color=ALARM, linewidth=1.2)
            axes.annotate(
                f"first alarm after {first.rows:,} rows",
                (first.rows, 1.02),  # above the lines, which it would cross
                xycoords=("data", "axes fraction"),
                color=ALARM,
                ha="center",
            )
        unit = "share" if baseline.is_share else "in units of the label"
        axes.set(xlabel="labelled rows", ylabel=unit)
        axes.grid(axis="y")
        axes.margins(x=0.01)
        figure.legend(loc="outside upper left", ncols=2)
        return _svg(figure, "Errors of the newest rows", "grey: what training promised")


def segments(found: Sequence[tuple[str, Accuracy]], whole: Accuracy) -> str:
    """
    Draw by how much each segment's mean error has shifted, with its interval.
    """
    ranked = sorted(found, key=lambda one: -abs(one[1].shift))[:MOST_SEGMENTS]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, (80 + 20 * len(ranked)) / 72))
        axes: Axes = figure.subplots()
        for place, (_, each) in enumerate(ranked):
            is_clear = abs(each.shift) > each.shift_ends
            axes.errorbar(
                each.shift, place, xerr=each.shift_ends, fmt="o",
                color=ALARM if is_clear else SOFT, elinewidth=1.4, markersize=4.5,
            )  # fmt: skip
        names = [f"{name} ({each.moments.rows:,})" for name, each in ranked]
        axes.set_yticks(range(len(ranked)), names)
        axes.axvline(0, color=SOFT, linewidth=1)
        axes.axvline(whole.shift, color=NOW, linewidth=1, dashes=(4, 3))
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_xlabel("shift of the mean error since training, 95 %; dashed: all rows")
        told = "; ".join(f"{n}: {e.shift:+.2f} ± {e.shift_ends:.2f}" for n, e in ranked)
        return _svg(figure, "Shift by segment", told)


def _svg(figure: Figure, title: str, aloud: str) -> str:
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    # Names in a picture must not be those of another one on the page.
    mark = re.sub(r"\W", "", title)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{mark}-", text)
    label = escape(f"{title}. {aloud}", quote=True)
    text = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"|<svg ', "<svg ", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f"<figure><figcaption>{escape(title)}</figcaption>{text}</figure>"
