"""
Requests beside one another.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from conformance.client import Answer
from conformance.endpoint import Endpoint
from conformance.sample import Sample
from conformance.verdicts import Failed


@dataclass
class Tally:
    """
    What came of the requests of a load.
    """

    good: int = 0
    bad: list[str] = field(default_factory=list)


@contextmanager
def load(endpoint: Endpoint, body: bytes, content_type: str, callers: int) -> Iterator[Tally]:
    """
    Let callers send the same request again and again while the block runs.
    """
    tally = Tally()
    stop = threading.Event()
    lock = threading.Lock()

    def call() -> None:
        while not stop.is_set():
            try:
                answer: Answer | Failed = endpoint.predict(body, content_type)
            except Failed as error:
                answer = error
            with lock:
                if isinstance(answer, Answer) and answer.status == 200:
                    tally.good += 1
                else:
                    tally.bad.append(str(answer))

    threads = [threading.Thread(target=call, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in threads:
            thread.join(endpoint.limits.answer)


def side_by_side(calls: list[Callable[[], Answer]]) -> list[Answer | Failed]:
    """
    Make calls at the same time and return what came of each.
    """

    def make(call: Callable[[], Answer]) -> Answer | Failed:
        try:
            return call()
        except Failed as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def pings(endpoint: Endpoint, seconds: float, least: int) -> list[Answer]:
    """
    Send pings one after another for a while; raises Failed when one is not answered with 200.
    """
    answers: list[Answer] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(answers) < least:
        try:
            answer = endpoint.ping(10)
        except Failed as error:
            raise Failed(f"ping {len(answers) + 1}: {error}") from None
        if answer.status != 200:
            raise Failed(f"ping {len(answers) + 1}: {answer}")
        answers.append(answer)
        if answer.seconds > endpoint.limits.ping:
            break
        time.sleep(0.02)
    return answers


def answers_again(endpoint: Endpoint, sample: Sample | None, seconds: float) -> float | None:
    """
    Return after how long pings and the sample are answered with 200, five times on end; None when
    that does not happen within some seconds.
    """
    started = time.monotonic()
    good = 0
    while time.monotonic() - started < seconds and endpoint.container.running:
        fine = endpoint.status() == 200
        if fine and sample:
            try:
                fine = endpoint.predict(sample.body, sample.content_type, timeout=10).status == 200
            except Failed:
                fine = False
        good = good + 1 if fine else 0
        if good == 5:
            return time.monotonic() - started
        time.sleep(0.1)
    return None
