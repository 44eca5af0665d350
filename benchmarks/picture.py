"""
The picture of a run: what a reader decides by.
"""

import io
import math
import re
from typing import Any

from figures import MODELS, Medians, Results, short
from subjects import SUBJECTS, Subject

# The chart: one panel per model, one mark per way to serve it.
FIGURE = "16_per_s"
PICTURE = "requests/s at 16 connections, by model and way to serve it"
INK = {"ours": "#1a7f5a", "limit": "#9aa5b1", "peer": "#c8773a"}
STYLE: Any = {
    "axes.spines.bottom": False,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "performance",  # the same results in the same bytes
    "ytick.left": False,
}


def chart(results: Results) -> str:
    """
    Draw requests/s at 16 connections as SVG: what people bring first, each way to serve by the
    better of its settings.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    medians = Medians(results)
    panels = [
        (title, marks)
        for title, figure in (
            *((title, f"{model}_{FIGURE}") for model, title in MODELS.items()),
            ("the sample", f"row_{FIGURE}"),
        )
        if (marks := _marks(medians, figure))
    ]
    with mpl.rc_context(STYLE):
        lines = math.ceil(len(panels) / 2)
        most = max(len(marks) for _, marks in panels)
        figure = Figure(figsize=(10, (0.6 + 0.2 * most) * lines), layout="constrained")
        parts = figure.subfigures(lines, 2, squeeze=False).ravel()
        for part, (title, marks) in zip(parts, panels, strict=False):
            part.suptitle(
                f"{title}: requests/s at 16", x=0.02, ha="left", weight="bold", fontsize=9
            )
            axes = part.subplots()
            axes.grid(axis="x", color="#e4e7eb")
            for at, (value, subject) in enumerate(marks):
                axes.plot(value, at, "o", color=INK[subject.role], clip_on=False)
                words = short(value) + (" with batching" if subject.batches else "")
                axes.annotate(words, (value, at), (6, 0), textcoords="offset points", va="center")
            axes.set_yticks(range(len(marks)), [subject.family for _, subject in marks])
            axes.set_ylim(len(marks) - 0.5, -0.5)
            axes.set_xlim(0, 1.35 * marks[0][0])
            axes.tick_params(length=0)
        stream = io.StringIO()
        about = {"Title": PICTURE, "Date": None, "Creator": None}
        figure.savefig(stream, format="svg", metadata=about)
    return re.sub(r"[ \t]+$", "", stream.getvalue(), flags=re.MULTILINE)


def _marks(medians: Medians, figure: str) -> list[tuple[float, Subject]]:
    """
    Return the best of each family, the quickest first.
    """
    best: dict[str, tuple[float, Subject]] = {}
    for subject in SUBJECTS:
        value = medians.of(subject.name, figure) or medians.look(subject.name, figure)
        if value and value > best.get(subject.family, (0.0, subject))[0]:
            best[subject.family] = (value, subject)
    return sorted(best.values(), key=lambda each: -each[0])
