"""
The rows of a channel: its files of CSV, gzipped CSV and Parquet, as the columns of a table.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import pyarrow as pa

from sagemaker_runtime.errors import DataError, InvalidValue, RequestError
from sagemaker_runtime.formats import arrow, csv, layout
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.csv_blocks import Block, blocks, lines_of_longest_field
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.media_types import as_utf8
from sagemaker_runtime.formats.messages import KIND_NAMES, listed, names_of
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.table import Table
from sagemaker_runtime.formats.values import convert
from sagemaker_runtime.parallel import in_order
from sagemaker_runtime.training.channels import data_files

SUFFIXES = (".csv", ".csv.gz", ".parquet")

BATCH = 1 << 18  # rows read from Parquet at once
HEADER = 1 << 16  # bytes in which a sibling's header is looked for

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257

# A field over more lines gets a word in the log: the quote that should have closed it may be lost.
MANY_LINES = 100


def read(folder: Path, table: Table) -> Iterator[Columns]:
    """
    Read every data file below a channel's folder: the label and the features, some rows at a time.

    CSV files may have a header, or none; then the columns stand in the table's order, or in that of
    a header which another file of the channel states. Other columns are passed over. Any value may
    be missing, other than of a boolean that is not optional. Raises DataError with file, row,
    column and value for a file that is not what it should be; rows count from 1, a header and blank
    lines not included.
    """
    channel = _Channel(folder, table)
    rows = 0
    for file in channel.files:
        of_file = 0
        for columns in file.read():
            of_file += count(columns)
            yield columns
        if not of_file:
            print(f"{file.name} holds no rows: passed over")
        rows += of_file
    if not rows:
        raise DataError(
            f"Channel {folder.name} holds no rows in {len(channel.files)} "
            f"file{'s' * (len(channel.files) > 1)}; expected at least one. Fill the files."
        )
    pa.default_memory_pool().release_unused()  # which would be kept for further files


class _Channel:
    """
    The files, and what they state on the order of their columns.
    """

    def __init__(self, folder: Path, table: Table) -> None:
        label = () if table.label is None else (table.label,)
        self.wanted = Wanted(
            tuple(map(_maybe_missing, (*label, *table.features))), tuple(table.ignored)
        )
        self.files = [
            _File(path, _printable(str(path.relative_to(folder.parent))), self)
            for path in data_files(folder, SUFFIXES)
        ]

    def order(self, width: int) -> Layout | None:
        """
        Return the layout of a file without a header when the others' headers state one that is not
        the table's; raises InvalidValue when they do, but not for as many columns.
        """
        if not self._stated:
            return None
        if len(self._stated) == 1:
            (names,) = self._stated
            if len(names) == width:
                return layout.by_names(names, "the header", self.wanted)
        ours = names_of((*self.wanted.leading, *self.wanted.columns))
        for names, file in self._stated.items():
            theirs = [name for name in names if name in self.wanted.known]
            if theirs != [name for name in ours if name in theirs]:
                raise InvalidValue(
                    f"has {width} columns and no header, while {file} states the order "
                    f"{listed(theirs)}. Write a header into each file"
                )
        return None

    @cached_property
    def _stated(self) -> dict[tuple[str, ...], str]:
        """
        The different headers of the channel's CSV files, and a file of each.
        """
        stated: dict[tuple[str, ...], str] = {}
        for file in self.files:
            if names := file.header():
                stated.setdefault(names, file.name)
        return stated


class _File:
    """
    One data file; ``name`` is what messages call it: its path from the channel's folder on.
    """

    def __init__(self, path: Path, name: str, channel: _Channel) -> None:
        self.path = path
        self.name = name
        self.channel = channel
        self.kind = path.name.lower()

    def read(self) -> Iterator[Columns]:
        """
        Yield its rows.
        """
        with self.path.open("rb") as file:
            start = file.read(TAR_MAGIC_AT + len(TAR_MAGIC))
        if not start:
            return iter(())
        for suffix, magic, kind in (
            (".gz", GZIP_MAGIC, "gzip"),
            (".parquet", PARQUET_MAGIC, "Parquet"),
        ):
            if self.kind.endswith(suffix) and not start.startswith(magic):
                self._refuse(f"is not a {kind} file inside; upload it again or correct its name")
            if start.startswith(magic) and not self.kind.endswith(suffix):
                self._refuse(f"is a {kind} file inside; give it a name that ends in {suffix}")
        return self._parquet() if self.kind.endswith(".parquet") else self._csv()

    def header(self) -> tuple[str, ...] | None:
        """
        Return the names in the header of a CSV file; None when there is none, or it is not one.
        """
        if self.kind.endswith(".parquet"):
            return None
        try:
            with self._open() as file:
                text = as_utf8(file, "utf-8").read(HEADER).lstrip(b"\r\n")
            fields, _ = csv.first_row(Block(text, 1))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, RequestError):
            return None
        names = tuple(field.strip() for field in fields)
        return None if self.channel.wanted.known.isdisjoint(names) else names

    def _csv(self) -> Iterator[Columns]:
        try:
            with self._open() as file:
                if file.read(TAR_MAGIC_AT + len(TAR_MAGIC))[TAR_MAGIC_AT:] == TAR_MAGIC:
                    self._refuse("is a tar archive inside; unpack it and upload the files in it")
                file.seek(0)
                yield from self._rows(as_utf8(file, "utf-8"))
        except UnicodeDecodeError:
            self._refuse("is not UTF-8 text; save it as CSV in UTF-8")
        except (OSError, EOFError, zlib.error) as error:
            self._refuse(f"cannot be read ({error}); upload it again")
        except RequestError as error:
            remedy = "" if error.row is None else ". Fix the row or remove it"
            self._refuse(f"{error}{remedy}")

    def _rows(self, text: IO[bytes]) -> Iterator[Columns]:
        whole = blocks(text)
        first = next(whole, None)
        if first is None:
            return
        found, first = self._layout(first)

        def parsed(block: Block) -> tuple[Columns | None, Block]:
            try:
                return csv.parse(block, found, 1, skip_blank=True), block
            except RequestError:
                return None, block

        def all_blocks() -> Iterator[Block]:
            if first.start < len(first.text):
                yield first
            yield from whole

        done, is_told = 0, False
        for columns, block in in_order(parsed, all_blocks()):
            if columns is None:  # once more, with the true number of its first row
                columns = csv.parse(block, found, done + 1, skip_blank=True)
            rows = count(columns)
            if not is_told and (lines := lines_of_longest_field(block, rows)) > MANY_LINES:
                is_told = True
                print(
                    f"{self.name} has a field of {lines} lines between rows {done + 1} and "
                    f"{done + rows}: is a quote missing?"
                )
            yield columns
            done += rows

    def _layout(self, block: Block) -> tuple[Layout, Block]:
        block = csv.without_blank_start(block)
        fields, _ = csv.first_row(block)
        wanted = self.channel.wanted
        has_names = not wanted.known.isdisjoint(name.strip() for name in fields)
        if not has_names and (found := self.channel.order(len(fields))):
            return found, block
        return csv.begin(block, wanted)

    def _open(self) -> IO[bytes]:
        unpack: Any = gzip.open if self.kind.endswith(".gz") else open
        return cast(IO[bytes], unpack(self.path, "rb"))

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(f"{self.name}: {what}.")

    def _parquet(self) -> Iterator[Columns]:
        from pyarrow.parquet import ParquetFile  # 50 ms, for CSV in vain

        wanted, done = self.channel.wanted, 0
        try:
            with ParquetFile(self.path) as file:
                if not file.metadata.num_rows:
                    return
                schema = file.schema_arrow
                layout.by_names(tuple(schema.names), "the file", wanted)
                for column in wanted.columns:
                    self._require_type(column, schema.field(column.name).type)
                for batch in file.iter_batches(BATCH, columns=names_of(wanted.columns)):
                    yield {c.name: _column(c, batch[c.name], done + 1) for c in wanted.columns}
                    done += batch.num_rows
        except RequestError as error:
            remedy = "" if error.row is None else ". Fix the row or remove it"
            self._refuse(f"{error}{remedy}")
        except (pa.ArrowException, OSError) as error:
            self._refuse(f"cannot be read ({error}); upload it again")

    def _require_type(self, column: Column, kind: pa.DataType) -> None:
        if not arrow.is_castable(column, kind):
            what = KIND_NAMES[column.kind].rstrip(",")
            self._refuse(
                f"has the column {column.name} of type {kind}; expected {what} such as "
                f"{column.example}. Cast the column and write the file again"
            )


def _maybe_missing(column: Column) -> Column:
    """
    Return the column as training data have it: the algorithm decides on rows that lack a value.
    """
    is_optional = column.optional or column.kind != "boolean"
    return replace(column, optional=is_optional, omittable=False)


def _column(column: Column, values: pa.Array, row: int) -> Any:
    try:
        return arrow.from_arrow(column, values)
    except arrow.Unsure:
        return convert(column, values.to_pylist(), row)


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)[1:-1]
