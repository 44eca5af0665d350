"""
Pipe mode for tests: FIFOs that are made and filled as the platform does, one after the other.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

MAGIC = struct.pack("<I", 0xCED7230A)


def feed(folder: Path, channel: str, *epochs: bytes | Iterable[bytes]) -> Thread:
    """
    Fill ``<channel>_0``, ``<channel>_1`` and so on, each made when the one before has been read; an
    epoch is a text, or its pieces.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def write() -> None:
        for number, epoch in enumerate(epochs):
            path = folder / f"{channel}_{number}"
            os.mkfifo(path)
            path.chmod(0o666)
            with suppress(BrokenPipeError), path.open("wb", buffering=0) as fifo:
                for piece in [epoch] if isinstance(epoch, bytes) else epoch:
                    fifo.write(piece)

    writer = Thread(target=write, daemon=True)
    writer.start()
    return writer


def wrapped(*records: bytes) -> bytes:
    """
    Return records in RecordIO.
    """
    return b"".join(piece for record in records for piece in _pieces(record))


def _pieces(record: bytes) -> Iterator[bytes]:
    cuts = [at for at in range(0, len(record) - 3, 4) if record[at : at + 4] == MAGIC]
    begins = [0, *(at + 4 for at in cuts)]
    for number, (begin, end) in enumerate(zip(begins, [*cuts, len(record)], strict=True)):
        piece = record[begin:end]
        kind = 0 if not cuts else 1 if not number else 3 if number == len(cuts) else 2
        yield MAGIC + struct.pack("<I", kind << 29 | len(piece)) + piece + bytes(-len(piece) % 4)
