"""
Arrow's arrays to columns, by the rules of ``values``, many times as fast.

Nothing here accepts what ``values.convert`` refuses, or reads it otherwise: what is not surely
lawful raises ``Unsure`` and is left to that. Imported with the first large table only: pyarrow
takes a third of the time that serving needs to start.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sagemaker_runtime.formats.schema import Column
from sagemaker_runtime.formats.timestamps import EARLIEST_MS, LATEST_MS
from sagemaker_runtime.formats.values import (
    BLANKS,
    BOOLEANS,
    MISSING,
    dtype_of,
)

NAT = np.datetime64("NaT", "s").astype(np.int64).item()

# A wall-clock time, then a fraction and a zone, which are ignored.
TAIL = r"(\.\d+)?( ?(UTC|Z|[+-]\d\d(:?\d\d)?))?$"
DATE = r"^\d{4}-\d\d-\d\d$"
DIGITS = r"^-?\d{1,15}$"
TIMESTAMP = rf"^(\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?){TAIL}"
SHORTEST = len("2014-02-25")
TO_SECONDS = len("2014-02-25 12:17:00")
LONGEST = 1000  # pyarrow fails on a slice without an end

_WORDS = [word for word in BOOLEANS if isinstance(word, str)]
_TRUTHS = np.array([BOOLEANS[word] for word in _WORDS])


def _strings(words: Sequence[str]) -> pa.Array:
    # Not pa.array, which imports pandas: 0.3 s.
    ends = np.cumsum([0, *map(len, words)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(words), pa.py_buffer(ends.tobytes()), pa.py_buffer("".join(words).encode())
    )


_DTYPES = {pa.float64(): np.float64, pa.int64(): np.int64, pa.int32(): np.int32}
_WORD_ARRAY, _NULL_ARRAY = _strings(_WORDS), _strings(sorted(MISSING))


class Unsure(Exception):
    """
    Something may break a rule, or is only for ``values.convert`` to read.
    """


def from_arrow(column: Column, array: pa.Array) -> np.ndarray:
    """
    Turn one column's Arrow array into its array; raises Unsure.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    try:
        return _KINDS[column.kind](column, array)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Unsure from error


def is_castable(column: Column, kind: pa.DataType) -> bool:
    """
    Tell whether values of an Arrow type mean what the column holds.
    """
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_null(kind):
        return True
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    whole = types.is_integer(kind)
    number = whole or types.is_floating(kind) or types.is_decimal(kind)
    if column.kind == "number":
        return number
    if column.kind == "boolean":
        return text or number or types.is_boolean(kind)
    if column.kind == "timestamp":
        with_unit = whole and column.unit == "ms"
        return text or with_unit or types.is_timestamp(kind) or types.is_date(kind)
    if column.kind == "text":
        return text or whole
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return is_castable(Column(column.name, "number", ""), kind.value_type)
    return text


def _checked(column: Column, array: pa.Array) -> pa.Array:
    if array.null_count and not column.optional:
        raise Unsure
    return array


def _without_missing(column: Column, texts: pa.Array) -> pa.Array:
    """
    Trim texts, and make nulls of those that are missing.
    """
    texts = pc.utf8_trim(texts, BLANKS)
    gone = pc.is_in(texts, _NULL_ARRAY)
    if gone.true_count:
        texts = pc.if_else(gone, pa.nulls(len(texts), pa.string()), texts)
    return _checked(column, texts)


def _numbers(column: Column, values: pa.Array) -> np.ndarray:
    is_text = pa.types.is_string(values.type)
    if is_text:
        values = _without_missing(column, values)
    # Integers above 2^53 lose their last digits.
    values = _checked(column, values.cast(pa.float64(), safe=False))
    array = _array(values, np.nan)
    odd = len(array) - np.count_nonzero(np.isfinite(array))
    if odd != values.null_count and (is_text or not column.optional or np.isinf(array).any()):
        raise Unsure
    return array


def _array(values: pa.Array, missing: float) -> np.ndarray:
    """
    Return an array of numbers, ``missing`` in the place of null.
    """
    # Not to_numpy or fill_null, which import pandas: 0.3 s.
    if not values.null_count:
        return np.from_dlpack(values)
    start = values.offset
    array = np.frombuffer(values.buffers()[1], _DTYPES[values.type])[start : start + len(values)]
    gone = np.from_dlpack(values.is_null().cast(pa.uint8())) == 1
    return np.where(gone, np.array(missing, array.dtype), array)


def _booleans(column: Column, values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        texts = _without_missing(column, values)
        found = pc.index_in(texts, _WORD_ARRAY)
        if found.null_count != texts.null_count:
            raise Unsure
        truths = _TRUTHS[_array(found, 0)]
    else:
        texts = _checked(column, values)
        numbers = texts.cast(pa.uint8()) if pa.types.is_boolean(texts.type) else texts
        truths = _array(numbers.cast(pa.float64(), safe=False), 0)
        if not np.isin(truths, (0.0, 1.0)).all():
            raise Unsure
    if texts.null_count:
        gone = np.from_dlpack(texts.is_null().cast(pa.uint8())) == 1
        truths = np.where(gone, np.nan, truths)
    return truths.astype(dtype_of(column))


def _times(column: Column, values: pa.Array) -> np.ndarray:
    """
    Turn texts, timestamps or milliseconds into wall-clock seconds.
    """
    if pa.types.is_string(values.type):
        seconds = _times_of_texts(column, values)
    elif pa.types.is_integer(values.type):
        seconds = _since_1970(values)
    else:
        if pa.types.is_timestamp(values.type) and values.type.tz not in (None, "UTC"):
            values = pc.local_timestamp(values)
        if not pa.types.is_null(values.type):
            values = pc.floor_temporal(values, unit="second")
        seconds = values.cast(pa.timestamp("s"), safe=False)
    _checked(column, seconds)
    return _array(seconds.cast(pa.int64()), NAT).view("datetime64[s]")


def _times_of_texts(column: Column, texts: pa.Array) -> pa.Array:
    shortest = pc.min(pc.binary_length(texts)).as_py()
    if shortest is not None and shortest < SHORTEST:  # something is missing
        texts = _without_missing(column, texts)
    try:
        seconds = _uniform(texts)
        return _any(texts) if seconds is None else seconds
    except pa.ArrowInvalid:
        # Arrow's integers may also be hexadecimal.
        if column.unit != "ms" or pc.all(pc.match_substring_regex(texts, DIGITS)).as_py() is False:
            raise
        return _since_1970(texts.cast(pa.int64()))


def _since_1970(milliseconds: pa.Array) -> pa.Array:
    milliseconds = milliseconds.cast(pa.int64())
    bounds = pc.min_max(milliseconds).as_py()
    if bounds["min"] is not None and not EARLIEST_MS <= bounds["min"] <= bounds["max"] <= LATEST_MS:
        raise Unsure
    times = milliseconds.cast(pa.timestamp("ms"))
    return pc.floor_temporal(times, unit="second").cast(pa.timestamp("s"))


def _uniform(texts: pa.Array) -> pa.Array | None:
    """
    Parse texts that all say seconds, ten times as fast as ``_any``; None when one does not.
    """
    binary = texts.cast(pa.binary())
    shortest = pc.min(pc.binary_length(binary)).as_py()
    if shortest is not None and shortest < TO_SECONDS:
        return None
    # Few different ones in most files: " UTC" and no other.
    tails = pc.unique(pc.binary_slice(binary, TO_SECONDS, LONGEST))
    try:
        if pc.all(pc.match_substring_regex(tails.cast(pa.string()), f"^{TAIL}")).as_py() is False:
            return None
        return pc.binary_slice(binary, 0, TO_SECONDS).cast(pa.string()).cast(pa.timestamp("s"))
    except pa.ArrowInvalid:
        return None


def _any(texts: pa.Array) -> pa.Array:
    if pc.all(pc.match_substring_regex(texts, f"{TIMESTAMP}|{DATE}")).as_py() is False:
        raise pa.ArrowInvalid("not a timestamp")
    return pc.replace_substring_regex(texts, TIMESTAMP, r"\1").cast(pa.timestamp("s"))


def _texts(column: Column, values: pa.Array) -> np.ndarray:
    if not pa.types.is_string(values.type):
        values = values.cast(pa.string())
    texts = values.to_pylist()
    if values.null_count:
        texts = [text or "" for text in texts]
    if not column.optional and not all(texts):
        raise Unsure
    array = np.empty(len(texts), "object")
    array[:] = texts
    return array


def _lists(column: Column, values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        raise Unsure
    lists: Any = _checked(column, values.cast(pa.large_list(pa.float64()), safe=False))
    lengths = _array(pc.list_value_length(lists), 0)
    flat = _array(lists.flatten(), np.nan)
    if np.isinf(flat).any():
        raise Unsure
    array = np.empty(len(lists), "object")
    end = 0
    for at, length in enumerate(lengths.tolist()):
        array[at] = flat[end : end + length]
        end += length
    return array


_KINDS: dict[str, Callable[[Column, pa.Array], np.ndarray]] = {
    "number": _numbers,
    "boolean": _booleans,
    "timestamp": _times,
    "text": _texts,
    "numbers": _lists,
}
