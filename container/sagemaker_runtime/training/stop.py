"""
The platform's wish that the job ends: SIGTERM, which is only recorded.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

# The platform ends the container this long after SIGTERM, whatever it does.
KILL_S = 120.0


@contextmanager
def recorded() -> Iterator[list[float]]:
    """
    Hand out the list of the moments at which SIGTERM came, in seconds of the monotonic clock.
    """
    moments: list[float] = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: moments.append(monotonic()))
    try:
        yield moments
    finally:
        signal.signal(signal.SIGTERM, previous)
