"""
Plain rows of CSV and JSON straight to arrays, by scan.c where container/compile.sh has compiled it.

It only ever reads what ``readers.py`` would read to the same columns, and leaves the rest to that.
"""

import ctypes
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from sagemaker_runtime.algorithm import Schema

# The charsets, by Python's names, whose plain characters are single bytes as in ASCII.
CHARSETS = {"utf-8", "ascii", "latin-1", "iso8859-15", "cp1252"}

LIBRARY = Path(__file__).with_name("libscan.so")
KINDS = {"number": 1, "timestamp": 2}  # the enum in scan.c
DTYPES = {"number": "float64", "timestamp": "datetime64[s]"}

logger = logging.getLogger(__name__)


class _Column(ctypes.Structure):
    """
    ``struct column`` of scan.c.
    """

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("optional", ctypes.c_int32),
        ("place", ctypes.c_size_t),
        ("key", ctypes.c_char_p),
    )


class _Cells(ctypes.Structure):
    """
    ``struct cells`` of scan.c.
    """

    _fields_ = (("start", ctypes.c_void_p), ("most", ctypes.c_size_t))


class _Rows(ctypes.Structure):
    """
    ``struct rows`` of scan.c.
    """

    _fields_ = (("count", ctypes.c_size_t), ("length", ctypes.c_size_t), ("ended", ctypes.c_int32))


@lru_cache(maxsize=32)
def can_scan(schema: Schema, charset: str) -> bool:
    """
    Tell whether rows of this schema may be plain: texts are Python's to read.
    """
    kinds = {column.kind for column in schema.features}
    return charset in CHARSETS and kinds <= KINDS.keys() and _library() is not None


@dataclass(slots=True)
class Rows:
    """
    ``count`` rows that stood in ``length`` bytes: per feature an array, or None where not sent.

    ``ended`` tells that the closing bracket of a list of rows stands behind them.
    """

    count: int
    length: int
    fields: list[np.ndarray | None]
    ended: bool


class Layout:
    """
    Where the features stand in every row: ``positions`` in schema order, None for one not sent.

    A row has as many fields as ``keys`` has entries: JSON records have just those keys, in that
    order; rows of CSV and lists have none, so all of them are None.
    """

    def __init__(
        self, schema: Schema, positions: Sequence[int | None], keys: Sequence[str | None]
    ) -> None:
        self._columns = (_Column * len(keys))()
        self._has_keys = any(key is not None for key in keys)
        self._dtypes: list[str | None] = []
        for column, key in zip(self._columns, keys, strict=True):
            column.key = None if key is None else json.dumps(key).encode()
        for place, (column, at) in enumerate(zip(schema.features, positions, strict=True)):
            self._dtypes.append(None if at is None else DTYPES[column.kind])
            if at is not None:
                self._columns[at].kind = KINDS[column.kind]
                self._columns[at].optional = column.optional
                self._columns[at].place = place

    def scan_csv(self, text: bytes) -> Rows:
        """
        Read the plain rows that ``text``, which ends with a line feed, begins with.
        """
        return self._scan(text, text.count(b"\n"), "scan_csv")

    def scan_json(self, text: bytes, lines: bool) -> Rows:
        """
        Read the plain rows that ``text`` begins with: one per line, or with commas between.
        """
        opening = b"{" if self._has_keys else b"["
        return self._scan(text, text.count(opening), "scan_json", lines)

    def _scan(self, text: bytes, most: int, function: str, *options: int) -> Rows:
        cells = np.empty((len(self._dtypes), most))
        rows = _Rows()
        getattr(_library(), function)(
            text,
            self._columns,
            len(self._columns),
            ctypes.byref(_Cells(cells.ctypes.data, most)),
            ctypes.byref(rows),
            *options,
        )
        fields = [
            None if dtype is None else row[: rows.count].view(dtype)
            for dtype, row in zip(self._dtypes, cells, strict=True)
        ]
        return Rows(rows.count, rows.length, fields, bool(rows.ended))


@cache
def _library() -> ctypes.CDLL | None:
    pointer = ctypes.c_void_p
    given = (ctypes.c_char_p, pointer, ctypes.c_size_t, pointer, pointer)
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.scan_csv.argtypes = given
        library.scan_json.argtypes = (*given, ctypes.c_int)
    except (OSError, AttributeError) as error:
        logger.info("reading without compiled code (%s); container/compile.sh makes it", error)
        return None
    return library
