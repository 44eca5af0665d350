"""
How ``serve`` waits: for an answer, for a while, for a child to end. Signals, ended children and
what nginx logs are attended to meanwhile.
"""

import signal
import socket
import time
from collections.abc import Sequence

from sagemaker_runtime.serving.children import Children
from sagemaker_runtime.serving.nginx import Nginx
from sagemaker_runtime.serving.signals import Signals

# Time between two questions whether somebody answers.
POLL_S = 0.005


class Waiting:
    """
    Waits for signals and children; ``nginx`` is None where gunicorn itself listens.
    """

    def __init__(self, signals: Signals, children: Children, nginx: Nginx | None) -> None:
        self._signals = signals
        self._children = children
        self._nginx = nginx
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """
        The time since it was made.
        """
        return time.monotonic() - self._began

    def turn(self, seconds: float, readable: Sequence[int] = ()) -> bool:
        """
        Wait until a signal comes, a child ends, ``readable`` can be read or the time is up; print
        what nginx logged and tell whether it was ``readable``.
        """
        log = [self._nginx.log] if self._nginx else []
        ready = self._signals.wait(seconds, [*readable, *log])
        if self._nginx and self._nginx.log in ready:
            self._nginx.print_log()
        self._children.reap()
        return any(each in readable for each in ready)

    def is_answered(self, address: str | tuple[str, int]) -> bool:
        """
        Tell whether the application answers a ping within a second, with whatever status; a moment
        later if not.
        """
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.settimeout(1)
                probe.connect(address)
                probe.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                if self.turn(1, [probe.fileno()]) and probe.recv(5) == b"HTTP/":
                    return True
        except OSError:
            pass
        self.turn(POLL_S)
        return False

    def pause(self, seconds: float) -> None:
        """
        Go on as usual for a while; less after a second signal.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._signals.hurried:
            self.turn(until - time.monotonic())

    def end(self, name: str, number: signal.Signals, deadline: float) -> bool:
        """
        Signal a child and return whether it ended before the deadline or a second signal.
        """
        self._children.signal(name, number)
        while self._children.runs(name):
            if time.monotonic() >= deadline or self._signals.hurried:
                return False
            self.turn(deadline - time.monotonic())
        return True
