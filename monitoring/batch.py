"""
Answers of batch transform jobs, as events.

A row's name is its inference id where the job gave one (GenerateInferenceId), or else its file's
name and its number, from 0.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

import orjson

from monitoring.events import Event, Side
from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES
from sagemaker_runtime.formats.table import Table

# What SageMaker adds to a file's name for its answers.
SUFFIX = ".out"
# The keys of JSON Lines that it adds: of JoinSource, and of GenerateInferenceId.
OUTPUT, ID, TIME = "SageMakerOutput", "SageMakerInferenceId", "SageMakerInferenceTime"
# The same id and time behind a row of CSV.
IDENTIFIED = re.compile(rb"(.*),([0-9A-Fa-f-]{36}),(\d{4}-\d\d-\d\dT[^,]+)")


class Row(NamedTuple):
    """
    A line in its parts: what was asked, empty where it does not stand beside the answer; the
    answer; id and time, empty where the job gave none.
    """

    given: bytes
    answered: bytes
    id: str = ""
    time: str = ""


def events(
    name: str, answered: bytes, given: bytes | None, table: Table, counts: Counter[str]
) -> Iterator[Event]:
    """
    Yield the events of a file ``name`` that was answered: one for each row that has an id, or else
    one for the whole file.

    ``given`` is the file's content. Without it, only answers that the job has joined to their rows
    (JoinSource) say what was asked.
    """
    counts["batch files"] += 1
    kind = _kind(name, answered)
    rows = _rows(kind, answered)
    if kind == CSV and given is None and rows and _is_row(table, _parted(rows[0]).given):
        rows = [_parted(row) for row in rows]
    is_joined = bool(rows and rows[0].given)
    if is_joined:
        given = b"\n".join(row.given for row in rows)
    form = _kind(name, given or b"")
    if not rows or not rows[0].id:
        body = b"\n".join(row.answered for row in rows) if is_joined else answered
        yield Event(name, "", Side(form, given) if given else None, Side(kind, body))
        return
    asked = _lines(given or b"")
    if given and len(asked) != len(rows):
        counts["unreadable requests"] += 1
        asked = []
    for place, row in enumerate(rows):
        side = Side(form, asked[place]) if asked else None
        yield Event(row.id, row.time, side, Side(kind, row.answered))


def _kind(name: str, body: bytes) -> str:
    if body.lstrip()[:1] not in (b"{", b"["):
        return CSV
    return JSON if name.endswith(".json") else JSON_LINES


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if line.strip()]


def _rows(kind: str, answered: bytes) -> Sequence[Row]:
    if kind == CSV:
        found = [(line, IDENTIFIED.fullmatch(line)) for line in _lines(answered)]
        return [
            Row(b"", at[1], at[2].decode(), at[3].decode()) if at else Row(b"", line)
            for line, at in found
        ]
    try:
        return [_of_json(line) for line in _lines(answered)] if kind == JSON_LINES else []
    except ValueError:
        return []


def _of_json(line: bytes) -> Row:
    content = orjson.loads(line)
    if not isinstance(content, dict):
        return Row(b"", line)
    name, time = str(content.pop(ID, "")), str(content.pop(TIME, ""))
    if OUTPUT not in content:
        return Row(b"", orjson.dumps(content), name, time)
    output = orjson.dumps(content.pop(OUTPUT))
    return Row(orjson.dumps(content), output, name, time)


def _parted(row: Row) -> Row:
    """
    Part a row of CSV from its prediction, the last field, which is quoted if it is a text with
    commas.
    """
    line = row.answered
    at = line.rfind(b',"') if line.endswith(b'"') else line.rfind(b",")
    return row._replace(given=line[: max(at, 0)], answered=line[at + 1 :])


def _is_row(table: Table, line: bytes) -> bool:
    try:
        return bool(line) and bool([*table.read(BytesIO(line), CSV, "utf-8")])
    except (RequestError, ValueError):
        return False
