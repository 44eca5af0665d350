"""
What GET /metrics says: counted in each worker, put together by prometheus-client over all of them.

While a request is answered it is counted in plain lists, for a fraction of the time that
prometheus-client takes. What was counted is handed on once a second, when somebody asks, and before
a worker ends; one that is killed takes its last second's counts along.
"""

import logging
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import get_native_id  # gevent's get_ident tells greenlets apart
from typing import TYPE_CHECKING, Any

import numpy as np

from sagemaker_runtime.baseline.content import Baseline, Ranges
from sagemaker_runtime.serving.folder import METRICS_VARIABLE
from sagemaker_runtime.serving.observed import Counts, Observer, Piece
from sagemaker_runtime.serving.tallies import Answered, Singles

if TYPE_CHECKING:
    from sagemaker_runtime.serving.drift import Newest
    from sagemaker_runtime.serving.instruments import Instruments

INTERVAL_S = 1.0
# Captured pieces that are counted each INTERVAL_S: more of a busy worker's say nothing new.
CAPTURED = 500
# Pieces after which the queue is counted at once.
LONG = 500
# Larger pieces are counted where they were predicted, maybe in a thread, and not held.
LARGE_ROWS = 1000

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

logger = logging.getLogger(__name__)


class Recorder:
    """
    What this process has counted; nothing before ``begin``. No request fails for what cannot be
    counted, such as what an algorithm has taken out of its columns.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.in_flight = 0
        self._use(Ranges())
        self._instruments: Instruments | None = None
        self._newest: Newest | None = None
        self.baseline: Baseline | None = None
        self._load_s: float | None = None
        self._loads: deque[float] = deque()
        self._requests = Answered()
        self._pieces: deque[Piece] = deque()
        self._captured: deque[Piece] = deque()
        self._counts: deque[Counts] = deque()
        self._repaired: deque[tuple[str, int]] = deque()
        self._left_out: deque[int] = deque()
        self._told = False

    def describe(self, baseline: Baseline | None, load_s: float) -> None:
        """
        Take the model's baseline and how long it took to load.
        """
        self._use(baseline.ranges if baseline else Ranges())
        self.baseline, self._load_s = baseline, load_s
        self._instruments = None

    def loaded(self, seconds: float) -> None:
        """
        Count a model of a multi-model endpoint that was loaded, from any thread.
        """
        if self.is_on:
            self._loads.append(seconds)

    def begin(self) -> None:
        """
        Count from now on, in the event loop's thread; only a process that calls ``flush`` every
        INTERVAL_S should.
        """
        self.is_on = True
        self._thread = get_native_id()

    def request(
        self, path: str, status: int, seconds: float, size: int = 0, rows: int = 0, bad: int = 0
    ) -> None:
        """
        Count a request that was answered.
        """
        if self.is_on:
            self._requests.add(path, status, seconds, size, rows, bad)
            if len(self._pieces) >= LONG:
                self.flush()

    def piece(self, asked: Any, rows: int | None, predicted: Any) -> None:
        """
        Count what ``predict`` was given and has returned, from any thread.
        """
        if not self.is_on:
            return
        is_single = rows == 1 and type(asked) is dict and type(predicted) is np.ndarray
        is_single = is_single and get_native_id() == self._thread
        try:
            if is_single and predicted.shape == (1,) and predicted.dtype.kind == "f":
                self._single.add(asked, predicted.item())
            elif rows is not None and rows <= LARGE_ROWS:
                self._pieces.append((asked, predicted))
            elif rows is not None:
                self._counts.append(self._observer.count([(asked, predicted)]))
        except Exception:  # noqa: BLE001 - whatever somebody's algorithm returned
            self._tell()

    def captured(self, pieces: Sequence[Piece]) -> None:
        """
        Count the pieces of a request that was captured, unless CAPTURED are waiting.
        """
        if self.is_on and self.baseline and len(self._captured) < CAPTURED:
            self._captured.extend(pieces)

    def left_out(self, requests: int) -> None:
        """
        Count requests that were to be captured and are not, from any thread.
        """
        if self.is_on:
            self._left_out.append(requests)

    def repaired(self, rule: str, rows: int) -> None:
        """
        Count rows that an algorithm has put right.
        """
        if self.is_on and rows:
            self._repaired.append((rule, int(rows)))

    def instruments(self) -> "Instruments":
        """
        Return what prometheus-client keeps.
        """
        if self._instruments is None:
            # Not above: it takes 40 ms to import, which the first answer need not wait for.
            from sagemaker_runtime.serving import drift
            from sagemaker_runtime.serving.instruments import Instruments, reserve

            bins = drift.bins_of(self.baseline)
            if METRICS_VARIABLE in os.environ:
                reserve(Path(os.environ[METRICS_VARIABLE]), drift.room(bins))
            self._instruments = Instruments(self._observer.steps.tolist(), self._load_s)
            label = self.baseline.table.label if self.baseline else None
            self._newest = drift.Newest(bins, label, self._instruments.registry)
        return self._instruments

    def flush(self) -> None:
        """
        Hand what was counted to prometheus-client; call it on the event loop only.
        """
        try:
            self._flush()
        except Exception:  # noqa: BLE001 - whatever somebody's algorithm returned
            rows = self._pieces, self._counts, self._repaired
            for queue in (self._loads, self._captured, *rows):
                queue.clear()  # they would only grow
            self._tell()

    def _flush(self) -> None:
        instruments = self.instruments()
        answered, self._requests = self._requests, Answered()
        instruments.requests(answered)
        self._counts.append(self._single.take())
        if pieces := _taken(self._pieces):
            self._counts.append(self._observer.count(pieces))
        instruments.counts(_taken(self._counts))
        instruments.repaired(_taken(self._repaired))
        instruments.loads(_taken(self._loads))
        instruments.left_out(_taken(self._left_out))
        instruments.state(self.in_flight)
        if self._newest and (captured := _taken(self._captured)):
            self._newest.add(captured)

    def _use(self, ranges: Ranges) -> None:
        self._observer = Observer(ranges)
        self._single = Singles(ranges, self._observer.steps.tolist())

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            logger.error("GET /metrics lacks what could not be counted", exc_info=True)


def _taken(queue: deque[Any]) -> list[Any]:
    return [queue.popleft() for _ in range(len(queue))]


recorder = Recorder()


def count_repaired(rule: str, rows: int) -> None:
    """
    Count rows that ``predict`` has put right instead of refusing them, by the name of a rule such
    as "passengers"; does nothing outside of a server.
    """
    recorder.repaired(rule, rows)


def text() -> bytes:
    """
    Return the counts of all workers as Prometheus reads them.
    """
    recorder.flush()
    from prometheus_client import exposition
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.registry import Collector

    from sagemaker_runtime.serving.drift import WithIndex, bins_of

    counted: Collector = recorder.instruments().registry
    if METRICS_VARIABLE in os.environ:
        counted = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    shown = WithIndex(counted, bins_of(recorder.baseline))
    try:
        return exposition.generate_latest(shown)
    except FileNotFoundError:  # a new worker has just taken over the file of one that has ended
        return exposition.generate_latest(shown)


def forget(pid: int) -> None:
    """
    Remove what holds for a living process only, such as its memory; what it has counted stays.
    """
    if any(Path(os.environ.get(METRICS_VARIABLE, os.devnull)).glob(f"gauge_live*_{pid}.db")):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid)  # type: ignore[no-untyped-call]
