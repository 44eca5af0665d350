"""
Faults on request: the n-th call of an action is refused, or its caller gets no answer any more.
"""

import threading
from dataclasses import dataclass

from local_cloud.errors import Failed
from local_cloud.journal import Call

WAYS = ("error", "fail", "cut-before", "cut-after", "kill-before", "kill-after")


@dataclass
class Fault:
    """
    What happens at call ``call`` of an action, such as CreateModel or s3:PutObject; "*" is any.

    - ``error``: it is refused with this code, message and status;
    - ``fail``: the job or endpoint that it creates fails, with ``code: message`` as FailureReason;
    - ``cut-before``, ``cut-after``: the connection is cut before or after the call is carried out,
      and so is every connection from then on, until the faults are cleared;
    - ``kill-before``, ``kill-after``: the process that asked is killed (on Linux).
    """

    action: str
    call: int = 1
    way: str = "error"
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    status: int = 400
    seen: int = 0

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ValueError(f"way is {self.way!r}; expected one of {', '.join(WAYS)}")

    def meets(self, call: Call) -> bool:
        """
        Count a call, and tell whether it is the one.
        """
        if self.action not in ("*", call.action, call.name):
            return False
        self.seen += 1
        return self.seen == self.call


class Faults:
    """
    The faults that are waiting for their call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._cut = False
        self._doomed: dict[str, str] = {}

    def add(self, fault: Fault) -> None:
        """
        Wait for one more call.
        """
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """
        Let all calls pass again.
        """
        with self._lock:
            self._faults = []
            self._cut = False

    def met(self, call: Call) -> Fault | None:
        """
        Return the fault of a call, if it has one.
        """
        with self._lock:
            if self._cut:
                return Fault("*", way="cut-before")
            found = [fault for fault in self._faults if fault.meets(call)]
            if found and found[0].way.startswith("cut"):
                self._cut = True
            return found[0] if found else None

    def doom(self, name: str, reason: str) -> None:
        """
        Let the job or endpoint of a name fail as soon as it starts.
        """
        with self._lock:
            self._doomed[name] = reason

    def strike(self, name: str) -> None:
        """
        Raise Failed for a job or endpoint that is to fail.
        """
        with self._lock:
            reason = self._doomed.pop(name, "")
        if reason:
            raise Failed(reason)
