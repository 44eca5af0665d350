"""
Measures what goes wrong: requests lost by restarts and killed workers, answers to generated bodies,
memory under load for long, and what a full disk, a lost model, a clock that jumps, a worker that
stands still and too little memory do. Beside the classic sample and FastAPI, by the same tests.

    python benchmarks/reliability.py [--short] [--only NAME,...] [--tests NAME,...] [--keep]
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import report
from environments import Absent, fit, prepare
from faults import FAULTS
from harm import Figures, kills, restarts
from machine import describe
from payloads import Payloads, simulate, train
from subjects import SAMPLE, SUBJECTS, Subject, as_it_is
from traffic import generated, soak

DEFAULT = ("ours", "classic", "fastapi")
PAGE = report.DOCS / "reliability.md"
Test = Callable[[Subject, Payloads, Path], Figures]


@dataclass(frozen=True)
class Plan:
    """
    How often and for how long; the others get a tenth of the bodies, as most take ten times as
    long for one.
    """

    restarts: int
    kills: int
    bodies: int
    minutes: float

    def tests(self, subject: Subject) -> dict[str, Test]:
        """
        Return the tests of a subject by their names.
        """
        bodies = self.bodies if subject.role == "ours" else max(1, self.bodies // 10)
        return {
            "restarts": partial(restarts, times=self.restarts),
            "kills": partial(kills, times=self.kills),
            "bodies": partial(generated, number=bodies),
            "soak": partial(soak, minutes=self.minutes),
            **FAULTS,
        }


FULL = Plan(restarts=20, kills=20, bodies=100_000, minutes=30)
BRIEF = Plan(restarts=2, kills=2, bodies=400, minutes=0.05)


def measure(subject: Subject, tests: dict[str, Test], payloads: Payloads, root: Path) -> Figures:
    """
    Run tests on a subject; return the figures of each, or the reason why there are none.
    """
    figures: Figures = {}
    for name, test in tests.items():
        began = time.monotonic()
        try:
            figures[name] = test(subject, payloads, root)
        except Absent as error:
            figures[name] = {"not measured": str(error)}
        print(f"{subject.name}, {name}: {time.monotonic() - began:.0f} s", flush=True)
    return figures


def table(results: dict[str, Any]) -> str:
    """
    Render results: a line for each figure, a column for each subject; an example of each thing that
    went wrong, and who is absent, below.
    """
    subjects = results["subjects"]
    lines = [
        f"| test | figure | {' | '.join(report.LABELS[name] for name in subjects)} |",
        "|---|---|" + "---|" * len(subjects),
    ]
    notes = [f"- {report.LABELS[name]} is absent: {why}" for name, why in results["absent"].items()]
    for test in FULL.tests(SUBJECTS[0]):
        by_subject = {name: figures.get(test, {}) for name, figures in subjects.items()}
        names = dict.fromkeys(name for figures in by_subject.values() for name in figures)
        for name in names:
            if name == "examples":
                continue
            cells = (_cell(figures.get(name, "")) for figures in by_subject.values())
            lines.append(f"| {test} | {name} | {' | '.join(cells)} |")
        for subject, figures in by_subject.items():
            for what, examples in figures.get("examples", {}).items():
                example = shorten(examples[0], 120, placeholder=" ...")
                notes.append(f"- {report.LABELS[subject]}, {test}, {what}: `{example}`")
    facts = "; ".join(f"{name} {value}" for name, value in results["machine"].items())
    return "\n\n".join(["\n".join(lines), *(["\n".join(notes)] if notes else []), facts]) + "\n"


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def keep(results: dict[str, Any]) -> None:
    """
    Put results beside those kept before, of other subjects and tests, and write the page's table.
    """
    file = report.RESULTS / "reliability.json"
    kept = json.loads(file.read_text()) if file.is_file() else {"subjects": {}, "absent": {}}
    for name, figures in results["subjects"].items():
        kept["subjects"][name] = kept["subjects"].get(name, {}) | figures
    absent = {**kept["absent"], **results["absent"]}
    kept["absent"] = {n: why for n, why in absent.items() if n not in kept["subjects"]}
    kept["machine"] = results["machine"]
    report.keep("reliability", kept)
    page = report.fill(PAGE.read_text(encoding="utf-8"), "reliability", f"\n{table(kept)}\n")
    PAGE.write_text(page, encoding="utf-8")


def main() -> None:
    """
    Measure and print a table.
    """
    known = [
        subject.name for subject in SUBJECTS if subject.body is as_it_is
    ]  # those that take CSV
    tests = list(FULL.tests(SUBJECTS[0]))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0].strip())
    parser.add_argument("--short", action="store_true", help="a few of each, for under a minute")
    parser.add_argument("--only", default=",".join(DEFAULT), metavar="NAME,...", help="subjects")
    parser.add_argument("--tests", default=",".join(tests), metavar="NAME,...")
    parser.add_argument("--keep", action="store_true", help="keep figures, write the page's table")
    for name in ("restarts", "kills", "bodies"):
        parser.add_argument(f"--{name}", type=int, help=f"default: {getattr(FULL, name)}")
    parser.add_argument("--minutes", type=float, help=f"of the soak, default: {FULL.minutes:g}")
    options = parser.parse_args()
    wanted, chosen = options.only.split(","), options.tests.split(",")
    for option, values, possible in (("--only", wanted, known), ("--tests", chosen, tests)):
        if unknown := set(values) - set(possible):
            parser.error(f"{option} {min(unknown)}: expected some of {', '.join(possible)}")
    if shutil.which("nginx") is None:
        parser.error("nginx is not on PATH; on Debian and Ubuntu: apt-get install nginx")
    usual = BRIEF if options.short else FULL
    plan = Plan(*(getattr(options, n) or getattr(usual, n) for n in Plan.__dataclass_fields__))

    # So that what was started is ended when this is told to end.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    results: dict[str, Any] = {"subjects": {}, "absent": {}, "machine": describe()}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # the workers of a root process are somebody else
        training, payloads = simulate(scratch)
        train(training, scratch / "ml")
        for subject in (subject for subject in SUBJECTS if subject.name in wanted):
            try:
                prepare(subject, scratch / "ml")
                if subject.role == "peer":
                    fit([SAMPLE], training)
            except Absent as error:
                results["absent"][subject.name] = str(error)
                print(f"{subject.name}: absent: {error}", flush=True)
                continue
            some = {name: test for name, test in plan.tests(subject).items() if name in chosen}
            results["subjects"][subject.name] = measure(subject, some, payloads, scratch / "ml")
    print()
    print(table(results))
    if options.keep:
        keep(results)


if __name__ == "__main__":
    main()
