"""
Waiting: the platform's own pauses, shortened by a factor, which end when the cloud is stopped.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime


class Stopped(Exception):
    """
    The cloud is being stopped: whatever waits ends here.
    """


class Clock:
    """
    A clock whose waits are ``factor`` times as short as AWS's; timestamps are real.
    """

    def __init__(self, factor: float = 1) -> None:
        self.factor = factor
        self._stop = threading.Event()

    @staticmethod
    def now() -> datetime:
        """
        Return the time, as AWS notes it: UTC.
        """
        return datetime.now(UTC)

    def real(self, seconds: float) -> float:
        """
        Return how long seconds of AWS last here.
        """
        return seconds / self.factor

    def stop(self) -> None:
        """
        Wake whatever waits.
        """
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """
        Whether the cloud is being stopped.
        """
        return self._stop.is_set()

    def pause(self, real_s: float) -> None:
        """
        Wait for some real seconds; raises Stopped.
        """
        if self._stop.wait(real_s):
            raise Stopped

    def background(self, work: Callable[..., object], *arguments: object) -> None:
        """
        Run something in a thread, which the end of the cloud ends quietly.
        """

        def run() -> None:
            try:
                work(*arguments)
            except Stopped:
                pass
            except Exception:
                if not self.stopped:
                    raise

        threading.Thread(target=run, daemon=True, name=getattr(work, "__name__", "")).start()
