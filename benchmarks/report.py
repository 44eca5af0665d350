"""
From figures to ratios, tables and a chart; as a program, puts them into the documentation.
"""

import io
import json
import math
import re
import statistics
from pathlib import Path
from typing import Any

from subjects import SUBJECTS

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DOCS = HERE.parent / "docs"
PAGES = (DOCS / "performance.md", HERE.parent / "README.md")
CHART = DOCS / "performance.svg"

LABELS = {subject.name: subject.label for subject in SUBJECTS}
ROLES = {subject.name: subject.role for subject in SUBJECTS}

Results = dict[str, Any]


class Medians:
    """
    The medians of a run's rounds; None stands for what was not measured.
    """

    def __init__(self, results: Results) -> None:
        self._rounds = results["rounds"]
        self.names = [subject.name for subject in SUBJECTS if subject.name in self._rounds]

    def all(self, name: str, figure: str) -> list[float]:
        return [r[figure] for r in self._rounds.get(name, ()) if figure in r]

    def of(self, name: str, figure: str) -> float | None:
        values = self.all(name, figure)
        return statistics.median(values) if values else None

    def term(self, text: str) -> float | None:
        """
        Return the figure that a term of GOALS names.
        """
        who, figure = text.split()
        if who not in ("most", "least"):
            return self.of(who, figure)
        peers = (self.of(name, figure) for name in self.names if ROLES[name] == "peer")
        found = [value for value in peers if value is not None]
        choose = max if who == "most" else min
        return choose(found) if found else None


def keep(name: str, results: Results) -> None:
    """
    Write results to ``results/NAME.json``.
    """
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


def serving(results: Results) -> str:
    """
    Render a run of serving.py as Markdown: ratios first.
    """
    medians = Medians(results)
    parts = [_goals(medians), _table(medians), _machine(results)]
    if results["absent"]:
        lines = (f"- {LABELS[name]}: {why}" for name, why in results["absent"].items())
        parts.append("Absent:\n\n" + "\n".join(lines))
    notes = {
        f"- {LABELS[name]}, {part.replace('_', ' ')}: {why}"
        for name in medians.names
        for measured in results["rounds"][name]
        for part, why in measured["notes"].items()
    }
    if notes:
        parts.append("Not measured:\n\n" + "\n".join(sorted(notes)))
    return "\n\n".join(parts) + "\n"


def ratio_lines(rows: list[tuple[str, float | None, str, float]]) -> str:
    """
    Render ratios: what, the figure if there is one, and the goal as a sign and a number.
    """
    lines = ["| figure | measured | goal | |", "|---|---|---|---|"]
    for what, value, sign, bar in rows:
        if value is not None:
            met = "met" if (value >= bar if sign == "≥" else value <= bar) else "**missed**"
            lines.append(f"| {what} | {_short(value)} | {sign} {bar:g} | {met} |")
    return "\n".join(lines)


# What, which figure of whom over which of whom, and the goal. "most" and "least" are the others'
# largest and smallest; a figure that stands alone is over 1.
GOALS = (
    ("1 row, one connection, p50: this project / before",
     "ours row_1_p50_ms", "before row_1_p50_ms", "≤", 1.15),
    ("10,000-row CSV, one caller, rows/s: this project / before",
     "ours csv_1_rows_s", "before csv_1_rows_s", "≥", 0.75),
    ("10,000 rows of JSON, rows/s: this project / before",
     "ours json_rows_s", "before json_rows_s", "≥", 0.6),
    ("start to first good ping: this project / before",
     "ours ready_s", "before ready_s", "≤", 1.25),
    ("memory, idle: this project / before", "ours idle_mb", "before idle_mb", "≤", 1.1),
    ("1 row, one connection, p50: classic / this project",
     "classic row_1_p50_ms", "ours row_1_p50_ms", "≥", 20),
    ("1 row, one connection, p50: this project / empty route",
     "ours row_1_p50_ms", "empty row_1_p50_ms", "≤", 1.5),
    ("1 row, 16 connections, requests/s: this project / best of the others",
     "ours row_16_per_s", "most row_16_per_s", "≥", 15),
    ("1 row, 16 connections, requests/s: this project / empty route",
     "ours row_16_per_s", "empty row_16_per_s", "≥", 0.75),
    ("1 row, 64 connections, requests/s: this project / best of the others",
     "ours row_64_per_s", "most row_64_per_s", "≥", 15),
    ("1 row, 64 connections, requests/s: this project / empty route",
     "ours row_64_per_s", "empty row_64_per_s", "≥", 0.75),
    ("1 row, 64 connections: p99 / p50", "ours row_64_p99_ms", "ours row_64_p50_ms", "≤", 3),
    ("10,000-row CSV, one caller, rows/s: this project / best of the others",
     "ours csv_1_rows_s", "most csv_1_rows_s", "≥", 3),
    ("10,000-row CSV, two callers, rows/s: this project / best of the others",
     "ours csv_2_rows_s", "most csv_2_rows_s", "≥", 3),
    ("10,000-row CSV, one caller, cores in use", "ours csv_1_cores", "", "≥", 1.5),
    ("large CSV, rows/s: this project / best of the others",
     "ours batch_rows_s", "most batch_rows_s", "≥", 3),
    ("large CSV, peak memory, MB", "ours batch_peak_mb", "", "≤", 400),
    ("10,000 rows, time per row: JSON / CSV", "ours csv_1_rows_s", "ours json_rows_s", "≤", 1.5),
    ("10,000 rows, time per row: JSON Lines / CSV",
     "ours csv_1_rows_s", "ours jsonl_rows_s", "≤", 1.5),
    ("start to first good ping: this project / fastest of the others",
     "ours ready_s", "least ready_s", "≤", 0.25),
    ("start to first prediction: this project / fastest of the others",
     "ours first_prediction_s", "least first_prediction_s", "≤", 0.25),
    ("start to first good ping, s", "ours ready_s", "", "≤", 0.5),
    ("memory, idle: this project / classic", "ours idle_mb", "classic idle_mb", "≤", 0.33),
    ("memory, loaded: this project / classic", "ours loaded_mb", "classic loaded_mb", "≤", 0.33),
    ("ping p99 while all workers chew large bodies, ms", "ours ping_p99_ms", "", "≤", 100),
)  # fmt: skip


def _goals(medians: Medians, beside_others: bool = False) -> str:
    """
    Render the ratios, or only those beside what people would pick instead.
    """
    rows = []
    for what, above, below, sign, bar in GOALS:
        if beside_others and not ("the others" in what or "classic" in what):
            continue
        value, over = medians.term(above), medians.term(below) if below else 1.0
        rows.append((what, value / over if value and over else None, sign, float(bar)))
    return ratio_lines(rows)


COLUMNS = (
    ("1 row p50, ms", "row_1_p50_ms"),
    ("requests/s at 1", "row_1_per_s"),
    ("at 16", "row_16_per_s"),
    ("at 64", "row_64_per_s"),
    ("p99 at 64, ms", "row_64_p99_ms"),
    ("10,000 rows, rows/s, 1 caller", "csv_1_rows_s"),
    ("2 callers", "csv_2_rows_s"),
    ("large CSV, rows/s", "batch_rows_s"),
    ("its peak, MB", "batch_peak_mb"),
    ("start to ping, s", "ready_s"),
    ("to prediction, s", "first_prediction_s"),
    ("memory idle, MB", "idle_mb"),
    ("loaded, MB", "loaded_mb"),
    ("ping p99 meanwhile, ms", "ping_p99_ms"),
)


def _table(medians: Medians) -> str:
    """
    Render the medians, each with the range of its rounds where there were several.
    """
    lines = ["| | " + " | ".join(title for title, _ in COLUMNS) + " |"]
    lines.append("|---|" + "---|" * len(COLUMNS))
    for name in medians.names:
        cells = (_cell(medians.all(name, figure)) for _, figure in COLUMNS)
        lines.append(f"| {LABELS[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    text = _short(statistics.median(values))
    if len(values) > 1:
        text += f" ({_short(min(values))} to {_short(max(values))})"
    return text


def _short(value: float) -> str:
    """
    Write a figure with three digits, or as thousands.
    """
    if value >= 100_000:
        return f"{value / 1000:,.0f}k"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _machine(results: Results) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in results["machine"].items())
    versions = "; ".join(
        sorted({versions for name, versions in results["versions"].items() if versions})
    )
    rounds = max(map(len, results["rounds"].values()), default=0)
    return (
        f"Medians of {rounds} round{'s' if rounds > 1 else ''}, two workers each, large body "
        f"{results['batch_mb']:g} MB, {results['minutes']:.0f} minutes. Machine: {facts}. "
        f"Packages: {versions}."
    )


# The chart: one panel per figure, bars on a logarithmic scale.
PANELS = (
    ("1 row at 16 connections, requests/s", "row_16_per_s"),
    ("10,000-row CSV, one caller, rows/s", "csv_1_rows_s"),
    ("start to first good ping, s", "ready_s"),
    ("memory loaded, MB", "loaded_mb"),
)
INK = {"ours": "#1a7f5a", "limit": "#9aa5b1", "peer": "#c8773a", "aside": "#c8773a"}
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
    Draw the medians as SVG.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    medians = Medians(results)
    names = medians.names
    panels = [
        (title, values)
        for title, figure in PANELS
        if any(values := [medians.of(name, figure) for name in names])
    ]
    with mpl.rc_context(STYLE):
        lines = math.ceil(len(panels) / 2)
        figure = Figure(figsize=(10, (0.9 + 0.17 * len(names)) * lines), layout="constrained")
        parts = figure.subfigures(lines, 2, squeeze=False).ravel()
        for part, (title, values) in zip(parts, panels, strict=False):
            part.suptitle(f"{title} (logarithmic)", x=0.02, ha="left", weight="bold", fontsize=9)
            axes = part.subplots()
            known = [value for value in values if value]
            start = min(known) / 2  # so that the shortest bar is one
            colours = [INK[ROLES[name]] for name in names]
            lengths = [(value or start) - start for value in values]
            bars = axes.barh(range(len(names)), lengths, 0.75, left=start, color=colours)
            words = [_short(value) if value else "" for value in values]
            axes.bar_label(bars, words, padding=3)
            axes.set_yticks(range(len(names)), [LABELS[name] for name in names])
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xscale("log")
            axes.set_xlim(start, max(known) * (max(known) / start) ** 0.12)
            axes.set_xticks([])
            axes.minorticks_off()
        stream = io.StringIO()
        about = {"Title": ", ".join(title for title, _ in panels), "Date": None, "Creator": None}
        figure.savefig(stream, format="svg", metadata=about)
    return re.sub(r"[ \t]+$", "", stream.getvalue(), flags=re.MULTILINE)


def training(results: Results) -> str:
    """
    Render a run of training.py as Markdown: ratios first.
    """
    rows = [(r["what"], r["value"], r["sign"], r["bar"]) for r in results["ratios"]]
    lines = [
        "| rows | | seconds | peak memory, MB | validation RMSE, dollars |",
        "|---|---|---|---|---|",
    ]
    for run in results["runs"]:
        error = f"{run['rmse']:.3f}" if run.get("rmse") else ""
        lines.append(
            f"| {run['rows'] / 1e6:g} million | {run['label']} | {_cell(run['seconds'])} | "
            f"{_cell(run['peak_mb'])} | {error} |"
        )
    facts = "; ".join(f"{name} {value}" for name, value in results["machine"].items())
    parts = [ratio_lines(rows)] if rows else []
    return "\n\n".join([*parts, "\n".join(lines), f"Machine: {facts}."]) + "\n"


def fill(page: str, name: str, text: str) -> str:
    """
    Put text between ``<!-- NAME -->`` and ``<!-- /NAME -->`` of a page, if it has them.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = page.partition(start)
    _, closed, tail = rest.partition(end)
    return f"{head}{start}\n{text}{end}{tail}" if found and closed else page


def main() -> None:
    """
    Fill the pages' blocks and draw the chart from what the last full runs left.
    """
    blocks = {}
    for name, render in (("serving", serving), ("training", training), ("growth", training)):
        file = RESULTS / f"{name}.json"
        if file.is_file():
            results = json.loads(file.read_text())
            blocks[f"benchmark {name}"] = f"\n{render(results)}\n"
            if name == "serving":
                CHART.write_text(chart(results))
                picture = f"![{', '.join(title for title, _ in PANELS)}]"
                blocks[f"benchmark {name}"] += f"{picture}({CHART.name})\n\n"
                ratios = _goals(Medians(results), beside_others=True)
                blocks["benchmark ratios"] = (
                    f"\n{ratios}\n\n{picture}({DOCS.name}/{CHART.name})\n\n"
                )
    for page in PAGES:
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            for name, block in blocks.items():
                text = fill(text, name, block)
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
