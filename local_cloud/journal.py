"""
The journal: every call, with the IAM actions and resources that it is judged by.
"""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Call:
    """
    A call: service and action as IAM names them, what was asked, and what came of it.
    """

    service: str
    action: str
    asked: dict[str, Any] = field(default_factory=dict)
    permissions: list[tuple[str, str]] = field(default_factory=list)
    access_key: str = ""
    time: str = ""
    status: int = 0
    error: str = ""

    @property
    def name(self) -> str:
        """
        The action with its service, such as sagemaker:CreateModel.
        """
        return f"{self.service}:{self.action}"


class Journal:
    """
    All calls since the start, in memory and as lines of JSON in a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """
        Note a call that was answered.
        """
        with self._lock:
            self._calls.append(call)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(call), default=str) + "\n")

    def calls(self) -> list[Call]:
        """
        Return all calls.
        """
        with self._lock:
            return list(self._calls)
