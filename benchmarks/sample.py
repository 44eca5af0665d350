"""
Measures the sample: small and large bodies, start and memory of this project and its peers.
"""

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import revisions
from environments import CACHE, Absent
from load import PeakMemory, ping_p99_ms, wrk
from payloads import BATCH_ROWS, SMALL_BODIES, Payloads, train
from people import predictions
from server import Server, running
from subjects import JSON, SAMPLE, WORKERS, Body, Subject

CONNECTIONS, PEERS_CONNECTIONS = (1, 16, 64), (16,)
Figures = dict[str, dict[str, list[float]]]
# Whom the sample is compared with unless others are named: the quickest of the peers so far.
USUAL = ("ours", "empty", "tuned", "fastapi-threads")
# Dollars: half the simulated fares must be nearer to the answers than that.
MOST_ERROR = 2.0
WARM_S = 1


@dataclass(frozen=True)
class Plan:
    """
    How long each part takes: seconds of wrk, MB of the large body, seconds of pings.
    """

    wrk_s: int
    batch_mb: float
    pings_s: float


def rounds(
    subjects: Sequence[Subject], number: int, payloads: Payloads, plan: Plan, root: Path
) -> tuple[Figures, dict[str, str], list[str]]:
    """
    Return the figures of each subject by name, one for each round, who is absent and why, and what
    else could not be measured. Large bodies are sent in the first round only: they take the peers
    minutes.
    """
    figures: Figures = {}
    absent: dict[str, str] = {}
    notes = []
    for at in range(number):
        for subject in (each for each in subjects if each.name not in absent):
            began = time.monotonic()
            try:
                measured, why_not = measure(subject, payloads, plan, root, large=at == 0)
            except Absent as error:
                absent[subject.name] = str(error)
                print(f"{subject.name}: absent: {error}", flush=True)
                continue
            for name, value in measured.items():
                figures.setdefault(subject.name, {}).setdefault(name, []).append(value)
            notes += [f"{subject.label}, {why}" for why in why_not]
            took = time.monotonic() - began
            print("; ".join([f"sample, {subject.name}: {took:.0f} s", *why_not]), flush=True)
    return figures, absent, notes


def measure(
    subject: Subject, payloads: Payloads, plan: Plan, root: Path, large: bool
) -> tuple[dict[str, float], list[str]]:
    """
    Start a subject once and return its figures by name, and which parts failed and why. Raises
    Absent when it does not start or answers nonsense.
    """
    figures: dict[str, float] = {}
    notes = []
    with running(subject, root) as server:
        figures["ready_s"] = server.wait_for_ping()
        server.predict(_csv(payloads.csv(0, 1)))
        figures["first_prediction_s"] = time.perf_counter() - server.began
        figures["idle_mb"] = server.memory_mb()
        _check(server, payloads)
        for part in (_one_row, _many_rows, *((_batch, _pings) if large else ())):
            try:
                figures |= part(server, payloads, plan)
            except (Absent, OSError, HTTPException) as error:
                notes.append(f"{part.__name__.strip('_').replace('_', ' ')}: {error}")
    return figures, notes


def _check(server: Server, payloads: Payloads) -> None:
    """
    Raise Absent unless the answer holds one likely fare for each row.
    """
    if server.subject.role == "limit":
        return
    fares = predictions(server.predict(_csv(payloads.csv(0, BATCH_ROWS))))
    if len(fares) != BATCH_ROWS:
        raise Absent(f"{len(fares)} fares for {BATCH_ROWS} rows")
    error = statistics.median(
        abs(fare - true) for fare, true in zip(fares, payloads.fares, strict=False)
    )
    if not error < MOST_ERROR:
        raise Absent(f"half the fares are off by more than {error:.2f} dollars")


def _csv(text: str) -> Body:
    return Body(SAMPLE, text.encode())


def _one_row(server: Server, payloads: Payloads, plan: Plan) -> dict[str, float]:
    bodies = [_csv(payloads.csv(number, 1)) for number in range(SMALL_BODIES)]
    wrk(server, bodies, 16, WARM_S)
    figures = {"loaded_mb": 0.0}
    for connections in PEERS_CONNECTIONS if server.subject.role == "peer" else CONNECTIONS:
        run = wrk(server, bodies, connections, plan.wrk_s)
        figures |= {
            f"row_{connections}_p50_ms": run.p50_ms,
            f"row_{connections}_p99_ms": run.p99_ms,
            f"row_{connections}_per_s": run.per_s,
        }
        # Not meanwhile: looking at a process's memory holds it up.
        figures["loaded_mb"] = max(figures["loaded_mb"], server.memory_mb())
    return figures


def _many_rows(server: Server, payloads: Payloads, plan: Plan) -> dict[str, float]:
    if server.subject.role == "limit":
        return {}
    bodies = [_csv(payloads.csv(0, BATCH_ROWS))]
    before, began = server.processor_s(), time.perf_counter()
    one = wrk(server, bodies, 1, plan.wrk_s).per_s
    cores = (server.processor_s() - before) / (time.perf_counter() - began)
    figures = {
        "csv_1_rows_s": one * BATCH_ROWS,
        "csv_1_cores": cores,
        "csv_2_rows_s": wrk(server, bodies, 2, plan.wrk_s).per_s * BATCH_ROWS,
    }
    if server.subject.role == "ours":
        for name, body, content_type in (
            ("json", payloads.json(BATCH_ROWS), JSON),
            ("jsonl", payloads.json_lines(BATCH_ROWS), "application/jsonlines"),
        ):
            per_s = wrk(server, [Body(SAMPLE, body, content_type)], 1, plan.wrk_s).per_s
            figures[f"{name}_rows_s"] = per_s * BATCH_ROWS
    return figures


def _batch(server: Server, payloads: Payloads, plan: Plan) -> dict[str, float]:
    if server.subject.role == "limit":
        return {}
    csv, rows = payloads.csv_of_size(plan.batch_mb)
    body = _csv(csv)
    with PeakMemory(server) as peak:
        began = time.perf_counter()
        answer = server.predict(body)
        seconds = time.perf_counter() - began
    if len(predictions(answer)) != rows:
        raise Absent(f"{rows} rows were not answered with as many fares")
    return {"batch_rows_s": rows / seconds, "batch_peak_mb": peak.mb}


def _pings(server: Server, payloads: Payloads, plan: Plan) -> dict[str, float]:
    if server.subject.role == "peer":  # minutes for most
        return {}
    csv, _ = payloads.csv_of_size(plan.batch_mb)
    return {"ping_p99_ms": ping_p99_ms(server, _csv(csv), WORKERS, plan.pings_s)}


def check_out(revision: str, training: Path) -> None:
    """
    Put the project as it was at ``revision`` where the subject "before" is started, compiled and
    with its own model.
    """
    before = CACHE / "own/before"
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir(parents=True)
    train(training, before / "ml", revisions.check_out(revision, before))
