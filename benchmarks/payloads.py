# ruff: noqa: S603 - runs this project's own simulation and training
"""
What is sent, and the model that answers: simulated trips, the same ones for every subject.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from environments import CONTAINER

TRAINING_ROWS = 50_000
DISTINCT_ROWS = 50_000
SMALL_BODIES = 100
BATCH_ROWS = 10_000


@dataclass(frozen=True)
class Payloads:
    """
    Rows as they stand in a CSV file, its header, and the fares that the simulation gave them.
    """

    header: str
    rows: list[str]
    fares: list[float]

    def csv(self, start: int, rows: int) -> str:
        """
        Return a CSV of this many rows, from the beginning again after the last.
        """
        lines = islice(cycle(self.rows), start, start + rows)
        return "\n".join([self.header, *lines, ""])

    def csv_of_size(self, megabytes: float) -> tuple[str, int]:
        """
        Return a CSV just below this many MB, and its rows.
        """
        rows = int(megabytes * 1e6 * len(self.rows) / (sum(map(len, self.rows)) + len(self.rows)))
        return self.csv(0, rows - 10), rows - 10

    def json(self, rows: int) -> bytes:
        return json.dumps({"instances": self._objects(rows)}).encode()

    def json_lines(self, rows: int) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in self._objects(rows)).encode()

    def _objects(self, rows: int) -> list[dict[str, object]]:
        names = self.header.split(",")
        split = (row.split(",") for row in self.rows[:rows])
        return [
            dict(zip(names, [time, *map(float, numbers)], strict=True)) for time, *numbers in split
        ]


def simulate(folder: Path) -> tuple[Path, Payloads]:
    """
    Return a file of trips to fit on, and the trips to send.
    """
    training, sent = folder / "training.csv", folder / "sent.csv"
    for file, rows, seed in ((training, TRAINING_ROWS, 1), (sent, DISTINCT_ROWS, 2)):
        command = [sys.executable, "-m", "taxi_fare.simulation", "--rows", str(rows)]
        options = ["--seed", str(seed), "--out", str(file)]
        subprocess.run([*command, *options], cwd=CONTAINER, check=True)
    # key, fare_amount, and then what a request holds
    header, *lines = (line.split(",", 2) for line in sent.read_text().splitlines())
    fares = [float(line[1]) for line in lines]
    return training, Payloads(header[2], [line[2] for line in lines], fares)


def train(trips: Path, root: Path, container: Path = CONTAINER) -> None:
    """
    Train this project's model, of the size that its defaults give, below ``root``.
    """
    channel = root / "input/data/training"
    channel.mkdir(parents=True)
    (channel / trips.name).symlink_to(trips)
    command = [sys.executable, str(container / "train")]
    variables = os.environ | {"SAGEMAKER_BASE_DIR": str(root)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"container/train failed:\n{done.stdout}{done.stderr}")
