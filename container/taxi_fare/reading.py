"""
Training files to columns: CSV, gzipped CSV and Parquet.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sagemaker_runtime.algorithm import Column, Columns
from sagemaker_runtime.errors import DataError
from sagemaker_runtime.training.channels import data_files
from taxi_fare import blocks
from taxi_fare.schema import FARE, INPUT, KEY

SUFFIXES = (".csv", ".csv.gz", ".parquet")

COLUMNS = (FARE, *INPUT.features)
NAMES = tuple(column.name for column in COLUMNS)
WITH_KEY = (KEY.name, *NAMES)

# What a file may write for a missing value, besides nothing at all; pandas, R and SQL use these.
MISSING = ("", "NaN", "nan", "NA", "NULL", "null")

BLOCK = 2 << 20  # bytes that pyarrow parses at once; larger is not faster
BATCH = 1 << 18  # rows read from Parquet at once

NAT = np.datetime64("NaT", "s").astype(np.int64).item()

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"

# A wall-clock time, then a fraction and a zone, which are ignored.
TAIL = r"(\.\d+)?( ?(UTC|Z|[+-]\d\d(:?\d\d)?))?$"
TIMESTAMP = rf"^(\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?){TAIL}"
TO_SECONDS = len("2014-02-25 12:17:00")
LONGEST = 1000  # pyarrow fails on a slice without an end
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
KINDS = {"number": "a number", "timestamp": "a timestamp"}
SHOWN = 40  # characters of a value that a message repeats


class _Malformed(Exception):
    """
    A value of a batch is no timestamp.
    """


def batches(channel: Path) -> Iterator[Columns]:
    """
    Read every data file below a channel's folder: the fare and the features, some rows at a time.

    CSV files may have a header or none; without one the columns stand in Kaggle's order, key
    first or left out. With one, other columns are ignored. A number may be missing (NaN), a time
    too (NaT). A time counts as New York wall-clock time whatever zone it names, as the
    competition's files say UTC and mean New York; fractions of a second are cut off. Raises
    DataError with file, row, column and value for a file that is not what it should be; rows
    count from 1, a header and blank lines not included.
    """
    for path in data_files(channel, SUFFIXES):
        file = _File(path, str(path.relative_to(channel.parent)))
        rows = 0
        for batch in file.batches():
            rows += len(batch[FARE.name])
            yield batch
        if rows == 0:
            file.refuse("holds no rows; expected at least one. Fill the file or remove it")
    pa.default_memory_pool().release_unused()  # which would be kept for further files


class _File:
    """
    One data file; ``name`` is what messages call it: its path from the channel's folder on.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def refuse(self, what: str) -> NoReturn:
        raise DataError(f"{self.name}: {what}.")

    def batches(self) -> Iterator[Columns]:
        with self.path.open("rb") as file:
            start = file.read(len(PARQUET_MAGIC))
        if not start:
            self.refuse("is empty; expected rows. Fill the file or remove it")
        name = self.path.name.lower()
        for suffix, magic, kind in (
            (".gz", GZIP_MAGIC, "gzip"),
            (".parquet", PARQUET_MAGIC, "Parquet"),
        ):
            if name.endswith(suffix) and not start.startswith(magic):
                self.refuse(f"is no {kind} file inside; upload it again or correct its name")
            if start.startswith(magic) and not name.endswith(suffix):
                self.refuse(f"is a {kind} file inside; give it a name that ends in {suffix}")
        return self._parquet() if name.endswith(".parquet") else self._csv()

    def _csv(self) -> Iterator[Columns]:
        names, header = self._layout()
        done = 0  # rows of the batches that were fine
        try:
            for batch in blocks.in_order(partial(_parse, names), self._lines(header)):
                yield batch
                done += len(batch[FARE.name])
        except (pa.ArrowInvalid, OSError, EOFError, zlib.error, _Malformed) as error:
            self._locate(names, header, done, error)

    def _lines(self, header: int) -> Iterator[tuple[bytes, int]]:
        """
        Read about BLOCK bytes at a time, whole lines, and tell how many of them are a header.
        """
        with self._open() as file:
            while lines := file.read(BLOCK) + file.readline():
                yield lines, header
                header = 0

    def _layout(self) -> tuple[list[str], int]:
        """
        Tell the names of a CSV file's columns, and how many lines its header takes, 0 for none.
        """
        try:
            with closing(self._text("strict")) as text:
                reader = csv.reader(text)
                first = next((row for row in reader if row), [])
                lines = reader.line_num
        except UnicodeDecodeError:
            self.refuse("is not UTF-8 text; save it as CSV in UTF-8")
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            self.refuse(f"cannot be read ({error}); upload it again")
        names = [cell.strip() for cell in first]
        if set(names) & set(WITH_KEY):
            self._require(names)
            return names, lines
        for order in (WITH_KEY, NAMES):
            if len(names) == len(order):
                return list(order), 0
        self.refuse(
            f"has {len(names)} columns and no header; expected {len(WITH_KEY)} "
            f"({', '.join(WITH_KEY)}) or {len(NAMES)} (the same without {KEY.name}). "
            "Reorder the columns or add a header"
        )

    def _require(self, names: list[str]) -> None:
        for name in NAMES:
            if names.count(name) != 1:
                what = "lacks" if name not in names else "has twice"
                self.refuse(
                    f"{what} the column {name}; expected {', '.join(NAMES)} once each, "
                    f"found {', '.join(names)}"
                )

    def _open(self) -> IO[bytes]:
        unpack: Any = gzip.open if self.path.name.lower().endswith(".gz") else open
        file: IO[bytes] = unpack(self.path, "rb")
        return file

    def _text(self, errors: str) -> IO[str]:
        return io.TextIOWrapper(self._open(), encoding="utf-8-sig", errors=errors, newline="")

    def _locate(self, names: list[str], header: int, done: int, error: Exception) -> NoReturn:
        """
        Read a refused file once more, row by row, and name the first bad value after ``done`` rows.
        """
        checks = [(names.index(column.name), column) for column in COLUMNS]
        try:
            with closing(self._text("backslashreplace")) as text:
                rows = (row for row in csv.reader(text) if row)
                for number, row in islice(enumerate(rows, 0 if header else 1), done, None):
                    if header and number == 0:
                        continue
                    if len(row) != len(names):
                        self.refuse(
                            f"has {len(row)} fields in row {number}; expected {len(names)} "
                            f"({','.join(names)}). Mend the row or remove it"
                        )
                    for place, column in checks:
                        if not _valid(column, row[place]):
                            self._refuse_value(column, row[place], number)
        except (OSError, EOFError, zlib.error, csv.Error):
            pass  # a damaged archive: pyarrow's own words follow
        self.refuse(f"cannot be read ({error}); upload it again")

    def _refuse_value(self, column: Column, value: str, row: int) -> NoReturn:
        self.refuse(
            f"{column.name} is {value[:SHOWN]!r} in row {row}; expected "
            f"{KINDS[column.kind]} such as {column.example}. Mend the row or remove it"
        )

    def _parquet(self) -> Iterator[Columns]:
        from pyarrow.parquet import ParquetFile  # 50 ms, for CSV in vain

        done = 0
        try:
            with ParquetFile(self.path) as file:
                self._require(file.schema_arrow.names)
                for column in COLUMNS:
                    self._require_kind(column, file.schema_arrow.field(column.name).type)
                for batch in file.iter_batches(BATCH, columns=list(NAMES)):
                    yield self._batch(batch, done)
                    done += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            self.refuse(f"cannot be read ({error}); upload it again")

    def _require_kind(self, column: Column, kind: pa.DataType) -> None:
        number = (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        )
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        time = pa.types.is_timestamp(kind) or text
        if not (number if column.kind == "number" else time):
            self.refuse(
                f"has the column {column.name} of type {kind}; expected a {column.kind} "
                f"such as {column.example}. Cast the column and write the file again"
            )

    def _batch(self, batch: pa.RecordBatch, done: int) -> Columns:
        try:
            return _columns(batch)
        except _Malformed:
            for column in COLUMNS:
                if column.kind == "timestamp":
                    for row, value in enumerate(batch[column.name].to_pylist(), done + 1):
                        if not _valid(column, value or ""):
                            self._refuse_value(column, value, row)
            raise


def _parse(names: list[str], lines_and_header: tuple[bytes, int]) -> Columns:
    """
    Turn lines of CSV into columns.
    """
    lines, header = lines_and_header
    table = pyarrow.csv.read_csv(
        pa.py_buffer(lines),
        pyarrow.csv.ReadOptions(
            column_names=names, skip_rows=header, block_size=len(lines), use_threads=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=NAMES,
            column_types={
                column.name: pa.float64() if column.kind == "number" else pa.binary()
                for column in COLUMNS
            },
            null_values=MISSING,
            strings_can_be_null=True,
        ),
    )
    arrays = [column.combine_chunks() for column in table.columns]
    return _columns(pa.record_batch(arrays, names=table.column_names))


def _columns(batch: pa.RecordBatch) -> Columns:
    return {
        column.name: (_numbers if column.kind == "number" else _times)(batch[column.name])
        for column in COLUMNS
    }


def _numbers(values: pa.Array) -> np.ndarray:
    # Integers above 2^53 lose their last digits, which no column here could mean.
    return _array(values.cast(pa.float64(), safe=False), np.nan)


def _array(values: pa.Array, missing: float) -> np.ndarray:
    # Not to_numpy, which imports pandas: 0.3 s. Filling in missing values does so, too.
    return np.from_dlpack(values.fill_null(missing) if values.null_count else values)


def _times(values: pa.Array) -> np.ndarray:
    """
    Turn texts or timestamps into wall-clock seconds, ``datetime64[s]`` with NaT.
    """
    if pa.types.is_timestamp(values.type):
        if values.type.tz not in (None, "UTC"):
            values = pc.local_timestamp(values)
        seconds = values.cast(pa.timestamp("s"), safe=False)
    else:
        try:
            seconds = _uniform(values.cast(pa.binary()))
            if seconds is None:
                seconds = _any(values.cast(pa.string()))
        except pa.ArrowInvalid as error:
            raise _Malformed from error
    return _array(seconds.cast(pa.int64()), NAT).view("datetime64[s]")


def _uniform(texts: pa.Array) -> pa.Array | None:
    """
    Parse texts that all say seconds, ten times as fast as ``_any``; None when one does not.
    """
    shortest = pc.min(pc.binary_length(texts)).as_py()
    if shortest is not None and shortest < TO_SECONDS:
        return None
    # Few different ones in most files: " UTC" and no other.
    tails = pc.unique(pc.binary_slice(texts, TO_SECONDS, LONGEST)).cast(pa.string())
    if pc.all(pc.match_substring_regex(tails, f"^{TAIL}")).as_py() is False:
        return None
    try:
        return pc.binary_slice(texts, 0, TO_SECONDS).cast(pa.string()).cast(pa.timestamp("s"))
    except pa.ArrowInvalid:
        return None


def _any(texts: pa.Array) -> pa.Array:
    if pc.all(pc.match_substring_regex(texts, TIMESTAMP)).as_py() is False:
        raise _Malformed
    return pc.replace_substring_regex(texts, TIMESTAMP, r"\1").cast(pa.timestamp("s"))


def _valid(column: Column, value: str) -> bool:
    """
    Tell whether pyarrow and ``_times`` take a value.
    """
    if value in MISSING:
        return True
    if column.kind == "number":
        return NUMBER.fullmatch(value.strip()) is not None
    match = re.match(TIMESTAMP, value, re.ASCII)
    try:
        return match is not None and not np.isnat(np.datetime64(match[1], "s"))
    except ValueError:
        return False
