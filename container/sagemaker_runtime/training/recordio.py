"""
RecordIO, into which Pipe mode wraps each file, or each attribute of an augmented manifest.

The format is that of MXNet: a magic number, a word of which three bits say whether the record goes
on and the others how long this piece is, the piece, zeros up to a multiple of four bytes. Where the
magic number stands in the data, the record is cut, and the number left out:
https://mxnet.apache.org/api/architecture/note_data_loading
"""

import io
import struct
from collections.abc import Iterator
from typing import IO, Any

from sagemaker_runtime.errors import DataError

MAGIC = struct.pack("<I", 0xCED7230A)
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)
DRAINED = 1 << 16  # bytes at a time


def records(stream: IO[bytes], name: str) -> Iterator[tuple[str, IO[bytes]]]:
    """
    Yield each record as a stream, with a name for messages; what is left of it is passed over when
    the next one is asked for.

    Raises DataError for what is not RecordIO or breaks off.
    """
    number = 0
    while stream.peek(1):  # type: ignore[attr-defined]
        number += 1
        called = f"{name} record {number}"
        with io.BufferedReader(_Record(stream, called)) as record:
            yield called, record
            while not record.closed and record.read(DRAINED):
                pass


class _Record(io.RawIOBase):
    """
    The bytes of the record that begins in a stream.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._inserted = b""
        self._begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and self._goes_on:
            self._begin()
            self._inserted += MAGIC
        if self._inserted:
            piece = self._inserted[: len(buffer)]
            self._inserted = self._inserted[len(piece) :]
        else:
            piece = self._exactly(min(len(buffer), self._left))
            self._left -= len(piece)
            if piece and not self._left:
                self._exactly(self._padding)
        memoryview(buffer)[: len(piece)] = piece
        return len(piece)

    def _begin(self) -> None:
        head = self._exactly(8)
        if not head.startswith(MAGIC):
            raise DataError(
                f"{self._name} is not RecordIO: it begins with {head[:4].hex(' ')}; expected "
                f"{MAGIC.hex(' ')}. Leave record_wrapping of the channel at RecordIO, or unset it "
                "where the files are records already."
            )
        (word,) = struct.unpack("<I", head[4:])
        self._left = word & ((1 << LENGTH_BITS) - 1)
        self._goes_on = word >> LENGTH_BITS in (FIRST, MIDDLE)
        self._padding = -self._left % 4

    def _exactly(self, size: int) -> bytes:
        found = self._stream.read(size)
        if len(found) < size:
            raise DataError(
                f"{self._name} breaks off: the pipe was closed inside it. Start the job again; if "
                "it happens again, check the files of the channel."
            )
        return found
