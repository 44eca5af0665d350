# ruff: noqa: S603 - starts this project's training and pandas'
"""
Measures training against the script that one writes with pandas and scikit-learn.

    python benchmarks/training.py [--rows N,...] [--rounds N] [--growth]

Each subject runs in a process of its own, in turn with the others; peak memory is the largest
resident size of that process.
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
LONGEST_S = 4 * 3600
READ = """\
import sys
from pathlib import Path
from taxi_fare import features, reading
features.build(reading.read(Path(sys.argv[1])))
"""
CHOICES = """\
from taxi_fare import HYPERPARAMETERS
choices = {h.name: [h.default, *(c for c in h.choices if c != h.default)] for h in HYPERPARAMETERS}
print(*choices.get("estimator", []))
"""


@dataclass(frozen=True)
class Subject:
    """
    One way to read or train; {csv}, {channel} and {root} stand for where the rows are.
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
    Return reading and training, ours with every estimator that it offers, and pandas'.
    """
    listed = subprocess.run(
        [sys.executable, "-c", CHOICES], cwd=CONTAINER, capture_output=True, text=True, check=True
    ).stdout.split()
    train = (sys.executable, str(CONTAINER / "train"))
    script = (sys.executable, str(PEERS / "pandas_training.py"))
    return [
        Subject("read", "reading and features, ours", (sys.executable, "-c", READ, "{channel}")),
        Subject("pandas read", "reading and features, pandas", (*script, "read", "{csv}")),
        Subject("train", "training, ours", train),
        Subject("pandas train", "training, pandas and scikit-learn", (*script, "train", "{csv}")),
        *(
            Subject(f"train {name}", f"training, ours, {name}", train, {"estimator": name})
            for name in listed[1:]
        ),
    ]


def run(subject: Subject, csv: Path) -> Run:
    """
    Run a subject on the rows of a file; ends the program with its output when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        root = Path(folder)
        channel = root / "input/data/training"
        channel.mkdir(parents=True)
        (channel / csv.name).symlink_to(csv)
        (root / "input/config").mkdir()
        hyperparameters = root / "input/config/hyperparameters.json"
        hyperparameters.write_text(json.dumps(subject.hyperparameters))
        # As in this project's image; without it scikit-learn's threads fight where others run too.
        environ = os.environ | {
            "SAGEMAKER_BASE_DIR": folder,
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONPATH": f"{CONTAINER}:{PEERS}",
        }
        command = [part.format(csv=csv, channel=channel) for part in subject.command]
        with (root / "log").open("w+") as log:
            began = time.perf_counter()
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
            usage, code = _wait(process)
            seconds = time.perf_counter() - began
            log.seek(0)
            printed = log.read()
    if code != 0:
        sys.exit(f"{subject.label} failed with exit code {code}:\n{printed[-3000:]}")
    found = re.search(r"validation:rmse=([-+0-9.e]+);", printed)
    return Run(seconds, usage.ru_maxrss / 1024, float(found[1]) if found else None)


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


def ratios(runs: dict[tuple[int, str], list[Run]]) -> Iterator[dict[str, Any]]:
    """
    Yield what the medians come to against pandas', with the floor for each.
    """

    def seconds(rows: int, name: str) -> float:
        return statistics.median(run.seconds for run in runs[rows, name])

    def peak(rows: int, name: str) -> float:
        return statistics.median(run.peak_mb for run in runs[rows, name])

    def error(rows: int, name: str) -> float:
        return runs[rows, name][-1].rmse or float("nan")

    def ratio(what: str, value: float, sign: str, bar: float) -> dict[str, Any]:
        return {"what": f"{rows / 1e6:g} million rows, {what}", "value": value, "sign": sign,
                "bar": bar}  # fmt: skip

    for rows in sorted({rows for rows, name in runs if name == "pandas train"}):
        yield ratio("reading and features: pandas / ours",
                    seconds(rows, "pandas read") / seconds(rows, "read"), "≥", 10)  # fmt: skip
        for name in sorted({name for r, name in runs if r == rows and name.startswith("train")}):
            chosen = name.removeprefix("train").strip()
            who = f"ours with {chosen}" if chosen else "ours"
            yield ratio(f"training: pandas / {who}",
                        seconds(rows, "pandas train") / seconds(rows, name), "≥", 1.5)  # fmt: skip
            yield ratio(f"peak memory: {who} / pandas",
                        peak(rows, name) / peak(rows, "pandas train"), "≤",
                        0.4 if chosen == "lightgbm" else 0.6)  # fmt: skip
            yield ratio(f"validation RMSE: {who} / pandas",
                        error(rows, name) / error(rows, "pandas train"), "≤", 1)  # fmt: skip


def main() -> None:
    """
    Measure, print the ratios and tables, keep the figures of a run without --rows.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--rows", metavar="N,...")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--growth",
        action="store_true",
        help="this project alone, by default 0.5 to 10 million rows",
    )
    options = parser.parse_args()
    sizes: tuple[int, ...] = GROWTH_ROWS if options.growth else ROWS
    if options.rows:
        sizes = tuple(int(rows) for rows in options.rows.split(","))
    chosen = [s for s in subjects() if not options.growth or s.name.startswith("train")]
    runs: dict[tuple[int, str], list[Run]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for rows in sizes:
            csv = Path(folder) / "trips.csv"
            simulate = [sys.executable, "-m", "taxi_fare.simulation", "--rows", str(rows)]
            subprocess.run([*simulate, "--out", str(csv)], cwd=CONTAINER, check=True)
            for number in range(options.rounds):
                for subject in chosen:
                    done = run(subject, csv)
                    runs.setdefault((rows, subject.name), []).append(done)
                    print(
                        f"{rows:,} rows, round {number + 1}, {subject.label}: "
                        f"{done.seconds:.1f} s, {done.peak_mb:,.0f} MB",
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
    if not options.rows:
        report.keep("growth" if options.growth else "training", results)


if __name__ == "__main__":
    main()
