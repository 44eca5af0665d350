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
import pyarrow.csv

from sagemaker_runtime.formats.csv_blocks import Block
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.values import (
    BLANKS,
    BOOLEANS,
    EARLIEST_MS,
    LATEST_MS,
    MISSING,
    absent,
    dtype_of,
)

NAT = np.datetime64("NaT", "s").astype(np.int64).item()

# A wall-clock time, then a fraction and a zone, which are ignored.
TAIL = r"(\.\d+)?( ?(UTC|Z|[+-]\d\d(:?\d\d)?))?$"
DATE = r"^\d{4}-\d\d-\d\d$"
TIMESTAMP = rf"^(\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?){TAIL}"
SHORTEST = len("2014-02-25")
TO_SECONDS = len("2014-02-25 12:17:00")
LONGEST = 1000  # pyarrow fails on a slice without an end

_MISSING = pa.array(sorted(MISSING))
_WORDS = pa.array([word for word in BOOLEANS if isinstance(word, str)])
_TRUTHS = np.array([BOOLEANS[word] for word in _WORDS.to_pylist()])


class Unsure(Exception):
    """
    Something may break a rule, or is only for ``values.convert`` to read.
    """


def parse_csv(
    block: Block, width: int, places: Sequence[tuple[Column, int | None]], skip_blank: bool
) -> Columns:
    """
    Read rows of CSV that have ``width`` fields; ``places`` tells where each column stands, None for
    one that does not.

    Raises Unsure.
    """
    if width == 1 and not skip_blank and _has_blank(block):
        raise Unsure
    text = pa.py_buffer(block.text).slice(block.start)
    try:
        try:
            table = _table(text, width, places, skip_blank, "number")
        except pa.ArrowInvalid:  # a number with blanks around it, for one
            table = _table(text, width, places, skip_blank)
        return {
            column.name: absent(column, table.num_rows)
            if at is None
            else _from_csv(column, table[str(at)].combine_chunks())
            for column, at in places
        }
    except pa.ArrowInvalid as error:
        raise Unsure from error


def _has_blank(block: Block) -> bool:
    text = block.rows()
    return any(ends in text for ends in (b"\n\n", b"\n\r", b"\r\r")) or text[:1] in (b"\r", b"\n")


def _table(
    text: pa.Buffer,
    width: int,
    places: Sequence[tuple[Column, int | None]],
    skip_blank: bool,
    typed: str = "",
) -> pa.Table:
    types = {
        str(at): pa.float64() if column.kind == typed else pa.string()
        for column, at in places
        if at is not None
    }
    return pyarrow.csv.read_csv(
        text,
        pyarrow.csv.ReadOptions(
            column_names=[str(at) for at in range(width)],
            block_size=text.size + 1,
            use_threads=False,
        ),
        pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=skip_blank),
        pyarrow.csv.ConvertOptions(
            # One of them at least: without any, pyarrow would read all.
            include_columns=list(types) or ["0"],
            column_types=types,
            check_utf8=False,  # of the whole block it is checked
            null_values=_MISSING.to_pylist(),
            strings_can_be_null=False,
        ),
    )


def _from_csv(column: Column, values: pa.Array) -> np.ndarray:
    array = from_arrow(column, values)
    is_parsed = pa.types.is_floating(values.type)
    if is_parsed and np.count_nonzero(np.isnan(array)) != values.null_count:
        raise Unsure  # a spelling of NaN that only this parser takes
    return array


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
    gone = pc.is_in(texts, _MISSING)
    if gone.true_count:
        texts = pc.if_else(gone, pa.scalar(None, pa.string()), texts)
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
    # Not to_numpy, which imports pandas: 0.3 s. Filling in missing values does so, too.
    return np.from_dlpack(values.fill_null(missing) if values.null_count else values)


def _booleans(column: Column, values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        texts = _without_missing(column, values)
        found = pc.index_in(texts, _WORDS)
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
        truths = np.where(_array(texts.is_null().cast(pa.uint8()), 0), np.nan, truths)
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
        if column.unit != "ms":
            raise
        return _since_1970(texts.cast(pa.int64()))


def _since_1970(milliseconds: pa.Array) -> pa.Array:
    milliseconds = milliseconds.cast(pa.int64())
    within = pc.and_(
        pc.less_equal(EARLIEST_MS, milliseconds), pc.less_equal(milliseconds, LATEST_MS)
    )
    if pc.all(within).as_py() is False:
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
    texts = values.fill_null("") if values.null_count else values
    if not column.optional and pc.any(pc.equal(texts, "")).as_py():
        raise Unsure
    array = np.empty(len(texts), "object")
    array[:] = texts.to_pylist()
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
