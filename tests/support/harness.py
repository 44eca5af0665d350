"""
What all suites share: waiting, ports, HTTP calls, a running ``serve``.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Any, TypeVar

from project import CONTAINER

STRAY = re.compile(
    r"\b(WARNING|ERROR|CRITICAL)\b|Traceback|Warning:|\[(warn|error|crit|alert|emerg)\]"
)

Found = TypeVar("Found")


def wait_until(predicate: Callable[[], Found], *, timeout: float = 30.0, what: str) -> Found:
    """
    Call ``predicate`` until it returns something true and return that; fail after ``timeout`` s.
    """
    deadline = time.monotonic() + timeout
    while not (found := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.01)
    return found


@contextmanager
def free_port() -> Iterator[int]:
    """
    Reserve a port: the socket stays bound, so nobody else is given it, but does not listen, so a
    server that sets SO_REUSEADDR (nginx, gunicorn) may.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("0.0.0.0", 0))
        yield held.getsockname()[1]


@dataclass(frozen=True)
class Answer:
    """
    An HTTP response, read to its end.
    """

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(
    port: int,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "",
    timeout: float = 10.0,
) -> Answer:
    """
    Send one request on its own connection: GET, or POST when there is a body.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        method = method or ("GET" if body is None else "POST")
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class ServeProcess:
    """
    ``serve`` in its own process, on its own port, with its output collected.

    Only PATH, SAGEMAKER_BASE_DIR, SAGEMAKER_BIND_TO_PORT and ``environ`` reach it. A line of
    warning or worse that matches none of ``allowed`` fails the test.
    """

    def __init__(
        self,
        program: Path = CONTAINER,
        *,
        root: Path,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        allowed: Sequence[str] = (),
    ) -> None:
        self.program = program
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._root = root
        self._environ = dict(environ or {})
        self._command = list(command) or [sys.executable, str(program / "serve")]
        self._allowed = allowed
        self._stack = ExitStack()

    def __enter__(self) -> "ServeProcess":
        self.port = self._stack.enter_context(free_port())
        environ = {
            "PATH": os.environ["PATH"],
            "SAGEMAKER_BASE_DIR": str(self._root),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            **self._environ,
        }
        self.process = subprocess.Popen(
            self._command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            Thread(target=_collect, args=(stream, lines), daemon=True)
            for stream, lines in (
                (self.process.stdout, self.stdout),
                (self.process.stderr, self.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self._stack.close()
            if error is not None:
                error.add_note("serve printed:\n" + self.output)
        if error is None:
            assert not self.stray(), "\n".join(self.stray())

    @property
    def output(self) -> str:
        return "\n".join([*self.stdout, *self.stderr])

    def wait_for_ping(self, timeout: float = 30.0) -> None:
        """
        Return when GET /ping answers 200.
        """
        wait_until(self._is_healthy, timeout=timeout, what="GET /ping answers 200")

    def _is_healthy(self) -> bool:
        assert self.process.poll() is None, f"serve ended with {self.process.returncode}"
        try:
            return call(self.port, "/ping").status == 200
        except OSError:
            return False

    def call(self, path: str, body: bytes | str | None = None, **options: Any) -> Answer:
        return call(self.port, path, body, **options)

    def is_listening(self) -> bool:
        """
        Tell whether somebody accepts connections on the port.
        """
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self, text: str) -> list[str]:
        """
        Return the lines printed so far that contain ``text``.
        """
        return [line for line in [*self.stdout, *self.stderr] if text in line]

    def stray(self) -> list[str]:
        """
        Return the lines of warning or worse that were not allowed.
        """
        return [
            line
            for line in [*self.stdout, *self.stderr]
            if is_stray(line) and not any(re.search(pattern, line) for pattern in self._allowed)
        ]

    def wait(self, timeout: float = 30.0) -> int:
        """
        Return the exit code once serve has ended and its output is complete.
        """
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        """
        Signal serve and return its exit code; kill it and fail after ``timeout`` s.
        """
        self.process.send_signal(number)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def _collect(stream: IO[str], lines: list[str]) -> None:
    with stream:
        for line in stream:
            lines.append(line.rstrip("\n"))


def is_stray(line: str) -> bool:
    """
    Tell whether a log line, JSON or not, is a warning or worse.
    """
    try:
        level = json.loads(line)["level"]
    except (ValueError, TypeError, KeyError):
        return bool(STRAY.search(line))
    return level in ("warning", "error", "critical")
