"""
What becomes of a job whose hosts are lost or asked to stop.
"""

import json
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from threading import Event, Lock, Timer
from time import monotonic

from sagemaker_runtime.errors import HostLost
from sagemaker_runtime.training.failure import printable

# Characters of another host's reason, so that a failure file has it whole with its name.
REASON_LIMIT = 800


@dataclass(frozen=True)
class Times:
    """
    Seconds: between signs of life, without one until a host is taken for dead, for the main thread
    to end by itself once a host is lost, for the last words to arrive.

    Ten beats may be late before a host is given up, and all end well within a minute.
    """

    beat: float = 2.0
    dead: float = 20.0
    grace: float = 3.0
    farewell: float = 2.0


class Watch:
    """
    Remembers the first host that was lost and ends the job for it; knows of every host's SIGTERM.

    ``end`` is called in a thread when the main thread has not ended the process by itself: it may
    be within a library that waits for the lost host. ``stops`` are the moments at which SIGTERM
    came, to this host or to another.
    """

    def __init__(
        self, end: Callable[[HostLost], None], stops: MutableSequence[float], times: Times
    ) -> None:
        self.lost: HostLost | None = None
        self.stops = stops
        self.times = times
        self.tell: Callable[[bytes], None] = lambda words: None
        self._end = end
        self._lock = Lock()
        self._is_over = False
        self._noticed = Event()

    def report(self, host: str, reason: str) -> None:
        """
        Say that a host is lost; only the first one counts, and none once the job is over.
        """
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self.lost = HostLost(f"the host {printable(host)} {printable(reason, REASON_LIMIT)}")
        self._noticed.set()
        self.tell(words(host, reason))
        timer = Timer(self.times.grace, self._end, [self.lost])
        timer.daemon = True
        timer.start()

    def check(self) -> None:
        """
        Raise HostLost when a host is lost.
        """
        if self.lost:
            raise self.lost

    def wait(self, seconds: float) -> HostLost | None:
        """
        Return what was lost within the next seconds, None if nothing was.
        """
        self._noticed.wait(seconds)
        return self.lost

    def stop(self) -> None:
        """
        Note that another host was asked to stop.
        """
        if not self.stops:
            print("another host was asked to stop: so is this one", flush=True)
            self.stops.append(monotonic())

    def over(self) -> None:
        """
        Take no further report: the job has ended in one way or the other.
        """
        with self._lock:
            self._is_over = True


def words(host: str, reason: str) -> bytes:
    """
    Return the body of LOST.
    """
    return json.dumps({"host": host, "reason": reason[: 2 * REASON_LIMIT]}).encode()


def read_words(body: bytes | bytearray) -> tuple[str, str]:
    """
    Return host and reason; raises ValueError.
    """
    try:
        found = json.loads(body)
        return str(found["host"]), str(found["reason"])
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from error
