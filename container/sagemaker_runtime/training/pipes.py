"""
Pipe mode: one epoch of a channel as a FIFO, which the platform makes and fills when it likes.
"""

import io
import os
import select
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

from sagemaker_runtime.errors import DataError, SettingError, Stopped
from sagemaker_runtime.training import recordio
from sagemaker_runtime.training.failure import printable

# Seconds without a FIFO or a byte after which the job ends. S3 lists a large prefix in minutes.
PATIENCE = "PIPE_SECONDS"
PATIENCE_S = 600.0
WINDOW = 1 << 16  # bytes: those that the system holds for a FIFO
LOOK_S = 0.1  # how often somebody looks whether it is there, or the job is to end


@dataclass(frozen=True)
class Waiting:
    """
    How long a pipe is waited for, and what ends the waiting: the platform's wish that the job ends.
    """

    patience_s: float = PATIENCE_S
    stopping: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, environ: Mapping[str, str], stopping: Callable[[], bool]) -> "Waiting":
        """
        Take the patience from the job's environment; raises SettingError.
        """
        given = environ.get(PATIENCE) or str(PATIENCE_S)
        try:
            seconds = float(given)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise SettingError(
                f"{PATIENCE} is {printable(given)!r}; expected seconds above 0, such as "
                f"{PATIENCE_S:g}."
            )
        return cls(seconds, stopping)

    def check(self, since: float, name: str, what: str) -> None:
        """
        Raise DataError when ``name`` has not done ``what`` ("appeared", "sent anything") since the
        moment ``since`` and it has taken too long, Stopped when the job is to end.
        """
        if self.stopping():
            raise Stopped(f"the job was asked to stop while it waited for {name}.")
        if monotonic() - since > self.patience_s:
            raise DataError(
                f"the pipe {name} has not {what} for {self.patience_s:g} s; expected the channel's "
                "data. Check that its S3 prefix holds files and that the job's role may read them; "
                f"if they only take longer set {PATIENCE}=3600 in the job's environment."
            )


def parts(raw: io.RawIOBase, name: str, is_wrapped: bool) -> Iterator[tuple[str, IO[bytes]]]:
    """
    Yield each record of a pipe that is wrapped in RecordIO, or the whole, by the name that messages
    call it.

    Raises DataError when nothing comes.
    """
    with io.BufferedReader(raw, WINDOW) as stream:
        if not stream.peek(1):
            raise DataError(
                f"the pipe {name} was closed before it sent anything; expected the channel's data. "
                "Check the S3 prefix that the channel names."
            )
        if is_wrapped:
            yield from recordio.records(stream, name)
        else:
            yield name, stream


class Pipe(io.RawIOBase):
    """
    The bytes of a FIFO, from its first to the moment at which its writer closes it.
    """

    def __init__(self, path: Path, waiting: Waiting) -> None:
        self._name = path.name
        self._waiting = waiting
        self._file = self._opened(path)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """
        Fill the buffer, which takes several of the writer's pieces, unless the end comes first.
        """
        view, size = memoryview(buffer), 0
        while size < len(view) and (count := self._some(view[size:])):
            size += count
        return size

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()

    def _opened(self, path: Path) -> int:
        since = monotonic()
        while True:
            try:
                # Otherwise this would wait for a writer, and for nothing else.
                return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                self._waiting.check(since, self._name, "appeared")
                sleep(LOOK_S)

    def _some(self, view: memoryview) -> int:
        since = monotonic()
        while True:
            # Nothing is told as long as no writer has opened it; its end only once it was there.
            for _ in self._poll.poll(LOOK_S * 1000):
                try:
                    return os.readv(self._file, [view])
                except BlockingIOError:
                    continue
            self._waiting.check(since, self._name, "sent anything")
