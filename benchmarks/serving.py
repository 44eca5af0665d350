"""
Measures serving: the models that people bring first, then the sample, then its container.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import in_container
import people
import report
import sample
from environments import Absent, fit, prepare
from machine import describe, speed
from payloads import SMALL_BODIES, Payloads, simulate, train
from subjects import NAMES, PEOPLE, SAMPLE, SUBJECTS, Subject

CONTAINER = "container"
MODELS = (*PEOPLE, SAMPLE, CONTAINER)
ROUNDS, SECONDS = 3, 2
FULL = sample.Plan(SECONDS, batch_mb=100, pings_s=5)
BRIEF = sample.Plan(1, batch_mb=10, pings_s=1)
SHORT = ("ours", "empty", "flask")
SHORT_MODELS = ("pipeline", SAMPLE)


def main() -> None:
    """
    Measure, print the ratios and tables, keep the figures of a full run.
    """
    options = _options()
    # So that what was started is ended when this is told to end.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    models = options.models
    rounds = options.rounds or (1 if options.short else ROUNDS)
    usual = BRIEF if options.short else FULL
    plan = sample.Plan(options.seconds or usual.wrk_s, usual.batch_mb, usual.pings_s)
    began = time.monotonic()
    speeds = [speed()]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # the workers of a root process are somebody else
        training, payloads = simulate(scratch)
        root = scratch / "ml"
        if {SAMPLE, CONTAINER} & {*models}:
            train(training, root)
        if options.against:
            sample.check_out(options.against, training)
        results = _measure(
            options.subjects, options.named, models, rounds, plan, payloads, training, root
        )
    speeds += [*results.pop("speeds"), speed()]
    results |= {
        "machine": describe(),
        "minutes": (time.monotonic() - began) / 60,
        "drift": max(speeds) / min(speeds) - 1,
        "batch_mb": plan.batch_mb,
        "seconds": plan.wrk_s,
    }
    print()
    print(report.serving(results))
    if options.keep:
        report.keep("serving", results)
        report.main()
    lost = [name for name in ("ours", "empty") if f"{name} {SAMPLE}" in results["absent"]]
    lost += [key for key in results["absent"] if key.startswith("ours ")]
    if lost:
        sys.exit(f"this project or the empty route could not be measured: {', '.join(lost)}")


def _measure(
    subjects: Sequence[Subject],
    named: bool,
    models: Sequence[str],
    rounds: int,
    plan: sample.Plan,
    payloads: Payloads,
    training: Path,
    root: Path,
) -> dict[str, Any]:
    """
    Return the figures of each subject and round, the versions, and who is absent and why.
    """
    absent, versions, ready = {}, {}, []
    brought = [model for model in models if model in PEOPLE]
    fit([*brought, *([SAMPLE] if SAMPLE in models else [])], training)
    for subject in subjects:
        try:
            versions[subject.name] = prepare(subject, root)
            ready.append(subject)
        except Absent as error:
            absent[subject.name] = str(error)
            print(f"{subject.name}: absent: {error}", flush=True)
    results: dict[str, Any] = {"rounds": {}, "looks": {}, "notes": [], "speeds": []}
    if brought:
        run = people.measure(ready, brought, rounds, plan.wrk_s, root)
        absent |= run.absent
        results["looks"], results["speeds"] = run.looks, run.speeds
        _add(results, run.figures)
    if SAMPLE in models:
        usual = {each.name for each in subjects} if named else {*sample.USUAL}
        found, lost, results["notes"] = sample.rounds(
            [each for each in ready if each.name in usual], rounds, payloads, plan, root
        )
        absent |= {f"{name} {SAMPLE}": why for name, why in lost.items()}
        _add(results, found)
    if CONTAINER in models:
        try:
            in_container.prepare()
            bodies = [payloads.csv(number, 1).encode() for number in range(SMALL_BODIES)]
            _add(results, in_container.measure(bodies, rounds, plan.wrk_s, root))
        except Absent as error:
            absent[CONTAINER] = str(error)
            print(f"container: absent: {error}", flush=True)
    return results | {"versions": versions, "absent": absent}


def _add(results: dict[str, Any], figures: dict[str, dict[str, list[float]]]) -> None:
    for name, found in figures.items():
        results["rounds"].setdefault(name, {}).update(found)


def _options() -> argparse.Namespace:
    """
    Read the command line: ``subjects`` and ``models`` chosen, ``keep`` for a run of everything.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="", metavar="NAME,...")
    parser.add_argument("--models", default="", metavar="NAME,...")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--seconds", type=int, help=f"of each measurement, default: {SECONDS}")
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print(*(f"{subject.name:18} {subject.label}" for subject in SUBJECTS), sep="\n")
        print("models:", ", ".join(MODELS))
        sys.exit()
    options.keep = not (options.short or options.only or options.models or options.against)
    names = options.only.split(",") if options.only else SHORT if options.short else None
    short_models = SHORT_MODELS if options.short else MODELS
    options.models = options.models.split(",") if options.models else short_models
    for option, asked, known in (
        ("--only", names or (), NAMES),
        ("--models", options.models, MODELS),
    ):
        if unknown := {*asked} - {*known}:
            parser.error(f"{option} {min(unknown)}: expected some of {', '.join(known)}")
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not on PATH; on Debian and Ubuntu: apt-get install {tool}")
    unusual = {"before", "classic", "mms", "mlflow"}
    chosen = [each for each in SUBJECTS if each.name not in unusual] if names is None else []
    options.named = names is not None
    options.subjects = chosen or [NAMES[name] for name in names or ()]
    if options.against and NAMES["before"] not in options.subjects:
        options.subjects.append(NAMES["before"])
    return options


if __name__ == "__main__":
    main()
