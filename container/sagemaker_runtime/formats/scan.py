"""
Plain rows of CSV and JSON straight to arrays, by scan.c where container/compile.sh has compiled it.

It only ever reads what ``readers.py`` would read to the same columns, and leaves the rest to that.
"""

import ctypes
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sagemaker_runtime.formats.table import Table


# The charsets, by Python's names, whose plain characters are single bytes as in ASCII.
CHARSETS = {"utf-8", "ascii", "latin-1", "iso8859-15", "cp1252"}

LIBRARY = Path(__file__).with_name("libscan.so")
KINDS = {"number": 1, "timestamp": 2}  # the enum in scan.c
TIME = np.dtype("datetime64[s]")

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


class _Rows(ctypes.Structure):
    """
    ``struct rows`` of scan.c.
    """

    _fields_ = (("count", ctypes.c_size_t), ("length", ctypes.c_size_t), ("ended", ctypes.c_int32))


@lru_cache(maxsize=32)
def can_scan(schema: "Table", charset: str) -> bool:
    """
    Tell whether rows of this schema may be plain: texts are Python's to read.
    """
    kinds = {column.kind for column in schema.features}
    return charset in CHARSETS and kinds <= KINDS.keys() and _functions() is not None


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
        self, schema: "Table", positions: Sequence[int | None], keys: Sequence[str | None]
    ) -> None:
        self._columns = (_Column * len(keys))()
        self._width = len(keys)
        self._has_keys = any(key is not None for key in keys)
        # Of each feature: a number, a time, or None when it is not sent.
        self._kinds: list[str | None] = []
        for column, key in zip(self._columns, keys, strict=True):
            column.key = None if key is None else json.dumps(key).encode()
        for place, (column, at) in enumerate(zip(schema.features, positions, strict=True)):
            self._kinds.append(None if at is None else column.kind)
            if at is not None:
                self._columns[at].kind = KINDS[column.kind]
                self._columns[at].optional = column.optional
                self._columns[at].place = place

    def scan_csv(self, text: bytes) -> Rows:
        """
        Read the plain rows that ``text``, which ends with a line feed, begins with.
        """
        return self._scan(_functions().scan_csv, text, b"\n")

    def scan_json(self, text: bytes, lines: bool) -> Rows:
        """
        Read the plain rows that ``text`` begins with: one per line, or with commas between.
        """
        mark = b"{" if self._has_keys else b"["
        return self._scan(_functions().scan_json, text, mark, lines)

    def _scan(
        self, function: Callable[..., _Rows], text: bytes, mark: bytes, *options: int
    ) -> Rows:
        most = _functions().scan_count(text, len(text), mark)
        cells = np.empty((len(self._kinds), most))
        rows = function(text, self._columns, self._width, cells.ctypes.data, most, *options)
        count = rows.count
        fields = [
            None if kind is None else row.view(TIME) if kind == "timestamp" else row
            for kind, row in zip(self._kinds, cells[:, :count], strict=True)
        ]
        return Rows(count, rows.length, fields, bool(rows.ended))


@cache
def _functions() -> Any:
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    given = (ctypes.c_char_p, pointer, size, pointer, size)
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.scan_count.argtypes = (ctypes.c_char_p, size, ctypes.c_char)
        library.scan_count.restype = size
        library.scan_csv.argtypes = given
        library.scan_json.argtypes = (*given, ctypes.c_int)
        library.scan_csv.restype = library.scan_json.restype = _Rows
    except (OSError, AttributeError) as error:
        logger.info("reading without compiled code (%s); container/compile.sh makes it", error)
        return None
    return library
