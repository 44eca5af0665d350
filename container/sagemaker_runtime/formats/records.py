"""
Tables of which some records are bad: each bad one is told by itself, and the others are read.

A record is a line here, as it is for SageMaker where it splits and joins files by lines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import IO

import orjson

from sagemaker_runtime.errors import InvalidValue, Malformed, RequestError
from sagemaker_runtime.formats import csv, json
from sagemaker_runtime.formats.columns import count, join
from sagemaker_runtime.formats.csv_blocks import BLOCK, LONGEST_ROW, Block, blocks
from sagemaker_runtime.formats.json_rows import Rows
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.media_types import check_utf8
from sagemaker_runtime.formats.schema import Columns

# Longest message of a record's error, in characters.
MESSAGE_LENGTH = 500

Parse = Callable[[bytes, int], Columns]


@dataclass(frozen=True)
class BadRecord:
    """
    Stands for a record, counted from 1, that cannot be answered.
    """

    row: int
    error: RequestError

    def content(self) -> bytes:
        """
        Return what the answer has in its place, as JSON on one line.
        """
        where: dict[str, object] = {"row": self.row}
        if self.error.column:
            where["column"] = self.error.column[:100]
        message = str(self.error)[:MESSAGE_LENGTH].encode(errors="replace").decode()
        return orjson.dumps(
            {"error": {"code": self.error.code, "message": message, "where": where}}
        )


def read_csv(text: IO[bytes], wanted: Wanted) -> Iterator[Columns | BadRecord]:
    """
    Read lines of CSV in UTF-8, with or without a header.

    Raises InvalidValue for a header that is not known.
    """
    found: Layout | None = None
    row, headers = 1, 0

    def parse(found: Layout, lines: bytes, row: int) -> Columns:
        parts: list[Columns] = []
        for block in blocks(BytesIO(lines), line=row + headers):
            parts.append(csv.parse(block, found, row + sum(map(count, parts))))
        return join(parts)

    for lines in _pieces(text):
        while found is None and lines:
            try:
                found, block = csv.begin(Block(lines, row), wanted)
                lines, headers = block.rows(), min(block.start, 1)
            except (RequestError, UnicodeDecodeError) as error:
                if isinstance(error, InvalidValue) and error.row is None:
                    raise
                yield BadRecord(row, _as_request_error(error, row))
                lines, row = lines[_first_line(lines) :], row + 1
        if found:
            yield from _parts(lines, row, partial(parse, found))
            row += _lines_in(lines)
    if row == 1 and not headers:
        raise Malformed("the body is empty; send one line per row")


def read_json_lines(
    text: IO[bytes], wanted: Wanted, typed: json.Typed
) -> Iterator[Columns | BadRecord]:
    """
    Read JSON Lines in UTF-8.
    """

    def parse(lines: bytes, row: int) -> Columns:
        check_utf8(lines)
        columns, _ = json.of_lines(lines, Rows(wanted), row, None, typed)
        if columns is None:
            raise _blank(row)
        return columns

    row = 1
    for lines in _pieces(text):
        yield from _parts(lines, row, parse)
        row += _lines_in(lines)
    if row == 1:
        raise Malformed("the body is empty; send one record per line")


def _parts(lines: bytes, row: int, parse: Parse) -> Iterator[Columns | BadRecord]:
    """
    Yield what lines hold, the first of them ``row``: halved until what is bad stands alone.
    """
    number = _lines_in(lines)
    if not number:
        return
    error: RequestError | UnicodeDecodeError
    try:
        if not lines.strip(b"\r\n"):
            raise _blank(row)
        columns = parse(lines, row)
        # A lone carriage return ends a row, too: it may make up for a line end in quotes.
        is_sure = number == 1 or lines.count(b"\r") == lines.count(b"\r\n")
        if count(columns) == number and is_sure:
            yield columns
            return
        error = InvalidValue(
            f"line {row} does not hold exactly one row; write one row per line, without line ends "
            "in quotes",
            row,
        )
    except (RequestError, UnicodeDecodeError) as raised:
        error = raised
    if number == 1:
        if row == 1 and isinstance(error, InvalidValue) and error.row is None:
            raise error  # a header that is not known
        yield BadRecord(row, _as_request_error(error, row))
        return
    cut = lines.rfind(b"\n", 0, len(lines) // 2) + 1 or _first_line(lines)
    yield from _parts(lines[:cut], row, parse)
    yield from _parts(lines[cut:], row + _lines_in(lines[:cut]), parse)


def _pieces(text: IO[bytes]) -> Iterator[bytes]:
    """
    Cut a stream at line feeds; blank lines at its end are left out.
    """
    rest = b""
    while more := text.read(BLOCK):
        rest += more
        kept = rest.rstrip(b"\r\n")
        behind = rest[len(kept) :]  # the end of the last line, and blank ones
        end = rest.rfind(b"\n", 0, len(kept)) + 1
        if kept and b"\n" in behind:
            end = len(kept) + _first_line(behind)
        if end:
            yield rest[:end]
            rest = rest[end:]
        if len(rest) > LONGEST_ROW:
            raise Malformed(
                f"a line is longer than {LONGEST_ROW >> 20} MB; end each row with a line feed"
            )
    if rest.strip(b"\r\n"):
        yield rest


def _first_line(text: bytes) -> int:
    """
    Return where the first line ends.
    """
    return text.find(b"\n") + 1 or len(text)


def _lines_in(text: bytes) -> int:
    return text.count(b"\n") + (text[-1:] not in (b"", b"\n"))


def _blank(row: int) -> InvalidValue:
    return InvalidValue(f"row {row} is blank; remove the line or fill it", row)


def _as_request_error(error: RequestError | UnicodeDecodeError, row: int) -> RequestError:
    if isinstance(error, RequestError):
        return error
    return Malformed(f"row {row} is not UTF-8: {error.reason}; send UTF-8 or name the charset")
