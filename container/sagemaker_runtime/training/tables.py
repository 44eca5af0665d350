"""
The rows of a channel: its CSV, gzipped CSV and Parquet, as the columns of a table.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pyarrow as pa

from sagemaker_runtime.errors import DataError, RequestError
from sagemaker_runtime.formats import csv
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.csv_blocks import Block
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.table import Table
from sagemaker_runtime.formats.values import convert
from sagemaker_runtime.training import orders, parquet_rows
from sagemaker_runtime.training.channel import Channel
from sagemaker_runtime.training.csv_rows import MARK, PARQUET_MAGIC, CsvRows
from sagemaker_runtime.training.data_files import has_data
from sagemaker_runtime.training.shares import Share
from sagemaker_runtime.training.streams import GZIP_MAGIC, start_of, unpacked

SUFFIXES = (".csv", ".csv.gz", ".parquet")
HEADER = 1 << 16  # bytes in which a sibling's header is looked for


def read(channel: Channel | Path, table: Table, share: Share | None = None) -> Iterator[Columns]:
    """
    Read all data of a channel, or of a folder: the label and the features, some rows at a time.

    CSV files may have a header, or none; then the columns stand in the table's order, or in that of
    a header which another file of the channel states. Other columns are passed over. Any value may
    be missing, other than of a boolean that is not optional. Raises DataError with file, row,
    column and value for a file that is not what it should be; rows count from 1, a header and blank
    lines not included. On several hosts, ``share`` says which rows to take; a host without any gets
    one piece without rows.
    """
    if isinstance(channel, Path):
        channel = Channel(channel)
    label = () if table.label is None else (table.label,)
    wanted = Wanted(tuple(map(_maybe_missing, (*label, *table.features))), tuple(table.ignored))
    share = share or Share()
    rows = parts = 0
    for name, pieces in (_of_pipe if channel.mode == "Pipe" else _of_files)(channel, wanted, share):
        parts += 1
        of_part = 0
        for columns in pieces:
            of_part += count(columns)
            yield columns
        if not of_part and share.of == 1:
            print(f"{name} holds no rows: passed over")
        rows += of_part
    if not rows and share.may_be_empty:
        yield {column.name: convert(column, [], 1) for column in wanted.columns}
    elif not rows:
        kind = "part" if channel.mode == "Pipe" else "file"
        raise DataError(
            f"Channel {channel.name} holds no rows in {parts} {kind}{'s' * (parts > 1)}; expected "
            "at least one. Fill the files."
        )
    pa.default_memory_pool().release_unused()  # which would be kept for further files


def _of_pipe(
    channel: Channel, wanted: Wanted, share: Share
) -> Iterator[tuple[str, Iterator[Columns]]]:
    headers = orders.OfStream(wanted)
    for name, stream in channel.parts():
        rows = CsvRows(name, wanted, headers.order, headers.note, channel.is_joined)
        yield name, rows.read(stream, share)


def _of_files(
    channel: Channel, wanted: Wanted, share: Share
) -> Iterator[tuple[str, Iterator[Columns]]]:
    is_sharded = share.may_be_empty and share.of == 1
    if is_sharded and not has_data(channel.path):
        return
    files = _Files(channel, wanted)
    for path in share.files(files.paths):
        yield files.name(path), files.read(path, share)


class _Files:
    """
    The files of a channel, and what their headers state on the order of columns.
    """

    def __init__(self, channel: Channel, wanted: Wanted) -> None:
        self.paths = channel.files(*SUFFIXES)
        self._channel = channel
        self._wanted = wanted
        self._headers: dict[orders.Names, str] | None = None

    def name(self, path: Path) -> str:
        """
        Return what messages call a file: its path from the channel's folder on.
        """
        name = str(path.relative_to(self._channel.path.parent))
        return name if name.isprintable() else ascii(name)[1:-1]

    def read(self, path: Path, share: Share) -> Iterator[Columns]:
        """
        Yield the rows of a file.
        """
        try:
            yield from self._read(path, share)
        except DataError:
            if share.of > 1:  # once more and all of it, for the true number of the row
                yield from self._read(path, Share())
            raise

    def _read(self, path: Path, share: Share) -> Iterator[Columns]:
        rows = CsvRows(self.name(path), self._wanted, self._order)
        kind = path.name.lower()
        with self._channel.opened(path) as stream:
            start = start_of(stream, len(PARQUET_MAGIC))
            if not start:
                return
            for suffix, magic, what in (
                (".gz", GZIP_MAGIC, "gzip"),
                (".parquet", PARQUET_MAGIC, "Parquet"),
            ):
                if kind.endswith(suffix) and not start.startswith(magic):
                    rows.refuse(f"is not a {what} file inside; upload it again or correct its name")
                if start.startswith(magic) and not kind.endswith(suffix):
                    rows.refuse(f"is a {what} file inside; give it a name that ends in {suffix}")
            if not kind.endswith(".parquet"):
                yield from rows.read(stream, share)
        if kind.endswith(".parquet"):
            yield from parquet_rows.read(path, self.name(path), self._wanted, share)

    def _order(self, width: int) -> Layout | None:
        if self._headers is None:
            self._headers = {}
            for path in self.paths:
                if not path.name.lower().endswith(".parquet") and (names := self._header(path)):
                    self._headers.setdefault(names, self.name(path))
        return orders.stated(width, self._headers.items(), self._wanted)

    def _header(self, path: Path) -> orders.Names | None:
        """
        Return the names in the header of a CSV file; None when there is none, or it is not one.
        """
        try:
            with path.open("rb") as file, unpacked(file) as text:
                fields, _ = csv.first_row(Block(_start(text), 1))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, RequestError):
            return None
        names = tuple(field.strip() for field in fields)
        return None if self._wanted.known.isdisjoint(names) else names


def _start(text: IO[bytes]) -> bytes:
    return text.read(HEADER).removeprefix(MARK).lstrip(b"\r\n")


def _maybe_missing(column: Column) -> Column:
    """
    Return the column as training data have it: the algorithm decides on rows that lack a value.
    """
    is_optional = column.optional or column.kind != "boolean"
    return replace(column, optional=is_optional, omittable=False)
