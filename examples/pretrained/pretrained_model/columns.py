"""
The columns that ``example.csv`` shows.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from sagemaker_runtime.algorithm import Column
from sagemaker_runtime.formats.schema import Kind
from sagemaker_runtime.formats.values import is_missing, is_value

# A column is of the first of these kinds that each of its values has, else a text.
KINDS: tuple[Kind, ...] = ("number", "boolean", "timestamp", "numbers")


def columns_of(file: Path) -> Iterator[Column]:
    """
    Yield a column for each name in the first line; one with an empty field is optional.
    """
    with file.open(newline="", encoding="utf-8-sig") as opened:
        names, *rows = csv.reader(opened)
    for name, *values in zip(names, *rows, strict=True):
        yield _column(name, values)


def _column(name: str, values: Sequence[str]) -> Column:
    text = Column(name, "text", "")
    known = [value for value in values if not is_missing(text, value)]
    optional = len(known) < len(values)
    for kind in KINDS:
        column = Column(name, kind, known[0] if known else "", optional)
        # A code such as 01067 is not a number.
        codes = kind == "number" and any(v[:1] == "0" and v[1:2].isdigit() for v in known)
        if known and not codes and all(is_value(column, value) for value in known):
            return column
    return Column(name, "text", known[0] if known else "", optional)
