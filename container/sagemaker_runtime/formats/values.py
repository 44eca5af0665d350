"""
Values as they came in a request, to typed arrays; the same rules for every format.

- number: a finite int or float, or text that Python reads as one. Empty, null and NaN are missing.
- timestamp: text, ``2014-02-25 12:17:00 UTC`` or ISO 8601 with date and time. The wall-clock time
  counts: a fraction of a second and any zone are read and dropped, nothing is converted.
- text: a string that is not empty.

A missing value passes only in an optional column, as NaN, NaT or "".
"""

import re
from collections.abc import Callable, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats.schema import Column, Columns

if TYPE_CHECKING:
    from sagemaker_runtime.formats.table import Table

KIND_NAMES = {"number": "a number", "timestamp": "a timestamp", "text": "a text"}
DTYPES = {"number": "float64", "timestamp": "datetime64[s]", "text": "object"}

# Longest piece of the caller's data that an error message repeats, in characters.
SHOWN_LENGTH = 40

_MISSING = {"", "nan", "null"}
_NUMBERS = {int, float, str}
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?: ?(?:UTC|Z|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)


def convert(column: Column, values: Sequence[object], first_row: int = 1) -> np.ndarray:
    """
    Turn one column's values, the first of them from ``first_row``, into its array.

    Raises InvalidValue for the first value that breaks the column's rule.
    """
    try:
        return _WHOLE[column.kind](values)
    except (ValueError, TypeError, OverflowError):
        # Something is missing or wrong: look at each value alone.
        array = np.empty(len(values), DTYPES[column.kind])
        for index, value in enumerate(values):
            array[index] = _one(column, value, first_row + index)
        return array


def absent(column: Column, count: int) -> np.ndarray:
    """
    Return the array of an optional column that was not sent.
    """
    return np.full(count, _NOTHING[column.kind], DTYPES[column.kind])


def join(parts: Sequence[Columns], schema: "Table") -> Columns:
    """
    Put the pieces of a body together, in order; no piece makes columns without rows.
    """
    if len(parts) == 1:
        return parts[0]
    return {
        column.name: np.concatenate([part[column.name] for part in parts] or [absent(column, 0)])
        for column in schema.features
    }


def examples(schema: "Table") -> Columns:
    """
    Return one row made of the features' examples.
    """
    return {column.name: convert(column, (column.example,)) for column in schema.features}


def shown(value: object) -> str:
    """
    Return a value as an error message may show it: printable, on one line, not too long.
    """
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        whole = ascii(value[:SHOWN_LENGTH])
        return whole if len(value) <= SHOWN_LENGTH else f"{whole}..."
    if isinstance(value, int) and abs(value) >= 10**SHOWN_LENGTH:
        return "an integer of more than 40 digits"
    return repr(value)


def _numbers(values: Sequence[object]) -> np.ndarray:
    types = set(map(type, values))
    if not types <= _NUMBERS:
        raise TypeError
    # float() takes "1_000", which no other reader of these formats does.
    if str in types and "_" in "".join(values):  # type: ignore[arg-type]
        raise ValueError
    floats = list(map(float, values))  # type: ignore[arg-type]
    # NaN and infinity show in the sum: cheaper than numpy for one row, and as fast for many.
    if not isfinite(sum(floats)):
        raise ValueError
    return np.array(floats, "float64")


def _timestamps(values: Sequence[object]) -> np.ndarray:
    match = _TIMESTAMP.fullmatch
    # A value that does not match has no [1]: TypeError.
    return np.array([match(value)[1] for value in values], "datetime64[s]")  # type: ignore


def _texts(values: Sequence[object]) -> np.ndarray:
    if not set(map(type, values)) <= {str} or not all(values):
        raise TypeError
    array = np.empty(len(values), "object")
    array[:] = values
    return array


_WHOLE: dict[str, Callable[[Sequence[object]], np.ndarray]] = {
    "number": _numbers,
    "timestamp": _timestamps,
    "text": _texts,
}
_NOTHING: dict[str, object] = {"number": nan, "timestamp": np.datetime64("NaT"), "text": ""}


def _one(column: Column, value: object, row: int) -> object:
    """
    Convert one value by the rules that the whole-column functions follow.
    """
    rule = f"expected {KIND_NAMES[column.kind]} such as {column.example}"
    if _is_missing(column, value):
        if column.optional:
            return _NOTHING[column.kind]
        raise InvalidValue(f"{column.name} is missing in row {row}; {rule}", row, column.name)
    try:
        # JSON has whitespace outside strings only, CSV often after a comma.
        tidy = value.strip() if isinstance(value, str) and column.kind != "text" else value
        return _WHOLE[column.kind]((tidy,))[0]
    except (ValueError, TypeError, OverflowError):
        raise InvalidValue(
            f"{column.name} is {shown(value)} in row {row}; {rule}", row, column.name
        ) from None


def _is_missing(column: Column, value: object) -> bool:
    if isinstance(value, str):
        if column.kind == "text":
            return not value
        return value.strip().lower() in _MISSING
    return value is None or (isinstance(value, float) and value != value)
