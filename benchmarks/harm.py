"""
Restarts and killed workers while callers ask, and who of them is left without an answer.
"""

import os
import signal
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from bodies import row
from environments import Absent
from payloads import Payloads
from server import Server, running
from subjects import Subject
from wire import Answer, Caller

CALLERS = 8
BUSY = 50  # answers by which the callers are known to be at work
PATIENCE_S = 60.0
Figures = dict[str, Any]


def wait_until(happened: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> float:
    """
    Return the seconds until something has happened; raises Absent.
    """
    began = time.monotonic()
    while not happened():
        if time.monotonic() > began + seconds:
            raise Absent(f"after {seconds:g} s still not: {what}")
        time.sleep(0.005)
    return time.monotonic() - began


def spread(values: list[float]) -> str:
    """
    Write the median and the largest of some seconds.
    """
    return f"{statistics.median(values):.2f} (at most {max(values):.2f})" if values else "none"


class Load:
    """
    Callers that ask for one row without a pause, half of them on kept connections, until the block
    ends or the port refuses them.
    """

    def __init__(self, server: Server, payloads: Payloads, callers: int = CALLERS) -> None:
        self.answers: list[Answer] = []
        self._request = row(payloads, 0)
        self._stopped = Event()
        self._threads = [
            Thread(target=self._ask, args=(Caller(server.port, kept=n % 2 == 0),), daemon=True)
            for n in range(callers)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)

    def _ask(self, caller: Caller) -> None:
        with suppress(ConnectionRefusedError):
            while not self._stopped.is_set():
                self.answers.append(caller.ask(self._request))
        caller.close()

    @property
    def lost(self) -> list[Answer]:
        """
        What was not answered 200.
        """
        return [answer for answer in self.answers if answer.status != 200]

    def wait_for_more(self) -> None:
        """
        Wait until the callers have had more answers; raises Absent.
        """
        enough = len(self.answers) + BUSY
        wait_until(lambda: len(self.answers) >= enough, "the callers get answers")


def restarts(subject: Subject, payloads: Payloads, model_root: Path, times: int) -> Figures:
    """
    Stop a server by SIGTERM while callers ask, and start it again.

    Lost is what found the port open and was not answered 200.
    """
    answers, lost, starts, stops = 0, 0, [], []
    for _ in range(times):
        with running(subject, model_root) as server:
            starts.append(server.wait_for_ping())
            with Load(server, payloads) as load:
                began = time.monotonic()
                server.stop()
                stops.append(time.monotonic() - began)
            answers += len(load.answers)
            lost += len(load.lost)
    return {
        "restarts": times,
        "requests": answers,
        "requests lost": lost,
        "seconds to stop": spread(stops),
        "seconds to the first good ping": spread(starts),
    }


def workers(server: Server) -> list[int]:
    """
    Return the processes that answer: children of gunicorn's or uvicorn's master.
    """
    return [
        pid
        for pid in server.tree()
        if "spawn_main" in _command(pid)
        or ("gunicorn" in _command(pid) and "gunicorn" in _command(_parent(pid)))
    ]


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _is_gone(pid: int) -> bool:
    """
    Tell whether a process has ended; one that waits to be collected has no command any more.
    """
    return not _command(pid)


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def kill(server: Server, victims: list[int], number: signal.Signals = signal.SIGKILL) -> None:
    """
    Send a signal to workers.
    """
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def await_successors(server: Server, old: list[int], count: int) -> None:
    """
    Wait until there are as many workers again and none of some old ones; raises Absent.
    """
    wait_until(
        lambda: len(now := workers(server)) >= count and not set(now) & set(old),
        "the killed worker has a successor",
    )


def kills(subject: Subject, payloads: Payloads, model_root: Path, times: int) -> Figures:
    """
    Kill one worker after another while callers ask, then all at once.

    What was under way at the death may be lost; what began after it may not.
    """
    spans, successors, all_back = [], [], []
    with running(subject, model_root) as server:
        server.wait_for_ping()
        count = len(workers(server))
        with Load(server, payloads) as load:
            for _ in range(times):
                victims = workers(server)[:1]
                began = time.monotonic()
                kill(server, victims)
                wait_until(partial(_is_gone, victims[0]), "a killed worker is gone")
                spans.append((began, time.monotonic()))
                await_successors(server, victims, count)
                successors.append(time.monotonic() - began)
                load.wait_for_more()
        for _ in range(min(times, 5)):
            began = time.monotonic()
            victims = workers(server)
            kill(server, victims)
            caller = Caller(server.port, kept=False)
            wait_until(partial(_answers, caller, payloads), "a prediction is answered")
            all_back.append(time.monotonic() - began)
            await_successors(server, victims, count)
    lost = load.lost
    by_kill = [sum(_is_during(answer, span) for answer in lost) for span in spans]
    return {
        "kills": times,
        "requests": len(load.answers),
        "requests lost": len(lost),
        f"of {CALLERS} under way, lost by a kill": f"at most {max(by_kill)}",
        "lost that began after the death": len(lost) - sum(by_kill),
        "slowest answer, s": round(max(a.ended - a.began for a in load.answers), 2),
        "seconds to a successor": spread(successors),
        "all workers killed: seconds to the next prediction": spread(all_back),
    }


def _answers(caller: Caller, payloads: Payloads) -> bool:
    with suppress(ConnectionRefusedError):
        return caller.ask(row(payloads, 0), PATIENCE_S).status == 200
    return False


def _is_during(answer: Answer, span: tuple[float, float]) -> bool:
    began, ended = span
    return answer.began <= ended and answer.ended >= began
