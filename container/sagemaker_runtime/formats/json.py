"""
Rows of JSON and JSON Lines.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar, cast

import msgspec
import numpy as np

from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats import json_rows, values
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.csv_blocks import blocks
from sagemaker_runtime.formats.json_rows import INSTANCES, Rows
from sagemaker_runtime.formats.layout import Wanted
from sagemaker_runtime.formats.media_types import check_utf8
from sagemaker_runtime.formats.messages import Number, record_of
from sagemaker_runtime.formats.schema import Column, Columns

# Longer texts are read in pieces: parsing 100 MB at once would hold Python's lock, and with it
# every other thread, for a second, and need many times the memory. 10,000 rows are shorter.
WHOLE = 4 << 20

# Shorter lists of records are parsed to dicts, not to typed rows.
SHORT = 1000

Result = TypeVar("Result")

_list_begins = re.compile(
    rb'[ \t\n\r]*(\{[ \t\n\r]*"instances"[ \t\n\r]*:[ \t\n\r]*)?\[[ \t\n\r]*\{'
)
_line_end = re.compile("\r\n|\n|\r")

# By kind, what a typed row takes; anything else is for ``exactly`` to read.
_TYPES: dict[str, Any] = {
    "number": float | str | None,
    "boolean": bool | int | float | str | None,
    "timestamp": str | int | None,
    "text": str | None,
    "numbers": list[float | None] | str | None,
}


class _Inexact(Exception):
    """
    A text's number was parsed, which loses how it was written.
    """


class Typed:
    """
    A table's records as msgspec reads them: a third of the time of dicts.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        names = [f"c{at}" for at in range(len(wanted.columns))]
        row = msgspec.defstruct(
            "Row",
            [(n, _TYPES[c.kind]) for n, c in zip(names, wanted.columns, strict=True)],
            rename=dict(zip(names, (c.name for c in wanted.columns), strict=True)),
            gc=False,
        )
        body = msgspec.defstruct("Body", [(INSTANCES, list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
        self.row = msgspec.json.Decoder(row).decode
        self.list = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]
        self._body = msgspec.json.Decoder(body).decode

    def instances(self, text: bytes) -> list[Any]:
        """
        Parse {"instances": records}.
        """
        return self._body(text).instances  # type: ignore[attr-defined]

    def columns(self, rows: Sequence[Any], row: int) -> Columns:
        """
        Turn parsed rows into columns; raises InvalidValue in words that ``exactly`` has better.
        """
        each = zip(*map(msgspec.structs.astuple, rows), strict=True)
        return {
            column.name: values.convert(column, of_column, row)
            for column, of_column in zip(self.wanted.columns, each, strict=True)
        }


def read(body: IO[bytes], wanted: Wanted, typed: Callable[[], Typed]) -> Iterator[Columns]:
    """
    Read a request's body, in UTF-8: a record, a list of rows, {"instances": either}, columns or
    one of pandas' exports.
    """
    start = body.tell() if body.seekable() else 0
    text = body.read(WHOLE + 1)
    if len(text) <= WHOLE:
        check_utf8(text)
        columns = of_text(text, wanted, typed)
        if columns is not None:
            yield columns
        return
    # Not above: needed for long bodies only.
    from sagemaker_runtime.formats import json_long

    if body.seekable():
        yield from json_long.read(body, start, wanted, typed())
        return
    with TemporaryFile() as file:
        while text:
            file.write(text)
            text = body.read(WHOLE)
        yield from json_long.read(cast(IO[bytes], file), 0, wanted, typed())


def of_text(text: bytes, wanted: Wanted, typed: Callable[[], Typed]) -> Columns | None:
    """
    Return the columns of a whole text, None when it has no rows.
    """
    if not text or text.isspace():
        example = record_of(wanted.columns)
        raise Malformed(f"the body is empty; send a record such as {example}")
    begin = _list_begins.match(text) if len(text) > SHORT else None
    is_once = text.lstrip()[:1] != b"{" or _is_once(text)
    if begin and is_once:
        try:
            kind = typed()
            rows = kind.instances(text) if begin[1] else kind.list(text)
            return kind.columns(rows, 1)
        except (msgspec.MsgspecError, InvalidValue, RecursionError):
            pass
    return either(
        text, lambda content, convert: json_rows.of_content(content, wanted, convert), is_once
    )


def _is_once(text: bytes) -> bool:
    """
    Tell whether INSTANCES surely is not repeated; an escape might hide it.
    """
    has_escape = b"\\" in text and b"\\u00" in text  # the first is found ten times as fast
    return not has_escape and text.count(b'"instances"') <= 1


def either(
    text: bytes, build: Callable[[Any, json_rows.Convert], Result], may_be_fast: bool = True
) -> Result:
    """
    Parse a text and build something of its content, fast or, where that is not enough, exactly.
    """
    if may_be_fast:
        try:
            return build(msgspec.json.decode(text), _convert)
        except (msgspec.MsgspecError, InvalidValue, RecursionError, _Inexact):
            pass
    return build(exactly(text), values.convert)


def exactly(text: bytes | str, row: int | None = None) -> Any:
    """
    Parse a text as Python does, NaN and all, but keep how numbers are written.

    Raises Malformed, with ``row`` as the line where it is given.
    """
    try:
        return _decoder.decode(text if isinstance(text, str) else text.decode())
    except json.JSONDecodeError as error:
        raise not_json(error, row or error.lineno, error.colno, row) from None
    except RecursionError:
        raise Malformed("the JSON is nested too deep; a row is a flat record", row) from None


def not_json(error: json.JSONDecodeError, line: int, column: int, row: int | None) -> Malformed:
    """
    Return what is said of a text that is not JSON.
    """
    return Malformed(f"the body is not JSON at line {line}, column {column}: {error.msg}", row)


def read_lines(body: IO[bytes], wanted: Wanted, typed: Callable[[], Typed]) -> Iterator[Columns]:
    """
    Read one record, or list in schema order, per line, from a stream in UTF-8.
    """
    rows, row, blank = Rows(wanted), 1, None
    for block in blocks(body, quotes=False):
        columns, blank = of_lines(block.rows(), rows, row, blank, typed())
        if columns is not None:
            yield columns
            row += count(columns)
    if row == 1:
        example = record_of(wanted.columns)
        raise Malformed(f"the body is empty; send one record per line, such as {example}")


def of_lines(
    text: bytes, rows: Rows, row: int, blank: int | None, typed: Typed
) -> tuple[Columns | None, int | None]:
    """
    Return the columns of some lines, None for none, and the row of a blank line behind them.
    """
    lines = text.removesuffix(b"\n").split(b"\n")
    if blank is None:
        try:
            if rows.form in (None, "record"):
                columns = typed.columns(list(map(typed.row, lines)), row)
                rows.form = "record"
                return columns, None
            return rows.columns(list(map(msgspec.json.decode, lines)), row, _convert), None
        except (msgspec.MsgspecError, InvalidValue, RecursionError, _Inexact):
            pass
    records: list[Any] = []
    texts = _line_end.split(text.decode())
    for line in texts if texts[-1] else texts[:-1]:
        if not line or line.isspace():
            blank = blank or row + len(records)
        elif blank:
            raise InvalidValue(
                f"row {blank} is blank; one prediction is returned per row, so remove the blank "
                "line",
                blank,
            )
        else:
            records.append(exactly(line, row + len(records)))
    return rows.columns(records, row) if records else None, blank


def _convert(column: Column, each: Sequence[Any], row: int) -> np.ndarray:
    if column.kind == "text" and not {int, float}.isdisjoint(map(type, each)):
        raise _Inexact
    return values.convert(column, each, row)


# A Number takes 60 bytes: long lists of short ones, two bytes each in the text, are shared.
_SHORT = {str(number): Number(number) for number in range(-99, 1000)} | {"-0": Number("0")}


def _integer(text: str) -> Number:
    return _SHORT.get(text) or Number(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs) and [name for name, _ in pairs].count(INSTANCES) > 1:
        return json_rows.Twice(content)
    return content


_decoder = json.JSONDecoder(parse_float=Number, parse_int=_integer, object_pairs_hook=_object)
