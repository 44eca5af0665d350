"""
What the columns of a CSV file are, judged by its header and values with the program's own rules.
"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from sagemaker_runtime.formats.kinds import column_of
from sagemaker_runtime.formats.schema import Column, Kind
from sagemaker_runtime.formats.values import convert

# How many rows are looked at.
ROWS = 200_000
# Whole numbers are classes when there are at most this many different ones.
CLASSES = 10
# In fewer rows, texts that are all different say little.
FEWEST_FOR_KEY = 20
# Characters that are enough for an example.
EXAMPLE_LENGTH = 60
# Those that the template's model takes.
KINDS: tuple[Kind, ...] = ("number", "boolean", "timestamp")


class Refused(Exception):
    """
    What was asked for cannot be done; the message says why and what to do.
    """


@dataclass(frozen=True)
class Csv:
    """
    A table: the ``features`` and the ``label`` by their kinds, columns without any value, the names
    of features that may be keys, whether the label is one of few classes, and some first rows.
    """

    features: tuple[Column, ...]
    label: Column
    empty: tuple[Column, ...]
    keys: tuple[str, ...]
    is_class: bool
    first: list[dict[str, str]]


def read(path: Path, target: str) -> Csv:
    """
    Look at a table; raises Refused when it or the target cannot be used.
    """
    header, rows = _rows(path)
    if target not in header:
        raise Refused(f"there is no column {target!r} in {path.name}; it has: {', '.join(header)}")
    columns = {}
    empty, keys = [], []
    for name, values in zip(header, zip(*rows, strict=True), strict=True):
        if any(values):
            column = column_of(name, values, KINDS)
            columns[name] = replace(column, example=column.example[:EXAMPLE_LENGTH])
            if name != target and _may_be_key(columns[name], values):
                keys.append(name)
        elif name != target:
            empty.append(Column(name, "text", "", optional=True))
    label = columns.pop(target, None)
    if label is None:
        raise Refused(f"the target {target!r} has no value in {path.name}; expected one to learn")
    if label.kind == "timestamp":
        raise Refused(
            f"the target {target!r} is a timestamp, such as {label.example}; expected numbers, or "
            "texts or true and false as classes. Make a number of it, such as days."
        )
    if not columns:
        raise Refused(f"{path.name} has no column beside {target!r} to predict it from")
    known = [row[header.index(target)] for row in rows]
    is_class = label.kind != "number" or _are_classes(convert(label, known))
    if is_class and len(set(filter(None, known))) < 2:
        raise Refused(
            f"the target {target!r} has one value only, {label.example!r}; nothing to learn"
        )
    first = [dict(zip(header, row, strict=True)) for row in rows[:5]]
    return Csv(tuple(columns.values()), label, tuple(empty), tuple(keys), is_class, first)


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.name.endswith((".csv", ".csv.gz")):
        raise Refused(f"{path.name} is not read in training; expected a name such as data.csv")
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            rows = [row for row in islice(lines, ROWS) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refused(f"{path} cannot be read: {reason}; expected a CSV file in UTF-8") from error
    if not rows:
        raise Refused(f"{path.name} has no rows; expected a header and rows below it")
    if len(header) == 1 and ";" in header[0]:
        raise Refused(f"the columns of {path.name} are separated by ';'; expected commas")
    for place, name in enumerate(header, 1):
        if not name.strip():
            raise Refused(
                f"column {place} of {path.name} has no name; if it is pandas' index, write the "
                "file without: to_csv(..., index=False)"
            )
        if header.count(name) > 1:
            raise Refused(f"{path.name} has the column {name!r} twice; expected each name once")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise Refused(
                f"row {number} of {path.name} has {len(row)} fields; expected {len(header)}, as "
                "the header has"
            )
    return header, rows


def _may_be_key(column: Column, values: Sequence[str]) -> bool:
    """
    Tell whether values number the rows, or are texts of which no two are alike.
    """
    if len(values) < FEWEST_FOR_KEY or column.optional:
        return False
    if column.kind == "number":
        return bool((np.diff(convert(column, values)) == 1).all())
    return column.kind == "text" and len(set(values)) == len(values)


def _are_classes(numbers: np.ndarray) -> bool:
    known = numbers[~np.isnan(numbers)]
    return bool((known == np.round(known)).all()) and len(np.unique(known)) <= CLASSES
