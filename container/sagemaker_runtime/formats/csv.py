"""
Rows of CSV, of request bodies and of training files alike.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from typing import IO

from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats import layout
from sagemaker_runtime.formats.columns import count, join
from sagemaker_runtime.formats.csv_blocks import Block, blocks, first_row_end, lines_in, not_csv
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.messages import counted
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.values import absent, convert

# Smaller blocks are read by Python: for so few rows, pyarrow's preparations take longer.
SMALL = 16 << 10

# More fields in the first line are refused: whatever is looked for among names takes time for each.
MOST_FIELDS = 100_000

# A header of so many bytes is kept with its layout, the last one only: to look at it takes half the
# time of a row.
KEPT = 1000

# Rows that are held as Python objects at a time.
ROWS_AT_ONCE = 8192

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # rows have a limit, in csv_blocks


def read(body: IO[bytes], wanted: Wanted) -> Iterator[Columns]:
    """
    Read a request's rows, from a stream in UTF-8, with a header, when the first row names a known
    column, or without.
    """
    found, row = None, 1
    for block in blocks(body):
        if found is None:
            found, block = begin(block, wanted)
        if block.start < len(block.text):
            columns = parse(block, found, row)
            yield columns
            row += count(columns)
    if found is None:
        line = ",".join(column.example for column in wanted.columns)
        raise Malformed(f"the body is empty; send one line per row, such as {line}")


def begin(block: Block, wanted: Wanted) -> tuple[Layout, Block]:
    """
    Find the layout by the first row, and return it with the block behind the header, if it is one.

    Raises InvalidValue and Malformed.
    """
    text = block.text
    if (header := wanted.header) and text.startswith(header.line):
        return header.layout, Block(text, block.line + 1, block.quotes, len(header.line))
    first, end = first_row(block)
    if not first:
        raise _blank(1)
    line = text[:end]
    found = layout.of_first_line(first, line.decode(), end == len(text), wanted)
    if found.names is None:
        return found, block
    if end <= KEPT and line.endswith(b"\n") and lines_in(line) == 1:
        wanted.header = layout.Header(line, found)
    return found, Block(text, block.line + lines_in(line), block.quotes, end)


def first_row(block: Block) -> tuple[list[str], int]:
    """
    Return the fields of the first row, none of a blank line, and where it ends.

    Raises Malformed for what is not CSV, and too many fields.
    """
    end = first_row_end(block.text)
    if not end:
        raise not_csv(block)
    line = block.text[:end]
    if line.count(b",") >= MOST_FIELDS:
        raise Malformed(
            f"the first line has more than {MOST_FIELDS} commas; expected one row. {layout.CURL}"
        )
    return _fields(line.decode()), end


def without_blank_start(block: Block) -> Block:
    """
    Take blank lines off the beginning.
    """
    text = block.text.lstrip(b"\r\n")
    skipped = lines_in(block.text[: len(block.text) - len(text)])
    return Block(text, block.line + skipped, block.quotes)


def _fields(line: str) -> list[str]:
    return next(csv.reader(StringIO(line, newline=""), strict=True), [])


def parse(block: Block, found: Layout, row: int, skip_blank: bool = False) -> Columns:
    """
    Turn the rows of a block, the first of them ``row``, into columns.

    Raises InvalidValue and Malformed. ``skip_blank`` passes over blank lines, which otherwise are
    an error, as the number of rows is kept.
    """
    if len(block.text) > SMALL and block.quotes != "mixed":
        # Not above: serving starts without it.
        from sagemaker_runtime.formats.arrow import Unsure
        from sagemaker_runtime.formats.arrow_csv import parse_csv

        try:
            return parse_csv(block, found.width, found.places, skip_blank)
        except Unsure:
            pass
    rows = csv.reader(StringIO(block.rows().decode(), newline=""), strict=True)
    parts = []
    try:
        while piece := list(islice(rows, ROWS_AT_ONCE)):
            if skip_blank:
                piece = [fields for fields in piece if fields]
            parts.append(_columns(piece, found, row))
            row += len(piece)
    except csv.Error:
        raise not_csv(block) from None
    except InvalidValue as error:
        if error.row == 1 and found.names is None:
            _explain(block, found, error)
        raise
    return join(parts)


def _columns(rows: Sequence[list[str]], found: Layout, row: int) -> Columns:
    if set(map(len, rows)) - {found.width}:
        for number, fields in enumerate(rows, row):
            if not fields:
                raise _blank(number)
            if len(fields) != found.width:
                raise InvalidValue(
                    f"row {number} has {counted(len(fields))}; expected {found.width}, as in the "
                    "first line. Quote a field that holds a comma",
                    number,
                )
    columns = list(zip(*rows, strict=True)) or [()] * found.width
    return {
        column.name: absent(column, len(rows)) if at is None else convert(column, columns[at], row)
        for column, at in found.places
    }


def _explain(block: Block, found: Layout, error: InvalidValue) -> None:
    """
    Raise a better error than one on the first row's values, if that row is not one of values.
    """
    line = block.text[: first_row_end(block.text)].decode()
    better = layout.headerless_fault(_fields(line), line, found.wanted)
    if better is not None:
        raise better from error


def _blank(row: int) -> InvalidValue:
    return InvalidValue(
        f"row {row} is blank; one prediction is returned per row, so remove the blank line", row
    )
