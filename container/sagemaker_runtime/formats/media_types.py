"""
The media types and charsets of tables.
"""

import codecs

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


def check_charset(media_type: str, charset: str) -> None:
    """
    Raise UnsupportedMediaType unless texts in this charset are read.
    """
    if charset not in CHARSETS:
        raise UnsupportedMediaType(
            f"charset is {shown(charset)}; expected one of {', '.join(CHARSETS)}, such as "
            f"{media_type}; charset=utf-8"
        )


def not_in_charset(error: UnicodeDecodeError, media_type: str, charset: str) -> Malformed:
    """
    Return what is said of a body that is not in the charset it was sent with.
    """
    return Malformed(
        f"the body is not {charset}: {error.reason} (byte 0x{error.object[error.start]:02x}). "
        f"Send {charset}, or name the charset in Content-Type: {media_type}; charset=..."
    )
