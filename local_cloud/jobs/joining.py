"""
DataProcessing of a batch job: columns chosen before, input joined after, columns chosen again.
"""

import json
import re
from typing import Any

from local_cloud.errors import Failed, invalid
from local_cloud.records import Record

PATH = re.compile(r"\$(?:\[(?P<place>-?\d+)\]|\[(?P<slice>-?\d*:-?\d*)\]|\.(?P<key>\w+))?")


def check(processing: Record) -> None:
    """
    Refuse paths that are not imitated; raises AwsError.
    """
    for name in ("InputFilter", "OutputFilter"):
        if not PATH.fullmatch(processing.get(name, "$")):
            raise invalid(
                f"{name} is {processing[name]!r}; the local cloud knows $, $[1], $[1:] and $.key"
            )


def reduce(record: Record, lines: list[bytes]) -> list[bytes]:
    """
    Return the lines that are asked: those of the input, by InputFilter.
    """
    path = record["DataProcessing"].get("InputFilter", "$")
    return lines if path == "$" else [_write(_choose(_read(each), path)) for each in lines]


def join(record: Record, given: bytes, answered: bytes) -> bytes:
    """
    Return the output file; raises Failed unless there are as many answers as records.
    """
    processing = record["DataProcessing"]
    answers = [_read(each) for each in answered.splitlines()]
    if processing.get("JoinSource", "None") == "Input":
        rows = [_read(each) for each in given.splitlines()]
        if len(rows) != len(answers):
            raise Failed(
                f"ClientError: {len(answers)} predictions for {len(rows)} records: they cannot be "
                "joined"
            )
        answers = [_joined(row, answer) for row, answer in zip(rows, answers, strict=True)]
    path = processing.get("OutputFilter", "$")
    return b"".join(_write(_choose(each, path)) for each in answers)


def _read(line: bytes) -> Any:
    text = line.decode("utf-8").rstrip("\r\n")
    return json.loads(text) if text.startswith("{") else text.split(",")


def _write(value: Any) -> bytes:
    text = ",".join(map(str, value)) if isinstance(value, list) else json.dumps(value)
    return text.encode() + b"\n"


def _joined(row: Any, answer: Any) -> Any:
    if isinstance(row, dict):
        return row | {"SageMakerOutput": answer}
    return [*row, *(answer if isinstance(answer, list) else [json.dumps(answer)])]


def _choose(value: Any, path: str) -> Any:
    found = PATH.fullmatch(path)
    if found is None or path == "$":
        return value
    try:
        if found["place"]:
            return [value[int(found["place"])]]
        if found["slice"]:
            start, end = (int(each) if each else None for each in found["slice"].split(":"))
            return value[start:end]
        return value[found["key"]]
    except (IndexError, KeyError, TypeError):
        raise Failed(f"ClientError: {path} finds nothing in a record") from None
