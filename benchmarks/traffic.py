"""
Generated requests by the thousand, for a number of them or for some time, and what became of them.
"""

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread

from bodies import make, row, rows_in
from harm import Figures
from payloads import Payloads
from server import Server, running
from subjects import SAMPLE, Body, Subject
from wire import Answer, Caller, Request

CALLERS = 16
SEED = 10
WARM = 5  # the memory after one in so many requests is the one that growth is counted from
EXAMPLES = 3
REFUSED = "well formed, not answered 200"
# What HTTP wants for a Transfer-Encoding that a server does not know.
UNKNOWN_ENCODING = 501


class Tally:
    """
    Counts what became of requests; ``odd`` has some examples of each thing that must not happen.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.odd: dict[str, list[str]] = {}
        self.seconds: list[float] = []
        self._lock = Lock()

    def add(self, request: Request, answer: Answer) -> None:
        """
        Count a request and its answer.
        """
        with self._lock:
            self.counts["requests"] += 1
            if request.delivery == "whole" and answer.status:
                self.seconds.append(answer.ended - answer.began)
            if answer.status == 200:
                self.counts["200"] += 1
                rows = request.rows and rows_in(answer.body, answer.media_type)
                if rows != request.rows:
                    self._note("other rows", request, f"{request.rows} rows, {rows} answered")
            elif answer.status >= 500 and answer.status != UNKNOWN_ENCODING:
                self._note("5xx", request, f"{answer.status} {answer.body[:150]!r}")
            elif answer.status:
                self.counts["4xx"] += 1
            elif answer.why == "hang":
                self._note("hangs", request, request.delivery)
            elif not request.may_be_dropped:
                self._note("no answer", request, answer.why)
            if request.good:
                self.counts["good"] += 1
                if answer.status != 200:
                    self._note(REFUSED, request, f"{answer.status} {answer.body[:300]!r}")

    def _note(self, name: str, request: Request, what: str) -> None:
        self.counts[name] += 1
        examples = self.odd.setdefault(name, [])
        if len(examples) < EXAMPLES:
            examples.append(f"{request.what} ({request.delivery}): {what}")

    def figures(self) -> Figures:
        """
        Return the counts, those that should be nought too.
        """
        answered = self.counts["good"] - self.counts[REFUSED]
        good = f"{answered:,} of {self.counts['good']:,}"
        figures: Figures = {"requests": self.counts["requests"], "well formed, answered 200": good}
        figures |= {"refused (4xx)": self.counts["4xx"]}
        wrong = ("5xx", "hangs", "no answer", "other rows")
        figures |= {name: self.counts[name] for name in wrong}
        return figures | ({"examples": self.odd} if self.odd else {})


@dataclass
class Memory:
    """
    A server's memory, seen every so often: when, and MB.
    """

    seen: list[tuple[float, float]]

    def growth(self) -> Figures:
        """
        Return what it is at the end beside what it was after the warm-up, by the median of a fifth.
        """
        part = max(1, len(self.seen) // WARM)
        values = [mb for _, mb in self.seen]
        early, late = values[part : 2 * part] or values, values[-part:]
        return {
            "memory after a fifth, MB": round(statistics.median(early), 1),
            "memory at the end, MB": round(statistics.median(late), 1),
            "largest seen, MB": round(max(values), 1),
        }


def send(server: Server, requests: Iterator[Request], memory: Memory, every_s: float) -> Tally:
    """
    Send requests by all callers at once, half of them on kept connections; look at the memory
    meanwhile.
    """
    tally, lock = Tally(), Lock()

    def ask(caller: Caller) -> None:
        while True:
            with lock:
                request = next(requests, None)
            if request is None:
                caller.close()
                return
            try:
                answer = caller.ask(request)
            except OSError as error:
                answer = Answer(0, why=f"not connected: {error}")
            tally.add(request, answer)

    threads = [
        Thread(target=ask, args=(Caller(server.port, kept=n % 2 == 0),), daemon=True)
        for n in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.seen.append((time.monotonic(), server.memory_mb()))
        deadline = time.monotonic() + every_s
        while time.monotonic() < deadline and any(thread.is_alive() for thread in threads):
            time.sleep(0.02)
    memory.seen.append((time.monotonic(), server.memory_mb()))
    return tally


def generated(subject: Subject, payloads: Payloads, model_root: Path, number: int) -> Figures:
    """
    Send a number of generated bodies.
    """
    with running(subject, model_root) as server:
        server.wait_for_ping()
        server.predict(Body(SAMPLE, row(payloads, 0).body))
        memory = Memory([])
        requests = (make(payloads, SEED, n) for n in range(number))
        tally = send(server, requests, memory, 1.0)
    return tally.figures() | memory.growth()


def soak(subject: Subject, payloads: Payloads, model_root: Path, minutes: float) -> Figures:
    """
    Keep a server at saturation with mixed traffic: generated bodies, one row in CSV, pings, and
    now and then a large one.
    """
    with running(subject, model_root) as server:
        server.wait_for_ping()
        server.predict(Body(SAMPLE, row(payloads, 0).body))
        memory, began = Memory([]), time.monotonic()
        requests = _mixed(subject, payloads, began + 60 * minutes)
        tally = send(server, requests, memory, min(10.0, 60 * minutes / 20))
        seconds = time.monotonic() - began
    tally.seconds.sort()
    p99 = tally.seconds[int(0.99 * (len(tally.seconds) - 1))]
    about = {"minutes": round(seconds / 60, 1), "requests/s": round(len(tally.seconds) / seconds)}
    return about | tally.figures() | {"p99 of an answer, s": round(p99, 2)} | memory.growth()


def _mixed(subject: Subject, payloads: Payloads, until: float) -> Iterator[Request]:
    large = payloads.csv_of_size(5)
    number = 0
    while time.monotonic() < until:
        number += 1
        if number % 20 == 0:
            yield Request("a ping", method="GET", path=subject.ping)
        elif number % 1000 == 0:
            body, rows = large
            yield Request("5 MB", body.encode(), (("Content-Type", "text/csv"),), rows, True)
        elif number % 2:
            yield row(payloads, number)
        else:
            yield make(payloads, SEED + 1, number)
