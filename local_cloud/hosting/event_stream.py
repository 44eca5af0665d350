"""
AWS's framing of streamed answers: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import struct
import zlib

STRING = 7


def part(body: bytes) -> bytes:
    """
    Return the frame of one part of a body.
    """
    headers = {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    return _frame(headers, body)


def failure(code: str, message: str) -> bytes:
    """
    Return the frame that ends a stream by an error.
    """
    headers = {":exception-type": code, ":message-type": "exception"}
    return _frame(headers, b'{"Message": "%s"}' % message.replace('"', "'").encode())


def _frame(headers: dict[str, str], body: bytes) -> bytes:
    written = b""
    for name, value in headers.items():
        key, text = name.encode(), value.encode()
        written += struct.pack("!B", len(key)) + key
        written += struct.pack("!BH", STRING, len(text)) + text
    prelude = struct.pack("!II", len(written) + len(body) + 16, len(written))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + written + body
    return message + struct.pack("!I", zlib.crc32(message))
