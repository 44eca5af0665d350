"""
Bytes that are read from front to end: several streams as one, what is gzipped unpacked.
"""

import gzip
import io
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, cast

GZIP_MAGIC = b"\x1f\x8b"
BUFFER = 1 << 16  # bytes


class _Joined(io.RawIOBase):
    """
    Streams one after the other, each closed at its end.
    """

    def __init__(self, streams: Iterator[IO[bytes]]) -> None:
        self._streams = streams
        self._now: IO[bytes] | None = next(streams)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._now is not None:
            if size := self._now.readinto(buffer):  # type: ignore[attr-defined]
                return cast(int, size)
            self._now.close()
            self._now = next(self._streams, None)
        return 0

    def close(self) -> None:
        if self._now is not None:
            self._now.close()
            self._now = None
        with suppress(AttributeError):
            self._streams.close()  # type: ignore[attr-defined]
        super().close()


def joined(streams: Iterator[IO[bytes]]) -> IO[bytes]:
    """
    Return at least one stream as one; the next is opened when the one before it has ended.
    """
    return io.BufferedReader(_Joined(streams), BUFFER)


def unpacked(stream: IO[bytes]) -> IO[bytes]:
    """
    Return what is gzipped in a buffered stream, or the stream itself when its first bytes are not
    those of gzip; closing it closes both.
    """
    if start_of(stream, len(GZIP_MAGIC)) != GZIP_MAGIC:
        return stream
    return _Unpacked(fileobj=stream, mode="rb")  # type: ignore[return-value]


def start_of(stream: IO[bytes], size: int) -> bytes:
    """
    Return the first bytes of a buffered stream, which stay in it; fewer where it is shorter.
    """
    return cast(io.BufferedReader, stream).peek(size)[:size]


class _Unpacked(gzip.GzipFile):
    """
    As gzip has it, but for the end: what it reads from is closed with it.
    """

    def close(self) -> None:
        source: Any = self.fileobj
        super().close()
        if source is not None:
            source.close()
