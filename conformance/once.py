"""
What several checks need and is found out once.
"""

from collections.abc import Callable
from threading import Lock, RLock
from typing import Any, TypeVar

from conformance.engine import DockerError
from conformance.verdicts import Failed, NotOffered, NotTried

Found = TypeVar("Found")


class Memory:
    """
    The base of what has properties that are found out once.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[Any, Exception | None]] = {}
        self._locks: dict[str, RLock] = {}
        self._lock = Lock()

    def lock(self, name: str) -> RLock:
        with self._lock:
            return self._locks.setdefault(name, RLock())

    def find(self, name: str, find: Callable[[], Any]) -> Any:
        """
        Return what ``find`` returns or raise what it raises; it is called the first time only.
        """
        with self.lock(name):
            if name not in self._found:
                try:
                    self._found[name] = (find(), None)
                except (Failed, NotOffered, NotTried, DockerError) as error:
                    self._found[name] = (None, error)
            value, raised = self._found[name]
        if raised is not None:
            raise raised
        return value


class once(property):
    """
    A property that is found out once, also where several checks ask at the same time.
    """

    def __init__(self, find: Callable[[Any], Found]) -> None:
        super().__init__(lambda self: self.find(find.__name__, lambda: find(self)))
