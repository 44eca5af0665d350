"""
Requests: media types, and mistakes in what is sent.
"""

import json
import re
from typing import TYPE_CHECKING

from conformance.client import Answer
from conformance.sample import OPAQUE, Bad, count_rows
from conformance.verdicts import Area, Failed, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("requests")

SHOWN = 2048  # of an error's body, to the caller
INSIDES = re.compile(rb'Traceback \(most recent|File "[^"]+", line \d+|<!doctype|<html', re.I)


@area.check(
    "content-type-parameters",
    "A Content-Type with parameters, or in capitals, is understood like the plain one.",
    consequence='Requests with "text/csv; charset=utf-8" are refused; so is what another container '
    "of a pipeline sends.",
    remedy="Compare the part before the semicolon, in lower case.",
)
def parameters(lab: "Lab") -> str:
    sample = lab.sample
    plain = sample.content_type.partition(";")[0]
    first = lab.servers.shared.good(sample.body, plain)
    for variant in (f"{plain}; charset=utf-8", f"{plain};charset=UTF-8", plain.title()):
        answer = lab.servers.shared.predict(sample.body, variant)
        if answer.status != 200:
            raise Failed(f"{plain!r} is answered with 200, {variant!r} with {answer}")
    return f"{plain}; charset=utf-8, {plain.title()}: 200 as {first.content_type}"


@area.check(
    "content-type-unknown",
    "A request of an unknown type is refused with 4xx or taken, and is not an error of the server.",
    consequence="Callers' mistakes count as Invocation5XXErrors and set off alarms.",
    remedy="Answer 415 and say which types are read.",
)
def unknown_type(lab: "Lab") -> str:
    answer = lab.servers.shared.predict(lab.sample.body, "application/x-conformance")
    if answer.status >= 500:
        raise Failed(f"application/x-conformance is answered with {answer}")
    return str(answer.status)


@area.check(
    "accept",
    "An answer has the type that Accept asks for, or the request is refused.",
    consequence="The caller's deserializer fails; a batch job's output is not what it asked for.",
    remedy="Read Accept; answer 406 for what you do not write.",
)
def accept(lab: "Lab") -> str:
    sample = lab.sample
    lab.servers.shared.good(sample.body, sample.content_type, {"Accept": "*/*"})
    said = []
    for wanted in ("application/json", "text/csv"):
        answer = lab.servers.shared.predict(sample.body, sample.content_type, {"Accept": wanted})
        if answer.status >= 500:
            raise Failed(f"Accept: {wanted} is answered with {answer}")
        if answer.status == 200 and answer.content_type != wanted:
            raise Failed(f"Accept: {wanted} is answered with {answer}")
        if answer.status == 200 and wanted == "application/json":
            answer.json()
        said.append(f"{wanted}: {answer.status}")
    return ", ".join(said)


@area.check(
    "answer-content-type",
    "An answer says what it is by its Content-Type.",
    consequence="The next container of a pipeline and the caller's SDK misread it.",
    remedy="Set Content-Type; frameworks call a text text/html unless told otherwise.",
)
def answer_content_type(lab: "Lab") -> str:
    sample = lab.sample
    answer = lab.servers.shared.good(sample.body, sample.content_type)
    if not answer.content_type or answer.content_type == "text/html":
        raise Failed(str(answer))
    if answer.content_type == "text/csv" and answer.body[:1] in b"[{":
        raise Failed(f"JSON by its looks: {answer}")
    if answer.content_type.endswith("json"):
        answer.json() if "lines" not in answer.content_type else json.loads(
            answer.body.splitlines()[0]
        )
    return answer.content_type


def _mistakes(lab: "Lab") -> list[tuple[Bad, Answer]]:
    """
    Return the wrong requests, each with its answer; the sample itself must be taken.
    """
    sample = lab.sample
    lab.servers.shared.good(sample.body, sample.content_type)
    return [(bad, lab.servers.shared.predict(bad.body, bad.content_type)) for bad in sample.wrong()]


@area.check(
    "bad-input-status",
    "A wrong request is answered with 4xx.",
    consequence="With 5xx, callers' mistakes set off alarms and are sent again; with 200 they pass "
    "for predictions.",
    remedy="Catch errors of parsing and answer 400, 413, 415 or 422.",
)
def bad_input_status(lab: "Lab") -> str:
    said = []
    for bad, answer in _mistakes(lab):
        rows = _rows(answer)
        fine = 400 <= answer.status < 500
        if answer.status == 200:
            fine = bad.lenient or (bad.rows is not None and rows == bad.rows)
            # Fewer rows in an answer are another check: rows-never-fewer.
            fine = fine or (bad.rows is not None and rows < bad.rows)
        if not fine:
            raise Failed(f"{bad.what}: {answer}")
        said.append(f"{bad.what}: {answer.status}")
    return "; ".join(said)


def _rows(answer: Answer) -> int:
    try:
        return count_rows(answer) if answer.status == 200 else 0
    except (NotTried, Failed):
        return -1


@area.check(
    "bad-input-short",
    "What is wrong with a request is said within 2,048 bytes.",
    consequence="Callers see the first 2,048 characters of an error's body.",
    remedy="Answer with one sentence, best as JSON.",
)
def bad_input_short(lab: "Lab") -> str:
    sizes = []
    for bad, answer in _mistakes(lab):
        if answer.status >= 400:
            sizes.append(len(answer.body))
            if len(answer.body) > SHOWN:
                raise Failed(f"{bad.what}: {answer.status} with {len(answer.body):,} bytes")
    return f"{len(sizes)} errors, the longest of {max(sizes, default=0):,} bytes"


@area.check(
    "bad-input-no-insides",
    "Errors show the caller no traceback and no HTML page.",
    consequence="Callers' programs cannot read the error, and paths and code get out.",
    remedy="Answer errors with short JSON; write the traceback to the log.",
)
def bad_input_no_insides(lab: "Lab") -> str:
    for bad, answer in _mistakes(lab):
        if answer.status >= 400 and INSIDES.search(answer.body):
            raise Failed(f"{bad.what}: {answer}")
    return "none in any error"


@area.check(
    "rows-never-fewer",
    "A request with one bad row is refused, or answered with as many rows as it has.",
    consequence="Predictions are joined to the wrong rows, silently.",
    remedy="Refuse the request and name the row, or answer a placeholder in its place; never skip.",
)
def rows_never_fewer(lab: "Lab") -> str:
    sample = lab.sample
    if sample.kind == OPAQUE:
        sample.of(5)  # says what to give instead
    answers = []
    for bad in sample.with_bad_rows():
        answer = lab.servers.shared.predict(bad.body, bad.content_type)
        if answer.status == 200 and count_rows(answer) != bad.rows:
            raise Failed(f"{bad.what}: 200 with {count_rows(answer)} rows")
        answers.append(f"{bad.what}: {answer.status}")
    if not answers:
        raise NotTried("the kit knows no bad row for a sample of this form")
    return "; ".join(answers)
