#!/usr/bin/env python3
# ruff: noqa: S311, S603 - random trips; starts wrk
"""
Measures serving beside an empty Flask route behind the same nginx and gunicorn.

    python benchmarks/serving_profile.py --base-dir FOLDER [--case NAME ...]

FOLDER holds ``model/`` as training writes it: SAGEMAKER_BASE_DIR=FOLDER container/train. Needs
nginx and wrk on PATH and container/compile.sh. Both servers run ``serve`` with two workers; rounds
alternate between them. Prints medians over the rounds, and ratios to the empty route.
"""

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "container"), str(TOP / "tests")]

from harness import Answer, ServeProcess, call  # noqa: E402 - found there
from taxi_fare.schema import SCHEMA  # noqa: E402

EMPTY = """
from flask import Flask

app = Flask(__name__)


@app.get("/ping")
def ping():
    return "ok"


@app.post("/invocations")
def invocations():
    return "8.5\\n"
"""
# wrk's times are in us; percentiles 50 and 99, answers that were no success.
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "text/csv"
wrk.body = "2014-02-25 12:17:00 UTC,-74.014833,40.715937,-74.00392,40.725517,1\\n"
done = function(summary, latency, requests)
  io.write(string.format("result %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.read + summary.errors.timeout))
end
"""
NAMES = [column.name for column in SCHEMA.features]
Figures = dict[str, float]


def trips(count: int) -> Iterator[list[str]]:
    """
    Yield taxi rows as text, different ones, so that nothing is measured on one path of the trees.
    """
    chance = random.Random(0)
    for _ in range(count):
        ends = [f"{chance.gauss(middle, 0.04):.6f}" for middle in (-73.98, 40.75) * 2]
        day = f"20{chance.randrange(10, 15)}-{chance.randrange(10, 13)}-{chance.randrange(10, 29)}"
        yield [f"{day} {chance.randrange(24):02}:17:00 UTC", *ends, str(chance.randrange(1, 6))]


def bodies(count: int) -> dict[str, bytes]:
    """
    Write the same rows in every format, by media type.
    """
    rows = list(trips(count))
    records = [
        json.dumps(dict(zip(NAMES, [row[0], *map(float, row[1:])], strict=True))) for row in rows
    ]
    return {
        "text/csv": "".join(",".join(row) + "\n" for row in rows).encode(),
        "application/jsonlines": "\n".join(records).encode(),
        "application/json": f"[{', '.join(records)}]".encode(),
    }


def check(answer: Answer) -> None:
    if answer.status != 200:
        raise RuntimeError(answer.body.decode())


def wrk(serve: ServeProcess, connections: int, seconds: float, script: Path) -> Figures:
    url = f"http://127.0.0.1:{serve.port}/invocations"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^result (\S+) (\S+) (\S+) (\d+)$", printed, re.MULTILINE)
    if not found or found[4] != "0":
        raise RuntimeError(printed)
    rate, p50, p99 = (float(found[i]) for i in (1, 2, 3))
    return {"requests/s": rate, "p50 ms": p50 / 1e3, "p99 ms": p99 / 1e3, "p99/p50": p99 / p50}


def bulk(serve: ServeProcess, body: bytes, kind: str, callers: int, seconds: float) -> float:
    """
    Return the rows per second of callers who each send the body again and again.
    """
    deadline = time.perf_counter() + seconds

    def send() -> int:
        rows = 0
        while time.perf_counter() < deadline:
            answer = serve.call("/invocations", body, headers={"Content-Type": kind}, timeout=60)
            check(answer)
            rows += 10_000
        return rows

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        rows = sum(pool.map(lambda _: send(), range(callers)))
    return rows / (time.perf_counter() - began)


def tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        children = []
        with suppress(OSError):  # a thread that just ended
            children = task.read_text().split()
        for child in children:
            yield from tree(int(child))


def pss_mb(serve: ServeProcess) -> float:
    """
    Return the memory of serve and all its processes, what they share counted once.
    """
    total = 0
    for pid in list(tree(serve.process.pid)):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]
    return total / 1024


def batch(serve: ServeProcess, body: bytes, kind: str, callers: int) -> Figures:
    """
    Send a large body per caller, watch the memory and ping meanwhile.
    """
    over = Event()
    peak = [0.0]
    pings: list[float] = []

    def watch() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], pss_mb(serve))

    def ping() -> None:
        while not over.wait(0.01):
            began = time.perf_counter()
            check(call(serve.port, "/ping"))
            pings.append(time.perf_counter() - began)

    watchers = [Thread(target=watch), Thread(target=ping)]
    for watcher in watchers:
        watcher.start()
    began = time.perf_counter()
    try:
        with ThreadPoolExecutor(callers) as pool:
            answers = list(
                pool.map(
                    lambda _: serve.call(
                        "/invocations", body, headers={"Content-Type": kind}, timeout=120
                    ),
                    range(callers),
                )
            )
        seconds = time.perf_counter() - began
    finally:
        over.set()
        for watcher in watchers:
            watcher.join()
    for answer in answers:
        check(answer)
    rows = body.count(b"UTC") * callers
    pings.sort()
    return {
        "rows/s": rows / seconds,
        "peak MB": peak[0],
        "ping p99 ms": pings[int(len(pings) * 0.99)] * 1e3,
        "ping max ms": pings[-1] * 1e3,
    }


class Server(ServeProcess):
    """
    ``serve`` with its lines in a file: reading them here would take processor time from it.
    """

    def __init__(self, program: Path, base: Path, log: Path) -> None:
        workers = {"MODEL_SERVER_WORKERS": "2"}
        command = ["sh", "-c", f"exec {sys.executable} {program}/serve >{log} 2>&1"]
        super().__init__(program, root=base, environ=workers, command=command)


def start(program: Path, base: Path, log: Path) -> tuple[ServeProcess, float]:
    began = time.perf_counter()
    serve = Server(program, base, log)
    serve.__enter__()
    serve.wait_for_ping()
    return serve, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument(
        "--case", nargs="+", default=["start", "small", "bulk", "batch"], help="which to run"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        Path(folder).chmod(0o755)
        script = Path(folder, "wrk.lua")
        script.write_text(WRK)
        empty = Path(folder, "empty")
        shutil.copytree(TOP / "container", empty, ignore=shutil.ignore_patterns("__pycache__"))
        (empty / "wsgi.py").write_text(EMPTY)
        programs = {"ours": TOP / "container", "empty": empty}
        if "start" in options.case:
            measure_start(programs, options.base_dir, options.rounds, Path(folder, "log"))
        running = {
            name: start(program, options.base_dir, Path(folder, f"{name}.log"))[0]
            for name, program in programs.items()
        }
        try:
            print(f"memory idle: {pss_mb(running['ours']):.0f} MB")
            if "small" in options.case:
                measure_small(running, script, options.rounds, options.seconds)
            if "bulk" in options.case:
                measure_bulk(running["ours"], options.rounds, options.seconds)
            if "batch" in options.case:
                measure_batch(running["ours"])
            print(f"memory loaded: {pss_mb(running['ours']):.0f} MB")
        finally:
            for serve in running.values():
                serve.stop()


def measure_start(programs: dict[str, Path], base: Path, rounds: int, log: Path) -> None:
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            serve, seconds = start(program, base, log)
            taken[name].append(seconds)
            serve.stop()
    for name, seconds in taken.items():
        print(f"start to first good ping, {name}: {statistics.median(seconds):.2f} s")


def measure_small(
    running: dict[str, ServeProcess], script: Path, rounds: int, seconds: float
) -> None:
    for connections in (1, 16, 64):
        figures: dict[str, list[Figures]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, serve in running.items():
                figures[name].append(wrk(serve, connections, seconds, script))
        print(f"1 row, {connections} connections")
        for figure in figures["ours"][0]:
            ours, other = (
                [round_[figure] for round_ in figures[name]] for name in ("ours", "empty")
            )
            ratio = statistics.median(o / e for o, e in zip(ours, other, strict=True))
            print(
                f"  {figure}: {statistics.median(ours):.2f} ({min(ours):.2f} to {max(ours):.2f}), "
                f"empty {statistics.median(other):.2f}, ratio {ratio:.2f}"
            )


def measure_bulk(serve: ServeProcess, rounds: int, seconds: float) -> None:
    content = bodies(10_000)
    cases: dict[str, Callable[[], float]] = {
        f"{kind}, {callers} callers": lambda kind=kind, callers=callers: bulk(  # type: ignore[misc]
            serve, content[kind], kind, callers, seconds
        )
        for kind in content
        for callers in (1, 2)
    }
    rates: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, measure in cases.items():
            rates[case].append(measure())
    for case, rate in rates.items():
        print(f"10,000 rows, {case}: {statistics.median(rate) / 1e3:.0f}k rows/s")


def measure_batch(serve: ServeProcess) -> None:
    content = bodies(50_000)
    for kind in ("text/csv", "application/jsonlines"):
        times = 100_000_000 // len(content[kind])
        body = (content[kind].rstrip(b"\n") + b"\n") * times
        for callers in (1, 2):
            figures = batch(serve, body, kind, callers)
            print(f"100 MB, {kind}, {callers} callers:", end=" ")
            print(", ".join(f"{name} {value:,.0f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
