"""
A container's log: kept, and sent to its log stream while it is written.
"""

import threading
import time
from typing import Any

from local_cloud.backend import Backend
from local_cloud.engine import Engine

INTERVAL_S = 0.5
BATCH = 5_000  # PutLogEvents takes 10,000 events and 1 MB
LONGEST = 200_000  # characters of an event; AWS's limit is 256 kB


class ContainerLog:
    """
    Follows one container to its end.
    """

    def __init__(
        self, backend: Backend, engine: Engine, container: str, group: str, stream: str
    ) -> None:
        self.lines: list[str] = []
        self._backend = backend
        self._place = (group, stream)
        self._waiting: list[dict[str, Any]] = []
        self._ended = threading.Event()
        self._process = engine.follow(container)
        backend.make_stream(group, stream)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._read, self._send)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """
        Return when the container has ended and all of its log is sent.
        """
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        assert self._process.stdout  # noqa: S101 - for the types
        with self._process:
            for line in self._process.stdout:
                text = line.rstrip("\r\n")
                self.lines.append(text)
                if text:
                    now = int(time.time() * 1000)
                    self._waiting.append({"timestamp": now, "message": text[:LONGEST]})
        self._ended.set()

    def _send(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while batch := self._waiting[:BATCH]:
            try:
                self._backend.log_events(*self._place, batch)
            except Exception:  # noqa: BLE001 - the cloud may be ending; a job must not end by its log
                return
            del self._waiting[: len(batch)]
