# ruff: noqa: S603 - starts this project's training and pandas'
"""
Measures training against the script that one writes with pandas and scikit-learn.

    python benchmarks/training.py [--rows N,...] [--rounds N] [--growth] [--only NAME,...]

Each subject runs in its own process, in turn with the others; peak memory is the largest
resident size of that process. A fifth of the rows is a separate file, on which all judge.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import report
from environments import CONTAINER, PEERS
from machine import describe

ROWS = (1_000_000, 5_000_000)
GROWTH_ROWS = (500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)
# From here on a fit takes long enough to gain from what is around it.
MANY_ROWS = 5_000_000
LONGEST_S = 4 * 3600
READ = """\
import sys
from pathlib import Path
from sagemaker_runtime.training import tables
from taxi_fare import blocks
from taxi_fare.schema import INPUT
blocks.matrix(blocks.join(tables.read(Path(sys.argv[1]), INPUT)))
"""
CHOICES = """\
from taxi_fare import HYPERPARAMETERS
choices = {h.name: [h.default, *(c for c in h.choices if c != h.default)] for h in HYPERPARAMETERS}
print(*choices.get("estimator", []))
"""


@dataclass(frozen=True)
class Subject:
    """
    One way to read or train; {data} stands for the folder with the rows of both channels.
    """

    name: str
    label: str
    command: tuple[str, ...]
    hyperparameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """
    What one process took: seconds, MB and, where it judged its model, dollars.
    """

    seconds: float
    peak_mb: float
    rmse: float | None


def subjects() -> list[Subject]:
    """
    Return reading and training, this project with every estimator that it offers, and pandas'.
    """
    listed = subprocess.run(
        [sys.executable, "-c", CHOICES], cwd=CONTAINER, capture_output=True, text=True, check=True
    ).stdout.split()
    train = (sys.executable, str(CONTAINER / "train"))
    script = (sys.executable, str(PEERS / "pandas_training.py"), "{data}")
    return [
        Subject(
            "read", "reading and features, this project", (sys.executable, "-c", READ, "{data}")
        ),
        Subject("pandas read", "reading and features, pandas", (*script, "read")),
        *(
            subject
            for name in listed
            for subject in (
                Subject(
                    f"train {name}", f"training, this project, {name}", train, {"estimator": name}
                ),
                Subject(f"pandas {name}", f"training, pandas and {name}", (*script, name)),
            )
        ),
    ]


def run(subject: Subject, data: Path) -> Run:
    """
    Run a subject on the rows in a folder; ends the program with its output when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        root = Path(folder)
        (root / "input/config").mkdir(parents=True)
        (root / "input/data").symlink_to(data)
        hyperparameters = root / "input/config/hyperparameters.json"
        hyperparameters.write_text(json.dumps(subject.hyperparameters))
        # As ``train`` sets them for itself; the script is given the same.
        environ = os.environ | {
            "SAGEMAKER_BASE_DIR": folder,
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "1000",
            "PYTHONPATH": f"{CONTAINER}:{PEERS}",
        }
        command = [part.replace("{data}", str(data)) for part in subject.command]
        with (root / "log").open("w+") as log:
            began = time.perf_counter()
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
            usage, code = _wait(process)
            seconds = time.perf_counter() - began
            log.seek(0)
            printed = log.read()
    if code != 0:
        sys.exit(f"{subject.label} failed with exit code {code}:\n{printed[-3000:]}")
    found = re.findall(r"validation:rmse=([-+0-9.e]+);", printed)
    return Run(seconds, usage.ru_maxrss / 1024, float(found[-1]) if found else None)


def _wait(process: subprocess.Popen[bytes]) -> tuple[Any, int]:
    """
    Wait for a process and return what it used and its exit code; kill it after LONGEST_S.
    """
    deadline = time.monotonic() + LONGEST_S
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage, process.returncode
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.02)


def simulate(rows: int, data: Path) -> None:
    """
    Write simulated trips as the channels training and validation.
    """
    for seed, (channel, share) in enumerate((("training", 0.8), ("validation", 0.2)), 1):
        (data / channel).mkdir(parents=True, exist_ok=True)
        arguments = ["--rows", str(round(rows * share)), "--seed", str(seed)]
        out = ["--out", str(data / channel / "trips.csv")]
        command = [sys.executable, "-m", "taxi_fare.simulation", *arguments, *out]
        subprocess.run(command, cwd=CONTAINER, check=True)


def ratios(runs: dict[tuple[int, str], list[Run]]) -> Iterator[dict[str, Any]]:
    """
    Yield what the medians come to against pandas' and as the rows grow, with the goal for each.
    """

    def seconds(rows: int, name: str) -> float:
        return statistics.median(run.seconds for run in runs[rows, name])

    def peak(rows: int, name: str) -> float:
        return statistics.median(run.peak_mb for run in runs[rows, name])

    def error(rows: int, name: str) -> float:
        return runs[rows, name][-1].rmse or float("nan")

    def ratio(what: str, value: float, sign: str, bar: float) -> dict[str, Any]:
        return {"what": what, "value": value, "sign": sign, "bar": bar}

    sizes = sorted({rows for rows, _ in runs})
    for rows in sizes:
        size = f"{rows / 1e6:g} million rows"
        if (rows, "read") in runs and (rows, "pandas read") in runs:
            yield ratio(f"{size}, reading and features: pandas / this project",
                        seconds(rows, "pandas read") / seconds(rows, "read"), "≥", 10)  # fmt: skip
        for ours in [name for r, name in runs if r == rows and name.startswith("train ")]:
            chosen = ours.removeprefix("train ")
            theirs = f"pandas {chosen}"
            if (rows, theirs) in runs:
                yield ratio(f"{size}, training with {chosen}: pandas / this project",
                            seconds(rows, theirs) / seconds(rows, ours), "≥",
                            1.8 if rows >= MANY_ROWS else 1.5)  # fmt: skip
                yield ratio(f"{size}, validation RMSE with {chosen}: this project / pandas",
                            error(rows, ours) / error(rows, theirs), "≤", 1)  # fmt: skip
            if (rows, "pandas scikit-learn") in runs:
                least = 0.4 if chosen == "lightgbm" or rows >= MANY_ROWS else 0.6
                yield ratio(f"{size}, peak memory: this project with {chosen} / "
                            "pandas and scikit-learn",
                            peak(rows, ours) / peak(rows, "pandas scikit-learn"),
                            "≤", least)  # fmt: skip
    # Linear growth: a row more costs at the end what it costs at the beginning.
    for name in {name: None for _, name in runs if len(sizes) > 3}:
        for what, figure in (("seconds", seconds), ("MB", peak)):
            first, last = (
                (figure(more, name) - figure(fewer, name)) / (more - fewer)
                for fewer, more in (sizes[:3:2], sizes[-2:])
            )
            yield ratio(f"{name}: {what} per row, {sizes[-2] / 1e6:g} to {sizes[-1] / 1e6:g} / "
                        f"{sizes[0] / 1e6:g} to {sizes[2] / 1e6:g} million rows",
                        last / first, "≤", 1.1)  # fmt: skip


def main() -> None:
    """
    Measure, print the ratios and tables, keep the figures of a run without --rows and --only.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--rows", metavar="N,...")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", metavar="NAME,...", help="such as 'read,train lightgbm'")
    parser.add_argument(
        "--growth",
        action="store_true",
        help="this project alone, by default 0.5 to 10 million rows",
    )
    options = parser.parse_args()
    sizes: tuple[int, ...] = GROWTH_ROWS if options.growth else ROWS
    if options.rows:
        sizes = tuple(int(rows) for rows in options.rows.split(","))
    chosen = [s for s in subjects() if not options.growth or s.name.startswith("train ")]
    if options.only:
        asked = options.only.split(",")
        if unknown := set(asked) - {subject.name for subject in chosen}:
            names = ", ".join(subject.name for subject in chosen)
            parser.error(f"--only {', '.join(unknown)}: expected some of {names}")
        chosen = [subject for subject in chosen if subject.name in asked]
    runs: dict[tuple[int, str], list[Run]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for rows in sizes:
            simulate(rows, Path(folder))
            for number in range(options.rounds):
                for subject in chosen:
                    done = run(subject, Path(folder))
                    runs.setdefault((rows, subject.name), []).append(done)
                    millions = rows / 1e6
                    print(
                        f"{rows:,} rows, round {number + 1}, {subject.label}: "
                        f"{done.seconds:.1f} s, {done.peak_mb:,.0f} MB; per million rows "
                        f"{done.seconds / millions:.1f} s, {done.peak_mb / millions:,.0f} MB",
                        flush=True,
                    )
    labels = {subject.name: subject.label for subject in chosen}
    results = {
        "runs": [
            {
                "rows": rows,
                "label": labels[name],
                "seconds": [r.seconds for r in done],
                "peak_mb": [r.peak_mb for r in done],
                "rmse": done[-1].rmse,
            }
            for (rows, name), done in runs.items()
        ],
        "ratios": list(ratios(runs)),
        "machine": describe(),
    }
    print()
    print(report.training(results))
    if not options.rows and not options.only:
        report.keep("growth" if options.growth else "training", results)


if __name__ == "__main__":
    main()
