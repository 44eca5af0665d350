"""
Signals to ``serve``: handlers only record them, a loop acts on them.
"""

import os
import select
import signal
import time
from collections.abc import Sequence

# timeout(1) and others signal a process and then its group: one wish that arrives twice.
REPEAT_S = 1.0


class Signals:
    """
    Records SIGTERM and SIGINT from now on.
    """

    def __init__(self) -> None:
        self._came: list[tuple[int, float]] = []
        self._wakeup, writer = os.pipe()
        for end in (self._wakeup, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number, lambda number, frame: self._came.append((number, time.monotonic()))
            )
        # Needed, or the end of a child would not end the wait.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def wait(self, seconds: float, readable: Sequence[int] = ()) -> list[int]:
        """
        Wait until a signal comes, a child ends, one of the descriptors can be read or the time is
        up; return the descriptors that can be read.
        """
        ready, _, _ = select.select([self._wakeup, *readable], [], [], max(0.0, seconds))
        if self._wakeup in ready:
            os.read(self._wakeup, 4096)
        return [each for each in ready if each != self._wakeup]

    @property
    def first(self) -> str | None:
        """
        The name of the first signal that came, None when none did.
        """
        return signal.Signals(self._came[0][0]).name if self._came else None

    @property
    def hurried(self) -> bool:
        """
        Whether a further signal came later than the first one's echo.
        """
        return bool(self._came) and self._came[-1][1] - self._came[0][1] > REPEAT_S
