# ruff: noqa: S603 - starts this project's commands
"""
Measures how long ./deploy.sh monitor takes for many captured requests, and the memory it needs.

    python benchmarks/watching.py [--events 100000] [--rows 1]

The requests are simulated trips, one or several rows each, half as CSV and half as JSON; a label is
there for each row. All of it is measured from the command's start to its end.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from environments import CONTAINER

sys.path.insert(0, str(CONTAINER))

from sagemaker_runtime.baseline.seen import Seen
from taxi_fare import simulation
from taxi_fare.groups import segments
from taxi_fare.schema import FARE, INPUT

TRAINED = 50_000  # rows that the baseline stands on
ANOTHER_JSON = 2  # of so many requests one is JSON
FILES = 24  # as of the hours of a day
BEGIN = np.datetime64("2026-01-31T00:00:00")
SPREAD = 1.5  # dollars by which predictions are off


def main() -> None:
    """
    Print seconds, processor time and memory.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1, help="rows of each request")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        baseline(folder / "model")
        ask(folder, options.events, options.rows)
        size = sum(each.stat().st_size for each in (folder / "captured").rglob("*"))
        done, seconds = watch(folder)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        report: Any = orjson.loads((folder / "report/report.json").read_bytes())
    print(done.stdout or done.stderr)
    print(
        f"{report['read']['events']:,} events, {report['rows']:,} rows, "
        f"{report['errors']['rows']:,} with a label, {size / 1e6:.0f} MB: {seconds:.1f} s, "
        f"{used.ru_utime + used.ru_stime:.1f} s of processor time, "
        f"{used.ru_maxrss / 1024:.0f} MB at most"
    )


def baseline(folder: Path) -> None:
    """
    Leave what training would leave of simulated trips.
    """
    columns = simulation.simulate(TRAINED, seed=1)
    seen = Seen()
    list(seen.watch([columns]))
    seen.judge(columns, predicted(columns[FARE.name], seed=1))
    folder.mkdir()
    seen.save(folder, INPUT, segments)


def predicted(fares: np.ndarray, seed: int) -> np.ndarray:
    """
    Return what a model might predict.
    """
    return np.round(fares + np.random.default_rng(seed).normal(0, SPREAD, len(fares)), 2)


def ask(folder: Path, events: int, rows: int) -> None:
    """
    Write captured requests and their labels.
    """
    columns = simulation.simulate(events * rows, seed=2)
    answers = predicted(columns[FARE.name], seed=2)
    names = [each.name for each in INPUT.features]
    texts = [columns[name].astype(str).tolist() for name in names]
    lines = [",".join(each) for each in zip(*texts, strict=True)]
    (folder / "captured").mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        labels = csv.writer(file)
        labels.writerow(("inference_id", "row", FARE.name))
        for number in range(FILES):
            at = range(events * number // FILES, events * (number + 1) // FILES)
            made = []
            for event in at:
                some = slice(event * rows, (event + 1) * rows)
                made.append(line(event, lines[some], names, answers[some].tolist()))
                fares = columns[FARE.name][some].tolist()
                labels.writerows((f"trip-{event}", row, fare) for row, fare in enumerate(fares))
            (folder / f"captured/{number:02}.jsonl").write_bytes(b"\n".join(made) + b"\n")


def line(event: int, rows: list[str], names: list[str], answers: list[float]) -> bytes:
    """
    Return a captured request as SageMaker writes it.
    """
    is_json = event % ANOTHER_JSON == 0
    body: Any = "\n".join(rows) + "\n"
    answer = "".join(f"{each}\n" for each in answers)
    if is_json:
        body = "\n".join(
            orjson.dumps(dict(zip(names, row.split(","), strict=True))).decode() for row in rows
        )
        answer = "".join(f'{{"prediction": {each}}}\n' for each in answers)
    kind, encoding = ("application/jsonlines", "JSON") if is_json else ("text/csv", "CSV")
    sides = {
        f"endpoint{side.capitalize()}": {
            "observedContentType": kind, "mode": side.upper(), "data": data, "encoding": encoding,
        }
        for side, data in (("input", body), ("output", answer))
    }  # fmt: skip
    about = {"eventId": f"event-{event}", "inferenceId": f"trip-{event}"}
    about["inferenceTime"] = f"{BEGIN + np.timedelta64(event % 86_400, 's')}Z"
    content = {"captureData": sides, "eventMetadata": about, "eventVersion": "0"}
    return orjson.dumps(content)


def watch(folder: Path) -> tuple["subprocess.CompletedProcess[str]", float]:
    """
    Run the command in this Python, and return how long it took.
    """
    command = [sys.executable, "-P", "-m", "deploy", "monitor"]
    for name in ("model", "captured", "labels.csv", "report"):
        option = {"captured": "captures", "labels.csv": "labels", "report": "output"}
        command += [f"--{option.get(name, name)}", str(folder / name)]
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CONTAINER.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, time.perf_counter() - began


if __name__ == "__main__":
    main()
