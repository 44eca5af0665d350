"""
Request bodies to raw values: CSV, JSON and JSON Lines.

Every reader yields the body in pieces: the number of rows, and per feature, in schema order, one
sequence of values as they came, an array where they are converted already, or None for an optional
column that was not sent. A row that cannot be read is an error: the number of rows is always kept.
"""

import csv
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache, partial
from io import SEEK_CUR, SEEK_END, TextIOWrapper
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats.scan import Layout, Rows, can_scan
from sagemaker_runtime.formats.schema import Column
from sagemaker_runtime.formats.values import shown

if TYPE_CHECKING:
    from sagemaker_runtime.formats.table import Table

# Rows that are held as Python objects at a time. A row of strings takes about eight times its
# bytes, so a body of 100 MB must not become strings at once; larger pieces are not faster.
ROWS_AT_ONCE = 8192

# Bytes scanned at a time: 10,000 rows of CSV are one piece, and a piece costs half a millisecond.
SCANNED_AT_ONCE = 768 * 1024

# Bodies up to so many bytes are not scanned: for so few rows its preparations take longer.
SHORT = 1000

# Longer JSON texts, in characters, are read row by row where they are lists: one call that parses
# 100 MB would hold Python's lock, and with it every other thread, for a second, and need 2.5 times
# the memory. Shorter ones are parsed at once, which is 1.7 times as fast.
LONG_JSON = 10_000_000

# How many of the names that came an error lists.
NAMES_LISTED = 12

Fields = Sequence[Sequence[object] | np.ndarray | None]
Piece = tuple[int, Fields]

_decoder = json.JSONDecoder()
_pairs = json.JSONDecoder(object_pairs_hook=tuple)
_rows_begin = re.compile(r'[ \t\n\r]*(?:\{[ \t\n\r]*"instances"[ \t\n\r]*:[ \t\n\r]*)?\[').match
_space = re.compile(r"[ \t\n\r]*").match


def _may_scan(body: IO[bytes], charset: str, schema: "Table") -> bool:
    """
    Tell whether the body may have plain rows, and so many that scanning them pays.
    """
    start = body.tell()
    length = body.seek(0, SEEK_END) - start
    body.seek(start)
    return length > SHORT and can_scan(schema, charset)


def _scanned(body: IO[bytes], scan: Callable[[bytes], Rows]) -> Iterator[Rows]:
    """
    Read plain rows, one per line, up to the first other one or the end.
    """
    while text := body.read(SCANNED_AT_ONCE):
        text += body.readline()
        rows = scan(text if text.endswith(b"\n") else text + b"\n")
        if rows.count:
            yield rows
        if rows.length < len(text):
            body.seek(rows.length - len(text), SEEK_CUR)
            return


def read_csv(body: IO[bytes], charset: str, schema: "Table") -> Iterator[Piece]:
    """
    Read rows with a header, when the first row names a known column, or without.
    """
    start = body.tell()
    if can_scan(schema, charset):
        # Most requests are rows of just the features: whatever can be read as one is no header.
        # What begins with a letter cannot, so the text below a header is not scanned twice.
        begins_with_letter = body.read(1).isalpha()
        body.seek(start)
        if not begins_with_letter and (layout := _bare_layout(schema)):
            rows = yield from _plain_rows(body, layout)
            if rows:
                width = len(schema.features)
                yield from _other_rows(body, charset, rows, width, range(width), is_below=False)
                return
        if first := _row_alone(body.readline(), charset):
            names = _header(first, schema)
            if not names:
                body.seek(start)
            # If this is None, an error: told below, unless the body is no CSV at all.
            if layout := _csv_layout(names or len(first), schema):
                rows = yield from _plain_rows(body, layout)
                positions = _positions(first, schema)
                yield from _other_rows(body, charset, rows, len(first), positions, bool(names))
                return
    body.seek(start)
    with _lines(body, charset, 0) as lines:
        first = next(lines, [])
        if not first:
            if any(lines):
                raise _blank(1)
            raise Malformed(f"the body is empty; send one line per row, such as {_line(schema)}")
        positions = _positions(first, schema)
        all_rows = lines if _header(first, schema) else chain([first], lines)
        yield from _rectangles(all_rows, len(first), positions)


def _plain_rows(body: IO[bytes], layout: Layout) -> Generator[Piece, None, int]:
    """
    Read rows as long as they are plain, and return how many they were.
    """
    count = 0
    for rows in _scanned(body, layout.scan_csv):
        yield rows.count, rows.fields
        count += rows.count
    return count


def _other_rows(
    body: IO[bytes],
    charset: str,
    before: int,
    width: int,
    positions: Sequence[int | None],
    is_below: bool,
) -> Iterator[Piece]:
    """
    Read what stands behind so many plain rows, which were below a header or not.
    """
    if not _is_at_end(body):
        with _lines(body, charset, before + is_below) as lines:
            yield from _rectangles(lines, width, positions, before + 1)


def _row_alone(line: bytes, charset: str) -> list[str]:
    """
    Return the fields of a line when it certainly is a row of its own, otherwise none.
    """
    if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
        return []  # ends a line, too
    try:
        return next(csv.reader([line.decode(charset)], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return []


@contextmanager
def _lines(body: IO[bytes], charset: str, before: int) -> Iterator[Iterator[list[str]]]:
    """
    Give the rows of CSV from here on, with ``before`` lines in front of them.
    """
    lines = csv.reader(TextIOWrapper(body, charset, newline=""), strict=True)
    try:
        yield lines
    except csv.Error as error:
        raise Malformed(
            f"line {before + lines.line_num} is not CSV: {error}. Close every quote and write a "
            'quote inside a field twice, such as "a ""b"" c"'
        ) from None


def _header(first: list[str], schema: "Table") -> tuple[str, ...]:
    """
    Return the names in the first row if it is a header, otherwise none.
    """
    names = tuple(name.strip() for name in first)
    return () if _known(schema).isdisjoint(names) else names


def _positions(first: list[str], schema: "Table") -> Sequence[int | None]:
    """
    Find where the features stand in every row by the first one.
    """
    names = _header(first, schema)
    return _named(names, schema) if names else _trailing(first, schema)


@lru_cache(maxsize=16)
def _bare_layout(schema: "Table") -> Layout | None:
    """
    Return the layout of rows of just the features; None if a column's name might be read as one.
    """
    if any(not name or name[0] in "-0123456789" for name in _known(schema)):
        return None
    return _csv_layout(len(schema.features), schema)


@lru_cache(maxsize=16)
def _csv_layout(names: tuple[str, ...] | int, schema: "Table") -> Layout | None:
    """
    Return the layout below a header, or of rows of so many fields; None for a wrong one.
    """
    fields = [""] * names if isinstance(names, int) else list(names)
    try:
        return Layout(schema, _positions(fields, schema), [None] * len(fields))
    except InvalidValue:
        return None


def _is_at_end(body: IO[bytes]) -> bool:
    at = body.tell()
    end = body.seek(0, SEEK_END)
    body.seek(at)
    return at == end


def _rectangles(
    rows: Iterator[list[str]], width: int, positions: Sequence[int | None], row: int = 1
) -> Iterator[Piece]:
    """
    Cut rows, the first of them ``row``, into pieces and turn each into columns; blank lines may
    stand at the end only.
    """
    while piece := list(islice(rows, ROWS_AT_ONCE)):
        if set(map(len, piece)) != {width}:
            blank = piece.index([]) if [] in piece else len(piece)
            for index, fields in enumerate(piece[:blank]):
                if len(fields) != width:
                    raise InvalidValue(
                        f"row {row + index} has {_count(len(fields))}; expected {width}, as in the "
                        "first line. Quote a field that holds a comma",
                        row + index,
                    )
            if any(piece[blank:]) or any(rows):
                raise _blank(row + blank)
            piece = piece[:blank]
        columns = list(zip(*piece, strict=True))
        if piece:
            yield len(piece), [None if at is None else columns[at] for at in positions]
        row += len(piece)


def _named(names: Sequence[str], schema: "Table") -> list[int | None]:
    """
    Find the features' positions in a header.
    """
    for column in schema.features:
        if names.count(column.name) > 1:
            raise InvalidValue(
                f"{column.name} stands {names.count(column.name)} times in the header; once is "
                "enough",
                column=column.name,
            )
        if column.name not in names:
            _check_absent(column, names, "the header", schema)
    return [names.index(c.name) if c.name in names else None for c in schema.features]


def _trailing(fields: Sequence[object], schema: "Table") -> range:
    """
    Find the features' positions in a first row without names: ignored columns stand before them.
    """
    features, ignored = len(schema.features), len(schema.unread)
    before = len(fields) - features
    if not 0 <= before <= ignored:
        expected = f"{features}" if not ignored else f"{features} to {features + ignored}"
        known = "" if not ignored else f", with any of {_listed(_names(schema.unread))} before"
        raise InvalidValue(
            f"row 1 has {_count(len(fields))}; expected {expected}: "
            f"{_listed(_names(schema.features))}{known}",
            1,
        )
    return range(before, len(fields))


def read_json(body: IO[bytes], charset: str, schema: "Table") -> Iterator[Piece]:
    """
    Read a record, a list of rows, {"instances": rows}, or {"column": [values]}.
    """
    start = body.tell()
    if _may_scan(body, charset, schema) and (begin := _begin_of_list(body, charset)):
        done = yield from _scanned_list(body, charset, begin, schema)
        if done:
            return
    body.seek(start)
    text = TextIOWrapper(body, charset, newline="").read()
    if not text or text.isspace():
        raise Malformed(f"the body is empty; send a record such as {_record(schema)}")
    if len(text) > LONG_JSON and (begin := _rows_begin(text)):
        at = _behind_space(text, begin.end())
        elements = _elements(text, begin, at, ended=text.startswith("]", at))
        yield from _read_long_list(text, elements, schema)
        return
    content = _parse(json.loads, text)
    if isinstance(content, dict) and "instances" in content:
        content = content["instances"]
        if not isinstance(content, list):
            raise InvalidValue(f"instances is {shown(content)}; expected a list of records")
    if isinstance(content, list):
        if content:
            yield len(content), _from_rows(content, 1, schema, content[0])
    elif isinstance(content, dict):
        if any(isinstance(content.get(name), list) for name in _known(schema)):
            yield _from_columns(content, schema)
        else:
            yield 1, _from_rows([content], 1, schema, content)
    else:
        raise InvalidValue(
            f"the body is {shown(content)}; expected a record such as {_record(schema)}"
        )


def _begin_of_list(body: IO[bytes], charset: str) -> re.Match[str] | None:
    """
    Find the beginning of a list of rows in the body, to whose start it returns.
    """
    start = body.tell()
    # Plain rows are ASCII: what does not decode, or is cut off, is none of their business.
    begin = _rows_begin(body.read(SCANNED_AT_ONCE).decode(charset, "replace"))
    body.seek(start)
    return begin


def _scanned_list(
    body: IO[bytes], charset: str, begin: re.Match[str], schema: "Table"
) -> Generator[Piece, None, bool]:
    """
    Read the rows of the list that ``begin`` opens, the plain ones fast, and return True; or False
    before the first row, when ``read_json`` should do it all.
    """
    start = body.tell()
    at = _behind_space(begin.string, begin.end())
    first, layout = _first_row(lambda: _pairs.raw_decode(begin.string, at)[0], schema)
    if layout is None:
        return False
    body.seek(start + at)
    text = body.read(SCANNED_AT_ONCE)
    is_whole = len(text) < SCANNED_AT_ONCE
    row = 1
    while True:
        rows = layout.scan_json(text, lines=False)
        text = text[rows.length :]
        if is_whole and not (rows.ended and b"".join(text.split()) in (b"]", b"]}")):
            return False
        if rows.count:
            yield rows.count, rows.fields
        row += rows.count
        at += rows.length
        more = b"" if rows.ended or not rows.count else body.read(SCANNED_AT_ONCE)
        if not more:
            break
        text += more
    if not rows.ended or not _is_json(begin[0] + (text + body.read()).decode(charset, "replace")):
        body.seek(start)
        whole = TextIOWrapper(body, charset, newline="").read()
        elements = _elements(whole, begin, at, ended=rows.ended)
        yield from _read_long_list(whole, elements, schema, row, first)
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _first_row(parse: Callable[[], Any], schema: "Table") -> tuple[Any, Layout | None]:
    """
    Return the first row, and the layout that all have if they are plain, or None.
    """
    try:
        first = parse()
        if isinstance(first, list) and first:
            return first, Layout(schema, _trailing(first, schema), [None] * len(first))
        if not isinstance(first, tuple) or not first:  # of names and values: a record
            return None, None
        record = dict(first)
        names = list(record)
        for column in schema.features:
            if column.name not in record:
                _check_absent(column, names, "row 1", schema)
    except (ValueError, RecursionError, InvalidValue):
        return None, None
    if len(names) < len(first):
        return None, None
    positions = [names.index(c.name) if c.name in record else None for c in schema.features]
    return record, Layout(schema, positions, names)


def _read_long_list(
    text: str, elements: Iterator[Any], schema: "Table", row: int = 1, first: Any = None
) -> Iterator[Piece]:
    """
    Read the elements of a list as ``read_json`` reads short ones, the next of them being ``row``.
    """
    while rows := _parse(lambda _: list(islice(elements, ROWS_AT_ONCE)), text):
        first = rows[0] if first is None else first
        yield len(rows), _from_rows(rows, row, schema, first)
        row += len(rows)


def _elements(text: str, begin: re.Match[str], at: int, ended: bool) -> Iterator[Any]:
    """
    Yield the elements of the list that ``begin`` opens from the one at ``at``, where otherwise the
    list has ``ended``; raises JSONDecodeError as json.loads does.
    """
    more = not ended
    while more:
        element, at = _decoder.raw_decode(text, at)
        yield element
        at = _behind_space(text, at)
        more = text.startswith(",", at)
        if more:
            at = _behind_space(text, at + 1)
        elif not text.startswith("]", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    # What stands around the list must be JSON too: look at it with the list left empty.
    frame = begin[0] + "]"
    try:
        json.loads(frame + text[at + 1 :])
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, text, at + 1 + error.pos - len(frame)) from None


def read_json_lines(body: IO[bytes], charset: str, schema: "Table") -> Iterator[Piece]:
    """
    Read one record, or list in schema order, per line.
    """
    start = body.tell()
    row = 1
    first = None
    if _may_scan(body, charset, schema):
        line = body.readline()
        first, layout = _first_row(lambda: _pairs.decode(line.decode(charset)), schema)
        body.seek(start)
        if layout:
            for rows in _scanned(body, partial(layout.scan_json, lines=True)):
                yield rows.count, rows.fields
                row += rows.count
    lines = iter(TextIOWrapper(body, charset, newline=None))
    while piece := list(islice(lines, ROWS_AT_ONCE)):
        try:
            records = list(map(_decoder.decode, piece))
        except (ValueError, RecursionError):
            records = list(_lines_one_by_one(piece, lines, row))
        if records:
            first = records[0] if first is None else first
            yield len(records), _from_rows(records, row, schema, first)
        row += len(records)
    if row == 1:
        raise Malformed(f"the body is empty; send one record per line, such as {_record(schema)}")


def _lines_one_by_one(piece: list[str], rest: Iterator[str], row: int) -> Iterator[object]:
    """
    Parse lines until the end or the first blank one; name the line that is not JSON.
    """
    for index, line in enumerate(piece):
        if line.isspace():
            if any(not line.isspace() for line in chain(piece[index:], rest)):
                raise _blank(row + index)
            return
        yield _parse(_decoder.decode, line, row + index)


def _parse(loads: Callable[[str], Any], text: str, row: int | None = None) -> Any:
    try:
        return loads(text)
    except json.JSONDecodeError as error:
        line = row or error.lineno
        raise Malformed(
            f"the body is not JSON at line {line}, column {error.colno}: {error.msg}", row
        ) from None
    except RecursionError:
        raise Malformed("the JSON is nested too deep; a row is a flat record", row) from None
    except ValueError:
        raise Malformed("the JSON holds an integer of thousands of digits", row) from None


def _behind_space(text: str, at: int) -> int:
    return _space(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _from_rows(rows: list[Any], first_row: int, schema: "Table", first: Any) -> Fields:
    """
    Turn records, or lists in schema order, into one sequence per feature; ``first`` is the body's
    first row, by which all go.
    """
    kinds = {type(first), *map(type, rows)}
    if kinds == {dict}:
        return [_from_records(rows, column, first_row, schema) for column in schema.features]
    if kinds == {list}:
        width = len(first)
        positions = _trailing(first, schema)
        for row, fields in enumerate(rows, first_row):
            if len(fields) != width:
                raise InvalidValue(
                    f"row {row} has {_count(len(fields))}; expected {width}, as in row 1", row
                )
        columns = list(zip(*rows, strict=True))
        return [columns[at] for at in positions]
    wanted = list if isinstance(first, list) else dict
    index, wrong = next((i, row) for i, row in enumerate(rows) if type(row) is not wanted)
    raise InvalidValue(
        f"row {first_row + index} is {shown(wrong)}; expected every row to be "
        + ("a list, as row 1 is" if wanted is list else f"a record such as {_record(schema)}"),
        first_row + index,
    )


def _from_records(
    records: list[dict[str, Any]], column: Column, first_row: int, schema: "Table"
) -> list[object]:
    name = column.name
    try:
        return [record[name] for record in records]
    except KeyError:
        checked = set()  # most records have the same keys: look at each set of them once
        for row, record in enumerate(records, first_row):
            if name not in record and (names := tuple(record)) not in checked:
                _check_absent(column, names, f"row {row}", schema, row)
                checked.add(names)
        return [record.get(name) for record in records]


def _from_columns(content: dict[str, Any], schema: "Table") -> Piece:
    lengths = {
        name: len(values) if isinstance(values, list) else None
        for name, values in content.items()
        if name in _known(schema)
    }
    count = next(length for length in lengths.values() if length is not None)
    for name, length in lengths.items():
        if length != count:
            size = f"is {shown(content[name])}" if length is None else f"has {length} values"
            raise InvalidValue(
                f"{name} {size}; expected a list of {count}, as long as the other columns",
                column=name,
            )
    for column in schema.features:
        if column.name not in content:
            _check_absent(column, list(content), "the body", schema)
    return count, [content.get(column.name) for column in schema.features]


def _check_absent(
    column: Column, names: Sequence[str], where: str, schema: "Table", row: int | None = None
) -> None:
    """
    Raise InvalidValue when a column must not be absent, or was probably sent misspelt.
    """
    unknown = [name for name in names if name not in _known(schema)]
    close = get_close_matches(column.name, unknown, 1, cutoff=0.85)
    if close:
        raise InvalidValue(
            f"{where} has no {column.name} but {shown(close[0])}; rename it to {column.name}",
            row,
            column.name,
        )
    if not column.optional:
        raise InvalidValue(
            f"{where} has no {column.name}; it has {_listed(names)}. Add {column.name}, "
            f"such as {column.example}",
            row,
            column.name,
        )


def _blank(row: int) -> InvalidValue:
    return InvalidValue(
        f"row {row} is blank; one prediction is returned per row, so remove the blank line", row
    )


def _names(columns: Iterable[Column]) -> list[str]:
    return [column.name for column in columns]


@lru_cache(maxsize=16)
def _known(schema: "Table") -> set[str]:
    return {*_names(schema.features), *_names(schema.unread)}


def _listed(names: Sequence[str]) -> str:
    """
    List names that may come from the caller: few, short, printable.
    """
    plain = [name if name.isidentifier() and name.isascii() else shown(name) for name in names]
    short = [name if len(name) <= 60 else f"{name[:60]}..." for name in plain[:NAMES_LISTED]]
    more = len(names) - len(short)
    return (", ".join(short) or "nothing") + (f" and {more} more" if more else "")


def _count(fields: int) -> str:
    return f"{fields} field" if fields == 1 else f"{fields} fields"


def _line(schema: "Table") -> str:
    return ",".join(column.example for column in schema.features)


def _record(schema: "Table") -> str:
    """
    Write the examples as a JSON record, shortened to the first three.
    """
    fields = [
        f'"{c.name}": {c.example}' if c.kind == "number" else f'"{c.name}": {json.dumps(c.example)}'
        for c in schema.features
    ]
    return "{" + ", ".join(fields[:3] + (["..."] if len(fields) > 3 else [])) + "}"
