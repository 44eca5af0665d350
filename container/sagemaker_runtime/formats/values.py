"""
Values as they came, to typed arrays: one table of rules for every format, in requests and in
training files alike.

- number: a finite int or float, or text in ASCII that Python's ``float`` reads, without ``_``.
- boolean: true or false, True, TRUE, False, FALSE, 1, 0, 1.0 or 0.0.
- timestamp: ``2014-02-25``, ``2014-02-25 12:17:00 UTC`` or ISO 8601. The wall-clock time counts:
  a fraction of a second and any zone are read and dropped, nothing is converted. With unit "ms"
  also a number: milliseconds since 1970.
- text: any text that is not empty; a number of JSON is the text that it was written as.
- numbers: a list of finite numbers, null inside being NaN; in CSV written as JSON.

Missing are null, NaN and the words in MISSING, but of texts only null and the empty one: "NA" may
be Namibia. Blanks around what is not a text count for nothing. A missing value passes only in an
optional column.
"""

import json
from collections.abc import Callable, Sequence
from itertools import product
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats.messages import Number, rule_of, shown
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.timestamps import TIMESTAMP, moment, moments

if TYPE_CHECKING:
    from sagemaker_runtime.formats.table import Table

DTYPES = {
    "number": "float64",
    "boolean": "bool",
    "timestamp": "datetime64[s]",
    "text": "object",
    "numbers": "object",
}

# What pandas, R, SQL and spreadsheets write for a missing value, in every mixture of cases.
MISSING = frozenset(
    "".join(letters)
    for word in ("", "na", "n/a", "nan", "null", "none", "<na>", "#n/a")
    for letters in product(*({letter, letter.upper()} for letter in word))
)

BOOLEANS: dict[object, float] = {
    **dict.fromkeys(("true", "True", "TRUE", "1", "1.0", True), 1.0),
    **dict.fromkeys(("false", "False", "FALSE", "0", "0.0", False), 0.0),
}

# Fewer values are not worth looking at as one array.
MANY = 50

BLANKS = " \t\r\n\v\f"

# numpy takes longer to read the name than to make an array of one value.
_SECONDS = np.dtype(DTYPES["timestamp"])

_decode_numbers = msgspec.json.Decoder(list[float | None]).decode
_NUMBER_TYPES = {int, float, str, Number, type(None)}
_TEXT_TYPES = {str, Number}


class _Unlawful(Exception):
    """
    A value breaks its column's rule.
    """


def convert(column: Column, values: Sequence[object], first_row: int = 1) -> np.ndarray:
    """
    Turn one column's values, the first of them from ``first_row``, into its array.

    Raises InvalidValue for the first value that breaks the column's rule.
    """
    try:
        return _WHOLE[column.kind](column, values)
    except (_Unlawful, ValueError, TypeError, OverflowError):
        raise _first_fault(column, values, first_row) from None


def absent(column: Column, count: int) -> np.ndarray:
    """
    Return the array of a column that was not sent.
    """
    if column.kind == "numbers":
        return _objects([np.empty(0)] * count)
    return np.full(count, _NOTHING[column.kind], dtype_of(column))


def examples(schema: "Table") -> Columns:
    """
    Return one row made of the features' examples.
    """
    return {column.name: convert(column, (column.example,)) for column in schema.features}


def dtype_of(column: Column) -> str:
    """
    Return the dtype of the column's arrays.
    """
    return "float64" if column.kind == "boolean" and column.optional else DTYPES[column.kind]


def is_missing(column: Column, value: object) -> bool:
    """
    Tell whether a value stands for none.
    """
    if isinstance(value, str):
        if column.kind == "text":
            return not value
        return value.strip(BLANKS) in MISSING
    return value is None or (isinstance(value, float) and value != value)


def is_value(column: Column, value: object) -> bool:
    """
    Tell whether a value follows the column's rule, and is not missing.
    """
    if is_missing(column, value):
        return False
    try:
        _WHOLE[column.kind](column, (value,))
    except (_Unlawful, ValueError, TypeError, OverflowError):
        return False
    return True


def _first_fault(column: Column, values: Sequence[object], first_row: int) -> InvalidValue:
    """
    Look at each value alone and return what is wrong with the first that breaks the rule.
    """
    for row, value in enumerate(values, first_row):
        if is_missing(column, value):
            if not column.optional:
                what = f"{column.name} is missing in row {row}"
                return InvalidValue(f"{what}; {rule_of(column)}", row, column.name)
            continue
        try:
            _WHOLE[column.kind](column, (value,))
        except (_Unlawful, ValueError, TypeError, OverflowError):
            what = f"{column.name} is {shown(value)} in row {row}"
            return InvalidValue(f"{what}; {rule_of(column)}", row, column.name)
    raise AssertionError(f"{column.name}: each value is lawful, all together are not")


def _filled(column: Column, values: Sequence[object], nothing: object) -> list[Any]:
    """
    Put ``nothing`` in the place of what is missing, and strip texts; raises when it must not be.
    """
    if column.optional:
        return [
            nothing
            if value is None
            or value != value
            or (isinstance(value, str) and value.strip(BLANKS) in MISSING)
            else value
            for value in values
        ]
    raise _Unlawful


def _numbers(column: Column, values: Sequence[object]) -> np.ndarray:
    if len(values) == 1 and (number := _plain_number(values[0])) is not None:
        return np.array((number,))
    types = set(map(type, values))
    if not types <= _NUMBER_TYPES:
        raise _Unlawful
    if str in types:
        texts = values if len(types) == 1 else [v for v in values if isinstance(v, str)]
        # float() takes "1_000" and digits of other alphabets, which no other reader here does.
        if "_" in (joined := "".join(texts)) or not joined.isascii():  # type: ignore[arg-type]
            raise _Unlawful
    if len(values) > MANY and types <= {int, float}:
        array = np.array(values, "float64")
        if np.isfinite(array).all():
            return array
    try:
        floats = list(map(float, values))  # type: ignore[arg-type]
        # NaN and infinity show in the sum: cheaper than numpy for one row, as fast for many.
        array = np.array(floats, "float64")
        if isfinite(sum(floats)) or np.isfinite(array).all():
            return array
    except (ValueError, TypeError):
        pass
    filled = _filled(column, values, nan)
    array = np.array(list(map(float, filled)), "float64")
    odd = np.flatnonzero(~np.isfinite(array))
    if not all(filled[at] is nan for at in odd.tolist()):
        raise _Unlawful
    return array


def _plain_number(value: object) -> float | None:
    """
    Read what almost every number of a row alone is, in a third of the time; None for all else.
    """
    try:
        if type(value) is str and value.isascii() and "_" not in value:
            number = float(value)
            return number if isfinite(number) else None
    except ValueError:
        pass
    return None


def _booleans(column: Column, values: Sequence[object]) -> np.ndarray:
    filled = _filled(column, values, nan) if column.optional else values
    found = [nan if value is nan else _truth(value) for value in filled]
    return np.array(found, dtype_of(column))


def _truth(value: object) -> float:
    try:
        return BOOLEANS[value.strip(BLANKS) if isinstance(value, str) else value]
    except KeyError:
        raise _Unlawful from None


def _timestamps(column: Column, values: Sequence[object]) -> np.ndarray:
    match = TIMESTAMP.fullmatch
    try:
        if len(values) > MANY and (alike := moments(values)) is not None:
            return alike
        # A value that does not match has no [1]: TypeError.
        if Number not in set(map(type, values)):
            return np.array([match(value)[1] for value in values], _SECONDS)  # type: ignore
    except TypeError:
        pass
    filled = _filled(column, values, None) if column.optional else values
    return np.array([_moment(column, value) for value in filled], "datetime64[s]")


def _moment(column: Column, value: object) -> np.datetime64:
    if value is None and column.optional:
        return np.datetime64("NaT")
    tidy = value.strip(BLANKS) if type(value) is str else value
    found = moment(tidy, column.unit)
    if found is None:
        raise _Unlawful
    return found


def _refused() -> str:
    raise _Unlawful


def _texts(column: Column, values: Sequence[object]) -> np.ndarray:
    if not set(map(type, values)) <= {str}:
        values = [
            ""
            if value is None or value != value
            else str(value)
            if type(value) in _TEXT_TYPES
            else _refused()
            for value in values
        ]
    if not column.optional and not all(values):
        raise _Unlawful
    return _objects(values)


def _lists(column: Column, values: Sequence[object]) -> np.ndarray:
    filled = _filled(column, values, ()) if column.optional else values
    return _objects([_list(value) for value in filled])


def _list(value: object) -> np.ndarray:
    if isinstance(value, str) and not isinstance(value, Number):
        value = _parsed(value)
    if not isinstance(value, list | tuple):
        raise _Unlawful
    if not set(map(type, value)) <= _NUMBER_TYPES - {str}:
        raise _Unlawful
    array = np.array([nan if each is None else float(each) for each in value], "float64")
    if np.isinf(array).any():
        raise _Unlawful
    return array


def _parsed(text: str) -> object:
    try:
        return _decode_numbers(text)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:  # with NaN in it, which strict readers refuse
        return json.loads(text)
    except RecursionError:
        raise _Unlawful from None


def _objects(values: Sequence[object]) -> np.ndarray:
    array = np.empty(len(values), "object")
    if values and isinstance(values[0], np.ndarray):
        for at, value in enumerate(values):  # at once, numpy would look for one shape of all
            array[at] = value
    else:
        array[:] = values
    return array


_WHOLE: dict[str, Callable[[Column, Sequence[object]], np.ndarray]] = {
    "number": _numbers,
    "boolean": _booleans,
    "timestamp": _timestamps,
    "text": _texts,
    "numbers": _lists,
}
_NOTHING: dict[str, object] = {
    "number": nan,
    "boolean": nan,
    "timestamp": np.datetime64("NaT"),
    "text": "",
}
