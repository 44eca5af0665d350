"""
What people and machines are told.
"""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from conformance.verdicts import Check, Outcome, Verdict

WIDTH = 110
NAME = 32
OUTCOME = 11


def line(verdict: Verdict) -> str:
    """
    Return one line of the table.
    """
    evidence = " ".join(verdict.evidence.split())
    room = WIDTH - NAME - OUTCOME - 2
    if len(evidence) > room:
        evidence = evidence[: room - 1] + "…"
    return f"{verdict.outcome:<{OUTCOME}} {verdict.check.name:<{NAME}} {evidence}"


def progress(verdict: Verdict, number: int, total: int) -> str:
    """
    Return the line that is shown when a check has been made.
    """
    evidence = " ".join(verdict.evidence.split())[:60]
    head = f"[{number:>2}/{total}] {verdict.outcome:<{OUTCOME}}"
    return f"{head} {verdict.check.name} ({verdict.seconds:.1f} s) {evidence}"


def table(image: str, verdicts: Sequence[Verdict]) -> str:
    """
    Return the table for people, with what to do about each failure.
    """
    lines = [f"{image}", ""]
    area = ""
    for verdict in verdicts:
        if verdict.check.area != area:
            area = verdict.check.area
            lines.append(f"-- {area}")
        lines.append(line(verdict))
    for outcome in (Outcome.FAIL, Outcome.NOT_TRIED):
        for verdict in verdicts:
            if verdict.outcome == outcome:
                lines += ["", *_explained(verdict)]
    counted = Counter(verdict.outcome for verdict in verdicts)
    summary = ", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome if counted[outcome])
    return "\n".join([*lines, "", summary])


def _explained(verdict: Verdict) -> list[str]:
    check = verdict.check
    lines = [f"{verdict.outcome} {check.name}: {check.holds}"]
    parts = [("Evidence", verdict.evidence)]
    if verdict.outcome == Outcome.FAIL:
        parts += [("On SageMaker", check.consequence), ("Remedy", check.remedy)]
    for title, text in parts:
        head = f"  {title}: "
        lines += textwrap.wrap(
            " ".join(text.split()), WIDTH, initial_indent=head, subsequent_indent="    "
        )
    return lines


def write_json(path: Path, image: str, verdicts: Iterable[Verdict]) -> None:
    """
    Write all there is for machines.
    """
    verdicts = list(verdicts)
    counted = Counter(str(verdict.outcome) for verdict in verdicts)
    report = {
        "image": image,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "summary": {str(outcome): counted[str(outcome)] for outcome in Outcome},
        "checks": [verdict.as_json() for verdict in verdicts],
    }
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def markdown(checks: Iterable[Check]) -> str:
    """
    Return the list of checks for the documentation.
    """
    lines = ["| check | what holds | where it does not, on SageMaker |", "|---|---|---|"]
    for check in checks:
        lines.append(f"| `{check.name}` | {check.holds} | {check.consequence} |")
    return "\n".join(lines) + "\n"
