"""
The rows of a Parquet file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from sagemaker_runtime.errors import DataError, RequestError
from sagemaker_runtime.formats import arrow, layout
from sagemaker_runtime.formats.layout import Wanted
from sagemaker_runtime.formats.messages import KIND_NAMES, names_of
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.values import convert
from sagemaker_runtime.training.shares import Share

BATCH = 1 << 18  # rows read at once
TURN = 1 << 14  # rows of which hosts take turns in a file of few row groups
GROUPS_EACH = 4  # row groups for each host that are enough to share these out


def read(path: Path, name: str, wanted: Wanted, share: Share) -> Iterator[Columns]:
    """
    Yield the rows of a file, which messages call ``name``, some at a time, those of ``share`` only.

    Raises DataError.
    """
    from pyarrow.parquet import ParquetFile  # 50 ms, for CSV in vain

    done = 0
    try:
        with ParquetFile(path) as file:
            if not file.metadata.num_rows:
                return
            schema = file.schema_arrow
            layout.by_names(tuple(schema.names), "the file", wanted)
            for column in wanted.columns:
                _require_type(name, column, schema.field(column.name).type)
            for batch in _batches(file, names_of(wanted.columns), share):
                yield {c.name: _column(c, batch[c.name], done + 1) for c in wanted.columns}
                done += batch.num_rows
    except RequestError as error:
        remedy = "" if error.row is None else ". Fix the row or remove it"
        _refuse(name, f"{error}{remedy}")
    except (pa.ArrowException, OSError) as error:
        _refuse(name, f"cannot be read ({error}); upload it again")


def _batches(file: Any, names: list[str], share: Share) -> Iterator[pa.RecordBatch]:
    if share.of == 1:
        yield from file.iter_batches(BATCH, columns=names)
    elif file.num_row_groups >= GROUPS_EACH * share.of:
        own = [group for group in range(file.num_row_groups) if share.takes()]
        yield from file.iter_batches(BATCH, row_groups=own, columns=names)
    else:
        turns = file.iter_batches(TURN, columns=names)
        yield from (batch for batch in turns if share.takes())


def _require_type(name: str, column: Column, kind: pa.DataType) -> None:
    if not arrow.is_castable(column, kind):
        what = KIND_NAMES[column.kind].rstrip(",")
        _refuse(
            name,
            f"has the column {column.name} of type {kind}; expected {what} such as "
            f"{column.example}. Cast the column and write the file again",
        )


def _column(column: Column, values: pa.Array, row: int) -> Any:
    try:
        return arrow.from_arrow(column, values)
    except arrow.Unsure:
        return convert(column, values.to_pylist(), row)


def _refuse(name: str, what: str) -> NoReturn:
    raise DataError(f"{name}: {what}.") from None  # whose words it has
