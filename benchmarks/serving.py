"""
Measures serving, batch, cold start and memory of all subjects in interleaved rounds.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import report
import revisions
from environments import CACHE, Absent, prepare
from load import PeakMemory, ping_p99_ms, wrk
from machine import describe
from payloads import BATCH_ROWS, SMALL_BODIES, Payloads, simulate, train
from server import Server, running
from subjects import JSON, SHORT, SUBJECTS, WORKERS, Subject

CONNECTIONS = (1, 16, 64)
# Dollars: half the simulated fares must be nearer to the answers than that.
MOST_ERROR = 2.0


@dataclass(frozen=True)
class Plan:
    """
    How long each part takes: seconds of wrk, MB of the large body, seconds of pings.
    """

    rounds: int
    warm_s: int
    wrk_s: int
    batch_mb: float
    pings_s: float


FULL = Plan(rounds=3, warm_s=1, wrk_s=3, batch_mb=100, pings_s=5)
BRIEF = Plan(rounds=1, warm_s=1, wrk_s=1, batch_mb=10, pings_s=1)


def measure(
    subject: Subject, payloads: Payloads, plan: Plan, model_root: Path, scratch: Path
) -> dict[str, Any]:
    """
    Start a subject once and return its figures by name; a part that fails leaves its reason in
    ``notes``. Raises Absent when it does not start or answers nonsense.
    """
    figures: dict[str, Any] = {"notes": {}}
    with running(subject, model_root) as server:
        figures["ready_s"] = server.wait_for_ping()
        server.predict(subject.body(payloads.csv(0, 1)))
        figures["first_prediction_s"] = time.perf_counter() - server.began
        figures["idle_mb"] = server.memory_mb()
        _check(server, payloads)
        for part in (_one_row, _many_rows, _batch, _pings):
            try:
                figures |= part(server, payloads, plan, scratch)
            except (Absent, OSError, HTTPException) as error:
                figures["notes"][part.__name__.strip("_")] = str(error)
    return figures


def _check(server: Server, payloads: Payloads) -> None:
    """
    Raise Absent unless the answer holds one likely fare for each row.
    """
    if server.subject.role == "limit":
        return
    fares = _fares(server.predict(server.subject.body(payloads.csv(0, BATCH_ROWS))))
    if len(fares) != BATCH_ROWS:
        raise Absent(f"{len(fares)} fares for {BATCH_ROWS} rows")
    error = statistics.median(
        abs(fare - true) for fare, true in zip(fares, payloads.fares, strict=False)
    )
    if not error < MOST_ERROR:
        raise Absent(f"half the fares are off by more than {error:.2f} dollars")


def _fares(answer: bytes) -> list[float]:
    """
    Find the numbers in an answer, lines of a CSV or the one list of a JSON; raises Absent.
    """
    try:
        if not answer.startswith((b"{", b"[")):
            return [float(line) for line in answer.split()]
        found: Any = json.loads(answer)
        while not isinstance(found, list) or isinstance(found[0], dict):
            if isinstance(found, list):
                found = found[0]
            (name,) = {"predictions", "fares", "outputs", "data"} & found.keys()
            found = found[name]
        return [float(fare) for fare in found]
    except (ValueError, TypeError, AttributeError, IndexError):
        raise Absent(f"the answer holds no fares: {answer[:200]!r}") from None


def _one_row(server: Server, payloads: Payloads, plan: Plan, scratch: Path) -> dict[str, float]:
    bodies = scratch / "small"
    small = (server.subject.body(payloads.csv(n, 1)) for n in range(SMALL_BODIES))
    bodies.write_bytes(b"\0".join(small))
    wrk(server, bodies, 16, plan.warm_s)
    figures = {"loaded_mb": 0.0}
    for connections in CONNECTIONS:
        run = wrk(server, bodies, connections, plan.wrk_s)
        figures |= {
            f"row_{connections}_p50_ms": run.p50_ms,
            f"row_{connections}_p99_ms": run.p99_ms,
            f"row_{connections}_per_s": run.per_s,
        }
        # Not meanwhile: looking at a process's memory holds it up.
        figures["loaded_mb"] = max(figures["loaded_mb"], server.memory_mb())
    return figures


def _many_rows(server: Server, payloads: Payloads, plan: Plan, scratch: Path) -> dict[str, float]:
    if server.subject.role == "limit":
        return {}
    bodies = scratch / "rows"
    bodies.write_bytes(server.subject.body(payloads.csv(0, BATCH_ROWS)))
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
            bodies.write_bytes(body)
            per_s = wrk(server, bodies, 1, plan.wrk_s, content_type).per_s
            figures[f"{name}_rows_s"] = per_s * BATCH_ROWS
    return figures


def _batch(server: Server, payloads: Payloads, plan: Plan, scratch: Path) -> dict[str, float]:
    if server.subject.role == "limit":
        return {}
    csv, rows = payloads.csv_of_size(plan.batch_mb)
    body = server.subject.body(csv)
    with PeakMemory(server) as peak:
        began = time.perf_counter()
        answer = server.predict(body)
        seconds = time.perf_counter() - began
    if len(_fares(answer)) != rows:
        raise Absent(f"{rows} rows were not answered with as many fares")
    return {"batch_rows_s": rows / seconds, "batch_peak_mb": peak.mb}


def _pings(server: Server, payloads: Payloads, plan: Plan, scratch: Path) -> dict[str, float]:
    if server.subject.name not in SHORT:  # minutes for most peers
        return {}
    csv, _ = payloads.csv_of_size(plan.batch_mb)
    body = server.subject.body(csv)
    return {"ping_p99_ms": ping_p99_ms(server, body, WORKERS, plan.pings_s)}


def main() -> None:
    """
    Measure, print the ratios and tables, keep the figures of a full run.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="", metavar="NAME,...")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print(*(f"{subject.name:12} {subject.label}" for subject in SUBJECTS), sep="\n")
        return
    names = options.only.split(",") if options.only else SHORT if options.short else None
    known = [subject.name for subject in SUBJECTS]
    if unknown := set(names or ()) - set(known):
        parser.error(f"--only {min(unknown)}: expected some of {', '.join(known)}")
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not on PATH; on Debian and Ubuntu: apt-get install {tool}")
    plan = BRIEF if options.short else FULL
    rounds = options.rounds or plan.rounds
    subjects = [
        subject
        for subject in SUBJECTS
        if (options.against if subject.name == "before" else names is None or subject.name in names)
    ]

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # the workers of a root process are somebody else
        training, payloads = simulate(scratch)
        model_root = scratch / "ml"
        train(training, model_root)
        if options.against:
            check_out(options.against, training)
        results = _rounds(subjects, rounds, payloads, plan, model_root, scratch, training)
    results |= {"machine": describe(), "minutes": (time.monotonic() - began) / 60}
    results["batch_mb"] = plan.batch_mb
    print()
    print(report.serving(results))
    if not (options.short or names or options.against):
        report.keep("serving", results)
    if not all(results["rounds"].get(s.name) for s in subjects if s.role in ("ours", "limit")):
        sys.exit("this project or the empty route could not be measured; see above")


def check_out(revision: str, training: Path) -> None:
    """
    Put the project as it was at ``revision`` where the subject "before" is started, compiled and
    with its own model.
    """
    before = CACHE / "own/before"
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir(parents=True)
    train(training, before / "ml", revisions.check_out(revision, before))


def _rounds(
    subjects: list[Subject],
    rounds: int,
    payloads: Payloads,
    plan: Plan,
    model_root: Path,
    scratch: Path,
    training: Path,
) -> dict[str, Any]:
    """
    Return the figures of each subject and round, the versions, and who is absent and why.
    """
    figures: dict[str, list[dict[str, Any]]] = {}
    versions, absent = {}, {}
    for subject in subjects:
        try:
            versions[subject.name] = prepare(subject, training, model_root)
        except Absent as error:
            absent[subject.name] = str(error)
            print(f"{subject.name}: absent: {error}", flush=True)
    for number in range(rounds):
        for subject in subjects:
            if subject.name in absent:
                continue
            began = time.monotonic()
            try:
                measured = measure(subject, payloads, plan, model_root, scratch)
            except Absent as error:
                absent[subject.name] = str(error)
                print(f"{subject.name}: absent: {error}", flush=True)
                continue
            figures.setdefault(subject.name, []).append(measured)
            print(
                f"round {number + 1} {subject.name}: {time.monotonic() - began:.0f} s"
                + "".join(f"; {part}: {why}" for part, why in measured["notes"].items()),
                flush=True,
            )
    return {"rounds": figures, "versions": versions, "absent": absent}


if __name__ == "__main__":
    main()
