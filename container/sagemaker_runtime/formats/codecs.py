"""
Request bodies to columns, and predictions to response bodies, by media type.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import IO, TYPE_CHECKING

import numpy as np
import orjson

from sagemaker_runtime.errors import Malformed, UnsupportedMediaType
from sagemaker_runtime.formats.readers import Piece, read_csv, read_json, read_json_lines
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.values import absent, convert, shown

if TYPE_CHECKING:
    from sagemaker_runtime.formats.table import Table

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


def decode(body: IO[bytes], media_type: str, charset: str, schema: "Table") -> Iterator[Columns]:
    """
    Read a body, some rows at a time, and close it.

    ``media_type`` is a key of MEDIA_TYPES. Raises UnsupportedMediaType, Malformed when the
    body is not what the media type says, InvalidValue when it breaks the schema.
    """
    check_charset(media_type, charset)
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


def encode(predictions: Sequence[np.ndarray], media_type: str) -> bytes:
    """
    Write the predictions of a body's pieces, each of shape (n,) or (n, k), finite numbers or text,
    as ``media_type`` says.

    Numbers are written with the fewest digits that read back as the same number.
    """
    return WRITERS[MEDIA_TYPES[media_type]]([piece for piece in predictions if len(piece)])


def check_charset(media_type: str, charset: str) -> None:
    """
    Raise UnsupportedMediaType unless texts in this charset are read.
    """
    if charset not in CHARSETS:
        raise UnsupportedMediaType(
            f"charset is {shown(charset)}; expected one of {', '.join(CHARSETS)}, such as "
            f"{media_type}; charset=utf-8"
        )


def _elements(predictions: np.ndarray) -> bytes:
    """
    Write predictions as JSON does the elements of a list, without the brackets around them.
    """
    if predictions.dtype.kind in "OU":
        return json.dumps(predictions.tolist())[1:-1].encode()
    return orjson.dumps(np.ascontiguousarray(predictions), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def _write_csv(pieces: list[np.ndarray]) -> bytes:
    return b"".join(map(_csv, pieces))


def _csv(predictions: np.ndarray) -> bytes:
    if predictions.dtype.kind in "OU":
        out, rows = StringIO(), predictions.tolist()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(rows if predictions.ndim == 2 else zip(rows, strict=True))
        return out.getvalue().encode()
    elements = _elements(predictions)
    if predictions.ndim == 1:
        return elements.replace(b",", b"\n") + b"\n"
    return elements[1:-1].replace(b"],[", b"\n") + b"\n"


def _write_json(pieces: list[np.ndarray]) -> bytes:
    return b'{"predictions": [' + b",".join(map(_elements, pieces)) + b"]}"


def _write_json_lines(pieces: list[np.ndarray]) -> bytes:
    return b"".join(map(_json_lines, pieces))


def _json_lines(predictions: np.ndarray) -> bytes:
    before, behind = b'{"prediction": ', b"}\n"
    if predictions.dtype.kind in "OU":
        rows = predictions.tolist()
        return b"".join(before + json.dumps(row).encode() + behind for row in rows)
    comma = b"," if predictions.ndim == 1 else b"],["
    lines = _elements(predictions).replace(comma, comma.replace(b",", behind + before))
    return before + lines + behind


READERS: dict[str, Callable[[IO[bytes], str, "Table"], Iterator[Piece]]] = {
    CSV: read_csv,
    JSON: read_json,
    JSON_LINES: read_json_lines,
}
WRITERS: dict[str, Callable[[list[np.ndarray]], bytes]] = {
    CSV: _write_csv,
    JSON: _write_json,
    JSON_LINES: _write_json_lines,
}
