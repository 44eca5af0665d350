# ruff: noqa: S603 - starts wrk
"""
What is done to a server: many small requests, few large ones, pings meanwhile.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from environments import HERE, Absent
from server import Server
from subjects import Body

LONGEST_WRK_S = 10
PING_EVERY_S = 0.05
PING_TIMEOUT_S = 60.0
MEMORY_EVERY_S = 0.1


@dataclass(frozen=True)
class Wrk:
    """
    Figures of one run of wrk.
    """

    per_s: float
    p50_ms: float
    p99_ms: float


def write_bodies(bodies: Iterable[bytes], file: Path) -> Path:
    """
    Write bodies for wrk, each after its length.
    """
    file.write_bytes(b"".join(b"%d\n%b" % (len(body), body) for body in bodies))
    return file


def wrk(server: Server, bodies: Sequence[Body], connections: int, seconds: int) -> Wrk:
    """
    Send bodies in turn over some connections for whole seconds, four times as many when nothing is
    answered in them; raises Absent when a request fails.
    """
    url = f"http://127.0.0.1:{server.port}{server.path(bodies[0].model)}"
    file = write_bodies(map(server.subject.body, bodies), server.run / "bodies")
    content_type = server.subject.content_type or bodies[0].content_type
    return wrk_at(url, content_type, file, connections, seconds)


def wrk_at(url: str, content_type: str, bodies: Path, connections: int, seconds: int) -> Wrk:
    """
    Send the bodies of a file to an address; otherwise as wrk.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    command += ["-s", str(HERE / "post.lua"), url, "--"]
    command += [content_type, str(bodies)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    except subprocess.TimeoutExpired:
        raise Absent(f"wrk did not end {seconds + 120} s after its start") from None
    if done.returncode != 0:
        raise Absent(f"wrk failed: {(done.stderr or done.stdout).strip()[:300]}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if figures["failed"]:
        raise Absent(
            f"{figures['failed']} requests failed at {connections} connections, "
            f"{figures['requests']} did not"
        )
    if figures["requests"]:
        return Wrk(figures["requests"] / figures["seconds"], figures["p50_ms"], figures["p99_ms"])
    if seconds > LONGEST_WRK_S:
        raise Absent(f"no answer in {seconds} s at {connections} connections")
    return wrk_at(url, content_type, bodies, connections, 4 * seconds)


class PeakMemory:
    """
    The largest memory of a server's tree while the block runs, in MB.
    """

    def __init__(self, server: Server) -> None:
        self.mb = server.memory_mb()
        self._server = server
        self._done = Event()
        self._thread = Thread(target=self._watch)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(MEMORY_EVERY_S):
            self.mb = max(self.mb, self._server.memory_mb())


def ping_p99_ms(server: Server, body: Body, callers: int, seconds: float) -> float:
    """
    Return the 99th percentile of pings while ``callers`` keep sending a large body, for at least
    ``seconds`` and one body each.

    A ping counts from when it was due, so that one that waits does not hide those after it.
    """
    deadline = time.monotonic() + seconds
    stopped = Event()

    def send() -> None:
        try:
            while not stopped.is_set():
                server.predict(body)
                if time.monotonic() > deadline:
                    stopped.set()  # pings count only while every caller is at work
        finally:
            stopped.set()

    with ThreadPoolExecutor(callers) as pool:
        callers_done = [pool.submit(send) for _ in range(callers)]
        waits = asyncio.run(_ping_until(stopped.is_set, server))
        for done in callers_done:
            done.result()
    waits.sort()
    return 1000 * waits[int(0.99 * (len(waits) - 1))]


async def _ping_until(stopped: Callable[[], bool], server: Server) -> list[float]:
    began = time.perf_counter()
    pings = []
    while not stopped():
        pings.append(asyncio.create_task(_ping(server)))
        await asyncio.sleep(max(0.0, began + len(pings) * PING_EVERY_S - time.perf_counter()))
    return list(await asyncio.gather(*pings))


async def _ping(server: Server) -> float:
    """
    Return the seconds a ping takes; one that fails counts as the time-out.
    """
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"GET {server.subject.ping} HTTP/1.1\r\nHost: localhost\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            line = await reader.readline()
            writer.close()
    except OSError:
        return PING_TIMEOUT_S
    return time.perf_counter() - began if b" 200 " in line else PING_TIMEOUT_S
