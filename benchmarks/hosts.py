# ruff: noqa: S603 - starts this project's training
"""
Measures the fare model over several hosts, as processes on this machine, against one host.

    python benchmarks/hosts.py [--data FILE | --rows N] [--only "NAME;..."] [--rounds N]

Each host has its own files (ShardedByS3Key). Of the rows a fifth is held out, the same ones however
they are spread. Hosts share this machine's processors, so seconds say nothing of real ones; errors,
memory and processor time do.
"""

import argparse
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import CONTAINER

NAMES = ("localhost", "algo-2", "algo-3", "algo-4")
CLOSE = 1e-4  # among set-ups of several hosts whose rows are on more than one
Spread = Callable[[int, int], int]
# The host that gets a row, by its number among all rows in order of time.
SPREADS: dict[str, tuple[int, Spread]] = {
    "1": (1, lambda row, rows: 0),
    "2 even": (2, lambda row, rows: row % 2),
    "2 sorted": (2, lambda row, rows: row * 2 // rows),
    "2 uneven": (2, lambda row, rows: int(row % 20 == 0)),
    "4 even": (4, lambda row, rows: row % 4),
    "4 sorted": (4, lambda row, rows: row * 4 // rows),
    "4, one empty": (4, lambda row, rows: (0, 1, 3)[row % 3]),
    "2, one empty": (2, lambda row, rows: 1),
}


@dataclass(frozen=True)
class Host:
    """
    What one host took.
    """

    peak_mb: float
    cpu_s: float


@dataclass(frozen=True)
class Run:
    """
    What one set-up came to.
    """

    rmse: float
    seconds: float
    hosts: list[Host]


def lines(data: Path) -> Iterator[str]:
    """
    Yield the lines of a file, unpacked where it ends in .gz.
    """
    opened: Any = gzip.open if data.suffix == ".gz" else open
    with opened(data, "rt", encoding="utf-8") as file:
        yield from file


def spread(data: Path, rows: int, hosts: int, place: Spread, folder: Path) -> None:
    """
    Write the rows of a file, a header first, as a file for each host that gets any.
    """
    every = lines(data)
    header = next(every)
    with ExitStack() as stack:
        files: dict[int, Any] = {}
        for row, line in enumerate(every):
            host = place(row, rows)
            if host not in files:
                target = folder / NAMES[host] / "input/data/training/trips.csv"
                target.parent.mkdir(parents=True)
                files[host] = stack.enter_context(target.open("w", encoding="utf-8"))
                files[host].write(header)
            files[host].write(line)


def run(folder: Path, hosts: int, rounds: int) -> Run:
    """
    Train on the hosts at once and return what they took.
    """
    with socket.create_server(("", 0)) as free:
        port = str(free.getsockname()[1])
    names = NAMES[:hosts]
    processes = []
    began = time.perf_counter()
    for name in names:
        config = folder / name / "input/config"
        config.mkdir(parents=True)
        for file, content in {
            "hyperparameters": {"rounds": str(rounds)},
            "resourceconfig": {"current_host": name, "hosts": names},
            "inputdataconfig": {"training": {"S3DistributionType": "ShardedByS3Key"}},
        }.items():
            (config / f"{file}.json").write_text(json.dumps(content))
        environ = os.environ | {"SAGEMAKER_BASE_DIR": str(folder / name), "CLUSTER_PORT": port}
        with (folder / name / "log").open("wb") as log:
            command = [sys.executable, str(CONTAINER / "train")]
            processes.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
    took = []
    for process, name in zip(processes, names, strict=True):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{name} failed:\n{(folder / name / 'log').read_text()[-3000:]}")
        took.append(Host(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime))
    seconds = time.perf_counter() - began
    metadata = json.loads((folder / names[0] / "model/metadata.json").read_text())
    return Run(metadata["metrics"]["validation:rmse"], seconds, took)


def sorted_by_time(data: Path, target: Path) -> int:
    """
    Write a file's rows in the order of their time of pick-up; return their number.
    """
    header, *rows = lines(data)
    at = header.strip().split(",").index("pickup_datetime")
    rows.sort(key=lambda line: line.split(",")[at])
    target.write_text("".join([header, *rows]), encoding="utf-8")
    return len(rows)


def simulate(rows: int, target: Path) -> int:
    """
    Write simulated trips, without sorting them.
    """
    command = [sys.executable, "-m", "taxi_fare.simulation", "--rows", str(rows)]
    command += ["--seed", "1", "--out", str(target)]
    subprocess.run(command, cwd=CONTAINER, check=True)
    return rows


def main() -> None:
    """
    Measure each set-up once and print a table, then what the errors and the memory come to.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--data", type=Path, help="CSV with a header, maybe gzipped")
    parser.add_argument("--rows", type=int, default=1_000_000, help="simulated, without --data")
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--only", metavar="NAME;...", help="such as '1;2 even'")
    options = parser.parse_args()
    only = options.only.split(";") if options.only else list(SPREADS)
    if unknown := set(only) - SPREADS.keys():
        parser.error(f"--only {'; '.join(unknown)}: expected some of {'; '.join(SPREADS)}")
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory(prefix="hosts-") as top:
        data = Path(top, "all.csv")
        rows = sorted_by_time(options.data, data) if options.data else simulate(options.rows, data)
        print(f"{rows:,} rows, {options.rounds} rounds")
        print("| hosts | RMSE | peak memory of a host, MB | processor time of a host, s |")
        print("|---|---|---|---|")
        for name in only:
            hosts, place = SPREADS[name]
            with tempfile.TemporaryDirectory(dir=top) as folder:
                spread(data, rows, hosts, place, Path(folder))
                runs[name] = done = run(Path(folder), hosts, options.rounds)
            peaks = ", ".join(f"{host.peak_mb:,.0f}" for host in done.hosts)
            cpu = ", ".join(f"{host.cpu_s:.1f}" for host in done.hosts)
            print(f"| {name} | {done.rmse:.5f} | {peaks} | {cpu} |", flush=True)
    several = {name: r.rmse for name, r in runs.items() if name not in ("1", "2, one empty")}
    if len(several) > 1:
        apart = max(several.values()) / min(several.values()) - 1
        print(f"several hosts among themselves: {apart:.4%} apart (at most {CLOSE:.2%})")
    if "1" in runs and several:
        worst = max(abs(rmse / runs["1"].rmse - 1) for rmse in several.values())
        print(f"one host against several: {worst:.3%}")
        for name in several:
            share = max(host.peak_mb for host in runs[name].hosts) / runs["1"].hosts[0].peak_mb
            print(f"memory of a host, {name} / 1: {share:.2f}")


if __name__ == "__main__":
    main()
