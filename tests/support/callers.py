"""
Clients that ask an endpoint all the while.
"""

import threading
from collections import Counter

from botocore.exceptions import ClientError

from clouds import Rehearsal

CALLERS = 4


class Callers:
    """
    What they were told, and how often: answers, and the codes of errors.
    """

    def __init__(self, cloud: Rehearsal, endpoint: str) -> None:
        self.answers: Counter[str] = Counter()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(cloud, endpoint)) for _ in range(CALLERS)
        ]

    def __enter__(self) -> "Counter[str]":
        for thread in self._threads:
            thread.start()
        return self.answers

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, cloud: Rehearsal, endpoint: str) -> None:
        while not self._ended.wait(0.02):
            try:
                self.answers[cloud.ask(endpoint).decode()] += 1
            except ClientError as error:
                self.answers[error.response["Error"]["Code"]] += 1
