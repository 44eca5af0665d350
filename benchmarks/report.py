"""
From figures to ratios and tables; as a program, puts them into the documentation.
"""

import json
import statistics
from pathlib import Path

from figures import LABELS, MODELS, Medians, Results, short
from goals import GOALS, SHOWN
from picture import PICTURE, chart

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DOCS = HERE.parent / "docs"
PAGES = (DOCS / "performance.md", HERE.parent / "README.md")
CHART = DOCS / "performance.svg"

# Of the machine's speed, between the quickest and the slowest moment of a run.
DRIFT = 0.15


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
    parts = [_goals(medians), _people(medians), _sample(medians), _machine(results)]
    if results["absent"]:
        lines = sorted(f"- {_name(name)}: {why}" for name, why in results["absent"].items())
        parts.append("Absent:\n\n" + "\n".join(lines))
    if results["notes"]:
        parts.append("Not measured:\n\n" + "\n".join(f"- {why}" for why in results["notes"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _name(key: str) -> str:
    subject, _, model = key.partition(" ")
    return ", ".join(filter(None, (LABELS.get(subject, subject), MODELS.get(model, model))))


def ratio_lines(rows: list[tuple[str, float | None, str, float]]) -> str:
    """
    Render ratios: what, the figure if there is one, and the goal as a sign and a number.
    """
    lines = ["| figure | measured | goal | |", "|---|---|---|---|"]
    for what, value, sign, bar in rows:
        if value is not None:
            met = "met" if (value >= bar if sign == "≥" else value <= bar) else "**missed**"
            lines.append(f"| {what} | {short(value)} | {sign} {bar:g} | {met} |")
    return "\n".join(lines)


def _goals(medians: Medians, shown: bool = False) -> str:
    """
    Render the ratios, or only those that README shows.
    """
    rows = []
    for what, above, below, sign, bar in GOALS:
        if shown and not ("the others" in what and above in SHOWN):
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


PEOPLE_COLUMNS = (
    ("p50 at 1 connection, ms", "1_p50_ms"),
    ("requests/s at 1", "1_per_s"),
    ("at 16", "16_per_s"),
    ("at 64", "64_per_s"),
    ("p99 at 16, ms", "16_p99_ms"),
    ("p99 at 64, ms", "64_p99_ms"),
)


def _people(medians: Medians) -> str:
    """
    Render what people bring: medians with their ranges, and in italics what a brief look gave.
    """
    lines = []
    for model, what in MODELS.items():
        for name in medians.names:
            cells = []
            for _, figure in PEOPLE_COLUMNS:
                seen = medians.look(name, f"{model}_{figure}")
                measured = _cell(medians.all(name, f"{model}_{figure}"))
                cells.append(measured or (f"*{short(seen)}*" if seen else ""))
            if any(cells):
                lines.append(f"| {what} | {LABELS[name]} | " + " | ".join(cells) + " |")
    if not lines:
        return ""
    head = ["| model | | " + " | ".join(title for title, _ in PEOPLE_COLUMNS) + " |"]
    return "\n".join([*head, "|---|---|" + "---|" * len(PEOPLE_COLUMNS), *lines])


def _sample(medians: Medians) -> str:
    """
    Render the sample's medians, each with the range of its rounds where there were several.
    """
    lines = []
    for name in medians.names:
        cells = [_cell(medians.all(name, figure)) for _, figure in COLUMNS]
        if any(cells):
            lines.append(f"| {LABELS[name]} | " + " | ".join(cells) + " |")
    if not lines:
        return ""
    head = ["| the sample | " + " | ".join(title for title, _ in COLUMNS) + " |"]
    return "\n".join([*head, "|---|" + "---|" * len(COLUMNS), *lines])


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    text = short(statistics.median(values))
    if len(values) > 1:
        text += f" ({short(min(values))} to {short(max(values))})"
    return text


def _machine(results: Results) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in results["machine"].items())
    versions = "; ".join(
        sorted({versions for name, versions in results["versions"].items() if versions})
    )
    every = [values for figures in results["rounds"].values() for values in figures.values()]
    rounds = max(map(len, every), default=0)
    drift = f"One processor's speed varied by {results['drift']:.0%} meanwhile"
    if results["drift"] > DRIFT:
        drift = (
            f"**This run drifted**: {drift.lower()}; only what stands next to each other compares"
        )
    return (
        f"Medians of {rounds} round{'s' if rounds > 1 else ''} of {results['seconds']} s, in "
        f"italics one look of 1 s; two workers each, large body {results['batch_mb']:g} MB, "
        f"{results['minutes']:.0f} minutes. {drift}. Machine: {facts}. Packages: {versions}."
    )


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


def batch_transform(results: Results) -> str:
    """
    Render a run of batch_transform.py as Markdown: ratios first.
    """
    ours, classic = results["jobs"]["ours"], results["jobs"]["classic"]
    what = f"batch transform of {results['gb']:g} GB, rows/s: this project / classic sample, tuned"
    rows = [
        (what, classic["seconds"] / ours["seconds"], "≥", 5.0),
        ("its peak memory, MB", ours["peak_mb"], "≤", 400.0),
    ]
    lines = ["| | seconds | rows/s | peak memory, MB |", "|---|---|---|---|"]
    for label, job in (("this project", ours), ("classic sample, tuned", classic)):
        cells = (job["seconds"], results["rows"] / job["seconds"], job["peak_mb"])
        lines.append(f"| {label} | " + " | ".join(map(short, cells)) + " |")
    facts = "; ".join(f"{name} {value}" for name, value in results["machine"].items())
    return "\n\n".join([ratio_lines(rows), "\n".join(lines), f"Machine: {facts}."]) + "\n"


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
    renders = {
        "serving": serving,
        "batch_transform": batch_transform,
        "training": training,
        "growth": training,
    }
    for name, render in renders.items():
        file = RESULTS / f"{name}.json"
        if file.is_file():
            results = json.loads(file.read_text())
            blocks[f"benchmark {name}"] = f"\n{render(results)}\n"
            if name == "serving":
                CHART.write_text(chart(results))
                picture = f"![{PICTURE}]"
                blocks[f"benchmark {name}"] += f"{picture}({CHART.name})\n\n"
                ratios = _goals(Medians(results), shown=True)
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
