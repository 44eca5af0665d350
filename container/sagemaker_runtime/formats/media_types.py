"""
The media types and charsets of tables, and every charset's texts as UTF-8.
"""

import codecs
from io import RawIOBase
from typing import IO

from sagemaker_runtime.errors import Malformed, UnsupportedMediaType
from sagemaker_runtime.formats.messages import shown

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

# What may stand before the first character and is not part of the data. Python's UTF-16 without a
# byte order in its name takes the mark itself.
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}

# Bytes decoded at a time.
PIECE = 1 << 20


def check_charset(media_type: str, charset: str) -> None:
    """
    Raise UnsupportedMediaType unless texts in this charset are read.
    """
    if charset not in CHARSETS:
        raise UnsupportedMediaType(
            f"charset is {shown(charset)}; expected one of {', '.join(CHARSETS)}, such as "
            f"{media_type}; charset=utf-8"
        )


def as_utf8(body: IO[bytes], charset: str) -> IO[bytes]:
    """
    Return a stream of the body's text in UTF-8, without a byte order mark.

    UTF-8 itself is handed on unchecked: the readers check each piece that they take, by
    ``check_utf8``. Reading raises UnicodeDecodeError for what is not in the charset.
    """
    encoding = CHARSETS[charset]
    mark = MARKS.get(encoding, b"")
    start = body.tell()
    if body.read(len(mark)) != mark:
        body.seek(start)
    return body if encoding == "utf-8" else _Recoded(body, encoding)  # type: ignore[return-value]


def check_utf8(text: bytes) -> None:
    """
    Raise UnicodeDecodeError unless these bytes are whole characters of UTF-8.
    """
    if not text.isascii():
        text.decode()


def not_in_charset(error: UnicodeDecodeError, media_type: str, charset: str) -> Malformed:
    """
    Return what is said of a body that is not in the charset it was sent with.
    """
    return Malformed(
        f"the body is not {charset}: {error.reason} (byte 0x{error.object[error.start]:02x}). "
        f"Send {charset}, or name the charset in Content-Type: {media_type}; charset=..."
    )


class _Recoded(RawIOBase):
    """
    A text in another charset, read as UTF-8 from front to end.
    """

    def __init__(self, body: IO[bytes], encoding: str) -> None:
        self._body, self._encoding = body, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._ready) < size):
            raw = self._body.read(PIECE)
            self._ended = not raw
            self._ready += self._decode(raw).encode()
        cut = len(self._ready) if size < 0 else size
        text, self._ready = self._ready[:cut], self._ready[cut:]
        return text

    def _decode(self, raw: bytes) -> str:
        try:
            return self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError:
            raise
        except UnicodeError:  # the one thing that Python's decoders say less of
            why = "it does not begin with a byte order mark"
            raise UnicodeDecodeError(self._encoding, raw, 0, 1, why) from None
