"""
The evaluation page's pictures, drawn by matplotlib and returned as SVG to stand in HTML.

Their colours are those of the page's style sheet, so that they follow light and dark.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

LEVELS = 8  # shades of the density
# Stand-ins that become the style sheet's colours when the picture is written.
INK, SOFT, RULE, ACCENT = "#000001", "#000002", "#000003", "#000004"
SHADES = [f"#0000{10 + level}" for level in range(LEVELS)]
COLOURS = {INK: "ink", SOFT: "soft", RULE: "rule", ACCENT: "accent"} | {
    shade: f"level{level}" for level, shade in enumerate(SHADES)
}
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.labelpad": 7,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.color": RULE,
    "grid.linewidth": 1,
    "svg.fonttype": "none",  # text stays text: found, read aloud, in the page's font
    "svg.hashsalt": "taxi_fare",  # the same picture in the same bytes
    "text.color": SOFT,
    "xtick.bottom": False,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "ytick.left": False,
}
WIDTH = 400 / 72  # inches: 400 units of SVG, which a phone shows about one to one
CROWDED = 10  # more names than that are thinned

Group = Mapping[str, Any]


def by_group(title: str, groups: Sequence[Group], x: str) -> str:
    """
    Draw each group's mean absolute error as a column; ``x`` names the axis with its unit.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 250 / 72))
        axes = figure.subplots()
        errors = [group["mae"] or 0.0 for group in groups]
        bars = axes.bar(range(len(groups)), errors, width=0.78, color=ACCENT)
        for bar, group in zip(bars, groups, strict=True):
            _tip(bar, f"{group['name']}: {dollars(group['mae'])} on {group['rows']:,} trips")
        every = 3 if len(groups) > CROWDED else 1
        axes.set_xticks(range(0, len(groups), every), [g["name"] for g in groups[::every]])
        axes.set(xlabel=x, ylabel="mean absolute error")
        ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, max(errors) or 1.0)
        axes.set_yticks(
            ticks, [f"${tick:g}" if tick == int(tick) else dollars(tick) for tick in ticks]
        )
        axes.set_ylim(0, ticks[-1])
        axes.margins(x=0.01)
        axes.grid(axis="y")
        return _svg(figure, title, "; ".join(f"{g['name']}: {dollars(g['mae'])}" for g in groups))


def by_age(title: str, groups: Sequence[Group]) -> str:
    """
    Draw the mean absolute error by months since training of a model that did not see those months,
    and of one that did.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 230 / 72))
        axes = figure.subplots()
        places = range(len(groups))
        lines = (
            ("trained on earlier trips", [g["mae"] for g in groups], ACCENT, "-"),
            (
                "trained on trips of that time too",
                [g["same_time"]["mae"] for g in groups],
                SOFT,
                "--",
            ),
        )
        for name, errors, colour, style in lines:
            axes.plot(places, errors, style, marker="o", color=colour, label=name)
        ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(
            0, max([error for _, errors, *_ in lines for error in errors], default=1.0)
        )
        axes.set_yticks(ticks, [dollars(tick) for tick in ticks])
        axes.set_ylim(0, ticks[-1])
        axes.set_xticks(places, [group["name"] for group in groups])
        axes.set(xlabel="months after the last trip trained on", ylabel="mean absolute error")
        axes.margins(x=0.08)
        axes.grid(axis="y")
        axes.legend(loc="lower right", frameon=False, labelcolor=SOFT)
        aloud = "; ".join(
            f"{g['name']} months: {dollars(g['mae'])}, {dollars(g['same_time']['mae'])}"
            for g in groups
        )
        return _svg(figure, title, aloud)


def importance(title: str, growths: Mapping[str, float]) -> str:
    """
    Draw by how many dollars the RMSE grows for each feature, as bars in the order given.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, (60 + 21 * len(growths)) / 72))
        axes = figure.subplots()
        names = [name.replace("_", " ") for name in growths]
        bars = axes.barh(names, [max(value, 0.0) for value in growths.values()], color=ACCENT)
        axes.bar_label(bars, [f"{value:.2f}" for value in growths.values()], padding=4, color=INK)
        for bar, (name, value) in zip(bars, growths.items(), strict=True):
            _tip(bar, f"{name}: RMSE grows by {dollars(value)}")
        axes.invert_yaxis()
        axes.margins(x=0.15, y=0.02)
        axes.set_xlim(left=0)
        axes.set_xticks([])
        axes.set_xlabel("growth of RMSE in dollars", loc="left")
        axes.spines.bottom.set_visible(False)
        aloud = "; ".join(f"{name}: {dollars(value)}" for name, value in growths.items())
        return _svg(figure, title, aloud)


def density(title: str, cells: Sequence[tuple[int, int, int]], side: int) -> str:
    """
    Draw counts of trips by actual and predicted fare, and the diagonal on which both agree.

    ``cells`` holds (actual, predicted, count) in whole dollars below ``side``, counts above 0. A
    shade stands for a range of counts, each as many times the one before.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 425 / 72))
        axes = figure.subplots()
        most = max((count for _, _, count in cells), default=1)
        levels = [int(LEVELS * math.log(count) / math.log(most + 1)) for _, _, count in cells]
        for level, shade in enumerate(SHADES):
            places = [cell[:2] for cell, of in zip(cells, levels, strict=True) if of == level]
            if places:  # one path for all: a tenth of the size of a rectangle for each
                axes.add_patch(PathPatch(_squares(places), color=shade, linewidth=0))
        axes.plot([0, side], [0, side], color=SOFT, linewidth=1, dashes=(4, 3))
        axes.set(xlim=(0, side), ylim=(0, side), aspect="equal")
        axes.set(xlabel="actual fare in dollars", ylabel="predicted fare in dollars")
        axes.grid()
        _legend(axes, most)
        description = (
            f"Counts of trips per dollar of actual and of predicted fare up to {side} dollars; "
            "most lie along the diagonal."
        )
        return _svg(figure, title, description)


def dollars(value: float | None) -> str:
    """
    Write an amount, or a dash where there is none.
    """
    return "-" if value is None else f"${value:,.2f}"


def _squares(places: Sequence[tuple[int, int]]) -> Path:
    corner = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    vertices = (np.array(places)[:, np.newaxis] + corner).reshape(-1, 2)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(vertices.astype(float), codes * len(places))


def _legend(axes: Axes, most: int) -> None:
    """
    Draw the shades below the axes, from one trip to the most.
    """
    swatches: list[Any] = [Rectangle((0, 0), 1, 1, color=shade, linewidth=0) for shade in SHADES]
    none = Line2D([], [], linestyle="none")
    axes.legend(
        [none, *swatches],
        ["1 trip\N{NO-BREAK SPACE}", *[""] * (LEVELS - 1), f"\N{NO-BREAK SPACE}{most:,}"],
        ncols=LEVELS + 1,
        loc="upper right",
        bbox_to_anchor=(1, -0.13),
        borderaxespad=0,
        frameon=False,
        borderpad=0,
        columnspacing=0,
        handlelength=1.5,
        handletextpad=0,
    )


def _tip(bar: Rectangle, words: str) -> None:
    """
    Let a bar say something when the pointer is over it.
    """
    bar.set_gid(f"tip {words}")


def _svg(figure: Figure, title: str, description: str) -> str:
    """
    Return the figure as an element for HTML: no identifiers, which would clash with other figures',
    and nothing that refers to one.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    text = re.sub(r"<(metadata|defs)>.*?</\1>|<!--.*?-->", "", stream.getvalue(), flags=re.DOTALL)
    text = re.sub(r'<g id="tip ([^"]*)">', r"<g><title>\1</title>", text)
    text = re.sub(r' (id|clip-path)="[^"]*"', "", text)
    text = re.sub(r"font-(size|family): [^;\"]*; ", "", text)  # the style sheet has them
    for colour, name in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    inside = text.partition("<svg ")[2].partition(">")[2]
    width, height = figure.get_size_inches() * 72  # as many units an inch
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {width:g} {height:g}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        + re.sub(r"\s*\n\s*", " ", inside)
    )
