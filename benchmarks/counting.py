"""
Measures what it costs to count for GET /metrics and to capture all requests: one server turns it on
and off every few seconds, since two servers beside each other differ by more.

    .venv/bin/python benchmarks/counting.py
"""

import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from environments import CONTAINER
from load import wrk
from payloads import SMALL_BODIES, simulate, train
from server import Server, running
from subjects import NAMES, SAMPLE, Body

CONNECTIONS = 16
# The beginning of each is left to what is done once a second.
TURN_S, MEASURED_S = 2, 1
PAIRS = 60
# What a worker does at the beginning of each turn.
SWITCHES = {
    "counting": "metrics.recorder.is_on = is_on",
    "capturing": "capture.percent = 100 * is_on",
}
TURNS = """
begin = post_worker_init


def post_worker_init(worker):
    begin(worker)
    import time

    import gevent

    def turn():
        while True:
            is_on = int(time.time() / {turn}) % 2 == 0
            {switch}
            gevent.sleep({turn} - time.time() % {turn})

    gevent.spawn(turn)
"""


def measure(server: Server, bodies: list[Body], pairs: int) -> dict[str, list[list[float]]]:
    """
    Return requests/s, and processor time for each request in us, of pairs of turns: without and
    with.
    """
    figures: dict[str, list[list[float]]] = {"requests_per_s": [], "processor_us": []}
    for _ in range(pairs):
        per_s, spent_us = [0.0, 0.0], [0.0, 0.0]
        while not all(per_s):
            time.sleep(TURN_S - time.time() % TURN_S + 0.5)
            turn = int(time.time() / TURN_S)
            is_on = turn % 2 == 0
            before = server.processor_s()
            done = wrk(server, bodies, CONNECTIONS, MEASURED_S)
            if int(time.time() / TURN_S) != turn:  # the machine was busy
                continue
            per_s[is_on] = done.per_s
            spent_us[is_on] = (server.processor_s() - before) / done.per_s / MEASURED_S * 1e6
        figures["requests_per_s"].append(per_s)
        figures["processor_us"].append(spent_us)
    return figures


def show(kind: str, figures: dict[str, list[list[float]]]) -> None:
    """
    Print the medians, their ratio, and the quartiles of the pairs' ratios.
    """
    for name, pairs in figures.items():
        without, those = (statistics.median(each) for each in zip(*pairs, strict=True))
        spread = statistics.quantiles((b / a for a, b in pairs), n=4)
        print(
            f"{kind}, {name}: with {those:.0f}, without {without:.0f}, ratio {those / without:.3f};"
            f" of pairs {', '.join(f'{each:.3f}' for each in spread)}",
            flush=True,
        )


def main() -> None:
    """
    Measure each of SWITCHES.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (captured := folder / "captured").mkdir()
        captured.chmod(0o777)
        training, payloads = simulate(folder)
        train(training, folder / "ml")
        bodies = [Body(SAMPLE, payloads.csv(row, 1).encode()) for row in range(SMALL_BODIES)]
        for kind, switch in SWITCHES.items():
            program = folder / kind
            shutil.copytree(CONTAINER, program)
            with (program / "gunicorn.conf.py").open("a") as file:
                file.write(TURNS.format(turn=TURN_S, switch=switch))
            command = ("{python}", str(program / "serve"))
            variables = {"MODEL_SERVER_CAPTURE_TO": str(captured)}
            if kind == "capturing":
                variables["MODEL_SERVER_CAPTURE"] = "100"
            subject = replace(NAMES["ours"], command=command, environ=variables)
            with running(subject, folder / "ml") as server:
                server.wait_for_ping()
                figures = measure(server, bodies, PAIRS)
            show(kind, figures)


if __name__ == "__main__":
    main()
