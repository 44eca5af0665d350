"""
Digests of data, taken as they are read where a second reading would cost.
"""

import io
import os
from collections.abc import Callable
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, cast


class Digests(dict[str, bytes]):
    """
    The SHA-256 of files by their names, as far as they are known.
    """

    def noting(self, raw: io.RawIOBase, name: str) -> io.RawIOBase:
        """
        Return the stream, whose digest is known once it has been read to its end.
        """
        return _Digested(raw, lambda digest: self.update({name: digest}))

    def of_folder(self, folder: Path) -> bytes:
        """
        Return the digest of the names and contents of all files below a folder; files whose digest
        is known are not read.
        """
        total = sha256()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = str(file.relative_to(folder))
            if name not in self:
                with file.open("rb") as stream:
                    self[name] = file_digest(stream, "sha256").digest()
            total.update(os.fsencode(f"{name} ") + self[name])
        return total.digest()


class _Digested(io.RawIOBase):
    """
    Another stream, and its SHA-256, which ``ended`` is told when it has been read to its end.
    """

    def __init__(self, raw: io.RawIOBase, ended: Callable[[bytes], None]) -> None:
        self._raw = raw
        self._ended = ended
        self._total = sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = cast(int, self._raw.readinto(buffer))
        if size:
            self._total.update(memoryview(buffer)[:size])
        else:
            self._ended(self._total.digest())
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
