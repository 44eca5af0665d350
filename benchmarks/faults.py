# ruff: noqa: S603 - starts the C compiler
"""
What a machine can do to a server: a full disk, a model that is gone, a clock that jumps, a worker
that stands still, no more memory.
"""

import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from threading import Thread

from bodies import row
from environments import HERE, Absent, environ
from harm import Figures, Load, await_successors, kill, wait_until, workers
from payloads import Payloads
from server import Server, running
from subjects import CSV, JSON, Subject
from wire import Answer, Caller, Request

ASKED = 20
LIMIT_S = 10  # of a request, where a subject lets one set it
WAIT_S = 40.0
DISK_MB = 64
ROWS = 50_000
ALLOWANCE_MB = 30
LARGE_AT_ONCE = 4
JUMPS = {"an hour ahead": 3600, "a day back": -86_400, "as it was": 0}


def small(server: Server, payloads: Payloads) -> str:
    """
    Ask for single rows; return how many were answered 200.
    """
    answers = [_ask(server, row(payloads, n)) for n in range(ASKED)]
    return f"{sum(answer.status == 200 for answer in answers)} of {ASKED}"


def _ask(server: Server, request: Request) -> Answer:
    caller = Caller(server.port, kept=False)
    try:
        return caller.ask(request)
    except OSError as error:
        return Answer(0, why=str(error))


def _status(answer: Answer) -> str:
    return str(answer.status) if answer.status else "no answer"


def disk_full(subject: Subject, payloads: Payloads, model_root: Path) -> Figures:
    """
    Fill the disk that holds the server's temporary files, a file system of its own.
    """
    script = f'mount -t tmpfs -o size={DISK_MB}m,mode=755 none "$TMPDIR" && exec "$@"'
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /tmp"],  # noqa: S607
        capture_output=True,
    )
    if tried.returncode:
        raise Absent("skipped: file systems can be mounted by root only")
    command = ("unshare", "--mount", "sh", "-c", script, "sh", *subject.command)
    body, rows = payloads.csv_of_size(5)
    large = Request("5 MB", body.encode(), (("Content-Type", CSV),), rows, True)
    with running(replace(subject, command=command), model_root) as server:
        server.wait_for_ping()
        # The folder as the server sees it.
        folder = Path(f"/proc/{server.pid}/root{server.run}")
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(2**16)):
                pass
        figures = {"large body meanwhile": _status(_ask(server, large))}
        figures["small bodies meanwhile, 200"] = small(server, payloads)
        filler.unlink()
        figures["large body afterwards"] = _status(_ask(server, large))
    return figures


def model_removed(subject: Subject, payloads: Payloads, model_root: Path) -> Figures:
    """
    Remove the model's files from under a server, kill a worker, and start another server without
    them.
    """
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        Path(folder).chmod(0o755)
        root, file = Path(folder, "ml"), Path(folder, "fares")
        shutil.copytree(model_root, root, symlinks=True)
        original = Path(environ(subject, root, 0, root)["BENCHMARK_FOLDER"], "fares")
        if original.is_file():
            shutil.copy(original, file)
        own = replace(subject, environ={**subject.environ, "BENCHMARK_FOLDER": folder})
        with running(own, root) as server:
            server.wait_for_ping()
            small(server, payloads)  # each worker may load the model when it is first asked
            shutil.rmtree(root / "model")
            file.unlink(missing_ok=True)
            figures = {"small bodies afterwards, 200": small(server, payloads)}
            victims = workers(server)
            kill(server, victims[:1])
            with suppress(Absent):
                await_successors(server, victims[:1], len(victims))
            figures["with a new worker, 200"] = small(server, payloads)
        with running(own, root) as server:
            figures["ping of a server without model"] = _ping_without_model(server)
    return figures


def _ping_without_model(server: Server) -> str:
    seen = "not answered"
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        with suppress(OSError, HTTPException):
            seen = str(server.call("GET", server.subject.ping)[0])
            break
        if server.exit_code is not None:
            return f"none, it ended with exit code {server.exit_code}"
        time.sleep(0.05)
    return seen


def clock_jump(subject: Subject, payloads: Payloads, model_root: Path) -> Figures:
    """
    Move the clock of all the server's processes while callers ask.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Absent("skipped: there is no C compiler")
    with tempfile.TemporaryDirectory(prefix="clock-") as folder:
        Path(folder).chmod(0o755)
        library, file = Path(folder, "clock.so"), Path(folder, "clock")
        command = [compiler, "-shared", "-fPIC", "-o", str(library), str(HERE / "clock.c"), "-ldl"]
        subprocess.run(command, check=True)
        file.write_bytes(struct.pack("q", 0))
        own = {**subject.environ, "LD_PRELOAD": str(library), "CLOCK_FILE": str(file)}
        with running(replace(subject, environ=own), model_root) as server:
            server.wait_for_ping()
            before = workers(server)
            with Load(server, payloads) as load:
                for seconds in JUMPS.values():
                    with file.open("r+b") as shift:
                        shift.write(struct.pack("q", seconds))
                    load.wait_for_more()
                    time.sleep(2)  # masters look at their workers once a second
            lost = f"{len(load.lost)} of {len(load.answers):,}"
            replaced = len(set(before) - set(workers(server)))
    return {
        "jumps": ", ".join(JUMPS),
        "requests lost": lost,
        "workers that ended": replaced,
    }


def worker_stopped(subject: Subject, payloads: Payloads, model_root: Path) -> Figures:
    """
    Stop a worker by SIGSTOP while callers ask, with a short time limit where one can be set.
    """
    limits = {
        "MODEL_SERVER_TIMEOUT": str(LIMIT_S),
        "CLASSIC_OPTIONS": f"--worker-class gevent --timeout {LIMIT_S}",
    }
    own = replace(subject, environ={**limits, **subject.environ})
    with running(own, model_root) as server:
        server.wait_for_ping()
        before = workers(server)
        with Load(server, payloads) as load:
            kill(server, before[:1], signal.SIGSTOP)
            began = time.monotonic()
            try:
                wait_until(lambda: before[0] not in workers(server), "it is replaced", WAIT_S)
                await_successors(server, before[:1], len(before))
                replaced = f"{time.monotonic() - began:.1f} s"
            except Absent:
                replaced = f"not within {WAIT_S:g} s"
                kill(server, before[:1], signal.SIGCONT)
            load.wait_for_more()
        slowest = max(answer.ended - answer.began for answer in load.answers)
    return {
        "replaced after": replaced,
        "requests lost": f"{len(load.lost)} of {len(load.answers):,}",
        "slowest answer, s": round(slowest, 1),
    }


def memory_limit(subject: Subject, payloads: Payloads, model_root: Path) -> Figures:
    """
    Let a server have little more memory than it needs at rest, and send it large bodies at once.
    """
    headers, body = (("Content-Type", CSV),), payloads.csv(0, ROWS).encode()
    if subject.role == "ours":  # JSON is held as a whole, CSV is not
        headers, body = (("Content-Type", JSON),), payloads.json(ROWS)
    large = Request("large", body, headers, ROWS, True)
    with _cgroup() as (group, limit, used):
        inside = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
        with running(replace(subject, command=(*inside, *subject.command)), model_root) as server:
            server.wait_for_ping()
            small(server, payloads)
            before = workers(server)
            stat = (group / "memory.stat").read_text().splitlines()
            at_rest = next(int(line.split()[1]) for line in stat if line.split()[0] == used)
            (group / limit).write_text(str(at_rest + ALLOWANCE_MB * 2**20))
            answers: list[Answer] = []
            threads = [
                Thread(target=lambda: answers.append(_ask(server, large)))
                for _ in range(LARGE_AT_ONCE)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            ended = len(set(before) - set(workers(server)))
            figures: Figures = {
                "large bodies at once": ", ".join(sorted(_status(a)[:60] for a in answers)),
                "workers that ended": ended,
            }
            with suppress(Absent):
                wait_until(
                    lambda: (
                        server.exit_code is not None or _ask(server, row(payloads, 0)).status == 200
                    ),
                    "it answers again",
                    WAIT_S,
                )
            if server.exit_code is not None:
                return figures | {"afterwards": f"it ended with exit code {server.exit_code}"}
            return figures | {"small bodies afterwards, 200": small(server, payloads)}


@contextmanager
def _cgroup() -> Iterator[tuple[Path, str, str]]:
    """
    Make a group of processes; yield its folder, the file of its limit, and the name of what its
    processes hold.
    """
    kinds = (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "total_rss"),
        ("/sys/fs/cgroup", "memory.max", "anon"),
    )
    for top, limit, _ in kinds:
        group = Path(top, f"reliability-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
        if (group / limit).exists():
            break
        with suppress(OSError):
            group.rmdir()
    else:
        raise Absent("skipped: no group with a limit can be made in /sys/fs/cgroup here")
    used = next(used for _, name, used in kinds if name == limit)
    try:
        yield group, limit, used
    finally:
        with suppress(OSError, Absent):  # a process may still be on its way out
            wait_until(lambda: not (group / "cgroup.procs").read_text(), "it is empty", 10)
            group.rmdir()


FAULTS = {
    "disk full": disk_full,
    "model removed": model_removed,
    "clock jump": clock_jump,
    "worker stopped": worker_stopped,
    "memory limit": memory_limit,
}
