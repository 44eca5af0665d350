"""
Blocks of CSV to columns by pyarrow. Imported with the first large table only, as ``arrow`` is.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv

from sagemaker_runtime.formats.arrow import Unsure, from_arrow
from sagemaker_runtime.formats.csv_blocks import Block
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.values import MISSING, absent


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
    options = pyarrow.csv.ParseOptions(
        quote_char=False if block.quotes == "literal" else '"',
        newlines_in_values=True,
        ignore_empty_lines=skip_blank,
    )
    try:
        try:
            table = _table(text, width, places, options, "number")
        except pa.ArrowInvalid:  # a number with blanks around it, for one
            table = _table(text, width, places, options)
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
    options: pyarrow.csv.ParseOptions,
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
        options,
        pyarrow.csv.ConvertOptions(
            # One of them at least: without any, pyarrow would read all.
            include_columns=list(types) or ["0"],
            column_types=types,
            check_utf8=False,  # of the whole block it is checked
            null_values=sorted(MISSING),
            strings_can_be_null=False,
        ),
    )


def _from_csv(column: Column, values: pa.Array) -> np.ndarray:
    array = from_arrow(column, values)
    is_parsed = pa.types.is_floating(values.type)
    if is_parsed and np.count_nonzero(np.isnan(array)) != values.null_count:
        raise Unsure  # a spelling of NaN that only this parser takes
    return array
