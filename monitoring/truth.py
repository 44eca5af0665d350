"""
Ground truth: labels that came after the predictions, and the rows to which they belong.
"""

import base64
import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import orjson

from monitoring.captured import Captured
from sagemaker_runtime.baseline import outcomes
from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.formats import values
from sagemaker_runtime.formats.schema import Column

ID, ROW = "inference_id", "row"
# What a text may be and still is a column of its name; a label is read by its own column's rule.
Name = tuple[str, int]


@dataclass
class Truth:
    """
    Labels as they were written, by a row's name: id and number; ``counts`` says what was met.
    """

    labels: dict[Name, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def read(
    lines: Iterable[bytes], label: Column, truth: Truth | None = None, is_late: bool = False
) -> Truth:
    """
    Read lines of one file, CSV or SageMaker's JSON Lines, and add them to what was read before: of
    labels for one row the last counts.

    CSV has a header of ``inference_id``, ``row`` (or none, where requests have one row) and the
    label's name. ``is_late`` says that the file came after the window that is looked at.
    """
    truth = truth or Truth()
    lines = iter(lines)
    first = next(lines, b"").lstrip(b"\xef\xbb\xbf")
    whole = chain([first], lines)
    found = _of_json(whole, truth) if first.lstrip()[:1] == b"{" else _of_csv(whole, label, truth)
    for name, text in found:
        if not values.is_value(label, text):
            truth.counts["unreadable labels"] += 1
            continue
        if name in truth.labels:
            truth.counts["repeated labels"] += 1
        truth.counts["labels"] += 1
        truth.counts["late labels"] += is_late
        truth.labels[name] = text
    return truth


def joined(captured: Captured, truth: Truth, label: Column) -> tuple[Captured, np.ndarray]:
    """
    Return the rows that have a label and a prediction, and their labels.

    In ``captured.counts`` are rows "without label", labels that are "uncaptured", whose id nobody
    has, and "unmatched", whose id has no such row.
    """
    names = list(zip(captured.ids.tolist(), captured.numbers.tolist(), strict=True))
    places = [place for place, name in enumerate(names) if name in truth.labels]
    known, ids = set(names), set(captured.ids.tolist())
    foreign = [name for name in truth.labels if name not in known]
    counts = captured.counts
    counts["labels without row"] = sum(name[0] in ids for name in foreign)
    counts["labels without request"] = len(foreign) - counts["labels without row"]
    counts["rows without label"] = len(captured) - len(places)
    found = captured.take(np.array(places, np.int64))
    labels = values.convert(label, [truth.labels[names[place]] for place in places])
    has = outcomes.present(found.predicted)
    return found.take(has), labels[has]


def _of_csv(lines: Iterable[bytes], label: Column, truth: Truth) -> Iterator[tuple[Name, str]]:
    rows = csv.reader(line.decode(errors="replace") for line in lines)
    header = [each.strip() for each in next(rows, [])]
    if ID not in header or label.name not in header:
        raise RequestError(
            f"the labels' first line is {','.join(header)[:100]!r}; expected a header such as "
            f"{ID},{ROW},{label.name}, or lines as SageMaker's ground truth has them"
        )
    id_at, label_at = header.index(ID), header.index(label.name)
    row_at = header.index(ROW) if ROW in header else None
    for fields in rows:
        if not fields:
            continue
        try:
            number = int(fields[row_at] or 0) if row_at is not None else 0
            yield (fields[id_at], number), fields[label_at]
        except (IndexError, ValueError):
            truth.counts["unreadable labels"] += 1


def _of_json(lines: Iterable[bytes], truth: Truth) -> Iterator[tuple[Name, str]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            content = orjson.loads(line)
            event, told = content["eventMetadata"]["eventId"], content["groundTruthData"]
            data = told["data"]
            if told.get("encoding") == "BASE64":
                data = base64.b64decode(data, validate=True).decode()
            texts = data.splitlines() if isinstance(data, str) else [str(data)]
        except (ValueError, KeyError, TypeError, AttributeError):
            truth.counts["unreadable labels"] += 1
            continue
        for number, text in enumerate(texts):
            yield (event, number), text.partition(",")[0].strip()
