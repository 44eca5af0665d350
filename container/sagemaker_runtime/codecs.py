"""
Request bodies to columns, and predictions to response bodies, by media type.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import chain
from typing import IO, Any

import numpy as np

from sagemaker_runtime.algorithm import Columns, Schema
from sagemaker_runtime.columns import absent, convert, shown
from sagemaker_runtime.errors import Malformed, UnsupportedMediaType
from sagemaker_runtime.readers import ROWS_AT_ONCE, Piece, read_csv, read_json, read_json_lines

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"

# What may stand in Content-Type and Accept, with the format that it names.
MEDIA_TYPES = {
    CSV: CSV,
    JSON: JSON,
    JSON_LINES: JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
}

# Python's names of the charsets that are read; a list, since Python's codecs also hold base64 and
# the like.
CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}

# What may stand before the first character and is none of the data. Python's UTF-16 without a byte
# order in its name takes the mark itself.
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


def decode(body: IO[bytes], media_type: str, charset: str, schema: Schema) -> Iterator[Columns]:
    """
    Read a body, some rows at a time, and close it.

    ``media_type`` is a key of MEDIA_TYPES, ``charset`` one of CHARSETS. Raises Malformed when the
    body is not what the media type says, InvalidValue when it breaks the schema.
    """
    encoding = CHARSETS[charset]
    mark = MARKS.get(encoding, b"")
    if body.read(len(mark)) != mark:
        body.seek(0)
    row = 1
    try:
        for count, fields in READERS[MEDIA_TYPES[media_type]](body, encoding, schema):
            yield {
                column.name: absent(column, count)
                if values is None
                else values
                if isinstance(values, np.ndarray)
                else convert(column, values, row)
                for column, values in zip(schema.features, fields, strict=True)
            }
            row += count
    except UnicodeDecodeError as error:
        raise Malformed(
            f"the body is not {charset}: {error.reason} (byte 0x{error.object[error.start]:02x}). "
            f"Send {charset}, or name the charset in Content-Type: {media_type}; charset=..."
        ) from None


def encode(predictions: np.ndarray, media_type: str) -> bytes:
    """
    Write predictions of shape (n,) or (n, k), finite numbers or text, as ``media_type`` says.

    Numbers are written with the fewest digits that read back as the same number.
    """
    if predictions.dtype == np.float32:
        # By way of text: 0.1 and not 0.10000000149011612, which is what float64 makes of it.
        predictions = predictions.astype(str).astype(np.float64)
    return WRITERS[MEDIA_TYPES[media_type]](predictions)


def check_media_type(media_type: str, charset: str) -> None:
    """
    Raise UnsupportedMediaType unless ``decode`` reads this media type in this charset.
    """
    if not media_type:
        raise UnsupportedMediaType(
            f"there is no Content-Type; name what the body is, one of {', '.join(MEDIA_TYPES)}"
        )
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            f"Content-Type is {shown(media_type)}; expected one of {', '.join(MEDIA_TYPES)}"
        )
    if charset not in CHARSETS:
        raise UnsupportedMediaType(
            f"charset is {shown(charset)}; expected one of {', '.join(CHARSETS)}, such as "
            f"{media_type}; charset=utf-8"
        )


def _pieces(predictions: np.ndarray) -> Iterator[list[Any]]:
    """
    Yield the rows as Python objects, some at a time: a single call that writes a million rows
    would hold Python's lock, and with it every other thread, for most of a second.
    """
    for start in range(0, len(predictions), ROWS_AT_ONCE):
        yield predictions[start : start + ROWS_AT_ONCE].tolist()


def _write_csv(predictions: np.ndarray) -> bytes:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for rows in _pieces(predictions):
        writer.writerows(rows if predictions.ndim == 2 else zip(rows, strict=True))
    return out.getvalue().encode()


def _write_json(predictions: np.ndarray) -> bytes:
    rows = ", ".join(json.dumps(rows)[1:-1] for rows in _pieces(predictions))
    return f'{{"predictions": [{rows}]}}'.encode()


def _write_json_lines(predictions: np.ndarray) -> bytes:
    # Python writes int, float and lists of them as JSON does, and faster than json.dumps.
    write = repr if predictions.dtype.kind in "fiu" else json.dumps
    rows = chain.from_iterable(_pieces(predictions))
    return "".join(f'{{"prediction": {write(row)}}}\n' for row in rows).encode()


READERS: dict[str, Callable[[IO[bytes], str, Schema], Iterator[Piece]]] = {
    CSV: read_csv,
    JSON: read_json,
    JSON_LINES: read_json_lines,
}
WRITERS: dict[str, Callable[[np.ndarray], bytes]] = {
    CSV: _write_csv,
    JSON: _write_json,
    JSON_LINES: _write_json_lines,
}
