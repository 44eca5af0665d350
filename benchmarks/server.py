# ruff: noqa: S603 - starts the servers that it measures
"""
A running subject: its process tree, that tree's memory and processor time, its answers.
"""

import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from environments import CONTAINER, PEERS, Absent, environ, fill, guest
from subjects import CSV, SAMPLE, Body, Subject

START_S = 90
STOP_S = 20
# One request of 100 MB may take a peer minutes.
ANSWER_S = 300
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """
    Talks to a started subject and looks at its processes.
    """

    def __init__(
        self, subject: Subject, process: subprocess.Popen[bytes], port: int, run: Path
    ) -> None:
        self.subject = subject
        self.port = port
        self.run = run
        self.pid = process.pid
        self.began = time.perf_counter()
        self._process = process

    @property
    def exit_code(self) -> int | None:
        """
        Its exit code, once it has ended.
        """
        return self._process.poll()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = CSV,
        timeout: float = ANSWER_S,
    ) -> tuple[int, bytes]:
        """
        Return status and body of an answer; raises OSError or HTTPException.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = {"Content-Type": content_type} if body else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def path(self, model: str) -> str:
        """
        Return where it answers for a model.
        """
        return self.subject.path.format(model=model)

    def predict(self, body: Body, timeout: float = ANSWER_S) -> bytes:
        """
        Return the answer to a body; raises OSError, HTTPException or Absent.
        """
        content_type = self.subject.content_type or body.content_type
        status, content = self.call(
            "POST", self.path(body.model), self.subject.body(body), content_type, timeout
        )
        if status != 200:
            raise Absent(f"a prediction was answered {status}: {content[:200]!r}")
        return content

    def wait_for_ping(self) -> float:
        """
        Return the seconds from the start to the first good ping; raises Absent.
        """
        while time.perf_counter() - self.began < START_S:
            if self._process.poll() is not None:
                raise Absent(f"it ended with exit code {self._process.returncode}")
            with suppress(OSError, HTTPException):
                if self.call("GET", self.subject.ping)[0] == 200:
                    return time.perf_counter() - self.began
            time.sleep(0.005)
        raise Absent(f"no good ping within {START_S} s")

    def tree(self) -> list[int]:
        """
        Return the ids of its processes: all that it started, and those they started.
        """
        parents, sessions = {}, {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # The name before it may hold blanks and brackets.
                fields = stat.read_text().rpartition(")")[2].split()
                pid = int(stat.parent.name)
                parents[pid], sessions[pid] = int(fields[1]), int(fields[3])
        found = {pid for pid, session in sessions.items() if session == self._process.pid}
        found.add(self._process.pid)
        while more := {p for p, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def memory_mb(self) -> float:
        """
        Return the proportional set size of the tree: shared pages count once.
        """
        total = 0
        for pid in self.tree():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024

    def processor_s(self) -> float:
        """
        Return the processor time that the tree has used.
        """
        ticks = 0
        for pid in self.tree():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal to the whole tree.
        """
        for pid in self.tree():
            with suppress(OSError):
                os.kill(pid, number)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """
        Let a subject that polls run during the block only, so that it takes no time from others.
        """
        if not self.subject.polls:
            yield
            return
        self.signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.signal(signal.SIGSTOP)

    def stop(self) -> None:
        """
        End the whole tree, by force what does not go by itself.
        """
        self.signal(signal.SIGCONT)
        started = self.tree()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        for pid in {*started, *self.tree()}:
            if pid == self._process.pid and self._process.returncode is not None:
                continue
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(
    subject: Subject, model_root: Path, models: Sequence[str] = (SAMPLE,)
) -> Iterator[Server]:
    """
    Start a subject with some models, this project with one, and end it; raises Absent with the
    log's last words when it cannot be used. ``model_root`` holds this project's own model of the
    sample.
    """
    program = CONTAINER
    if subject.role == "ours" and models[0] != SAMPLE:
        program, model_root = guest(subject, models[0])
    # Short, as it holds unix sockets; open to the accounts that workers change to.
    with tempfile.TemporaryDirectory(prefix="b-", ignore_cleanup_errors=True) as folder:
        run = Path(folder)
        run.chmod(0o755)
        port = _free_ports()
        with (run / "log").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                fill(subject.command, subject, port=port, run=run, guest=program),
                cwd=PEERS,
                env=environ(subject, run, port, model_root, models),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(subject, process, port, run)
        server.began = began
        try:
            yield server
        except (Absent, OSError, HTTPException) as error:
            lines = (run / "log").read_text(errors="replace").strip().splitlines()
            telling = [line for line in lines if "rror" in line] or lines
            said = " / ".join(line[:300] for line in telling[-3:])
            raise Absent(f"{error}; its log: {said}" if said else str(error)) from error
        finally:
            server.stop()


def _free_ports() -> int:
    """
    Return a port that is free with the two above it, which MLServer takes too.
    """
    # Below those that the kernel gives to clients, and that the model server of AWS refuses.
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError), ExitStack() as held:
            for offset in range(3):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            return port
    raise Absent("no three free ports in a row")
