"""
A running ``serve`` for its tests: an algorithm to serve, requests that are held, its processes.
"""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Answer, ServeProcess, wait_until

# Files in the model folder steer it: "wait" holds up loading, "release" ends held predictions.
ALGORITHM = """
import os
import tempfile
import time

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("hold", "number", example="0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    (model_dir / "tempdir").write_text(tempfile.gettempdir())
    (model_dir / f"loaded.{os.getpid()}").touch()
    while (model_dir / "wait").exists():
        time.sleep(0.01)
    return model_dir


def predict(model_dir, columns):
    if (columns["hold"] == 9).any():  # no value that the self-test makes up
        (model_dir / "held").touch()
        while not (model_dir / "release").exists():
            sum(range(1000))
    return columns["hold"]
"""


CSV = {"Content-Type": "text/csv"}


# Large enough to be worked on in a thread, so that the worker's other requests go on.
HOLD = b"9\n" * 50_000


ROOT = os.geteuid() == 0


NGINX = pytest.mark.parametrize(
    "nginx",
    [pytest.param(True, marks=pytest.mark.needs("nginx"), id="nginx"), False],
    ids=lambda value: "no nginx",
)


def _path(nginx: bool, folder: Path) -> str:
    """
    Return the caller's PATH, or one on which there is no nginx.
    """
    if nginx:
        return os.environ["PATH"]
    return str(folder)


def start_serve(
    program: Path,
    model: Path,
    *,
    nginx: bool = True,
    workers: int = 2,
    command: Sequence[str] = (),
    allowed: Sequence[str] = (),
    **environ: str,
) -> ServeProcess:
    return ServeProcess(
        program,
        root=model.parent,
        command=command,
        allowed=allowed,
        environ={
            "PATH": _path(nginx, program),
            "MODEL_SERVER_WORKERS": str(workers),
            **environ,
        },
    )


@contextmanager
def held(serve: ServeProcess, model: Path, count: int = 1) -> Iterator[list[Future[Answer]]]:
    """
    Send requests that are answered once "release" exists, and wait until one is being worked on.
    """
    with ThreadPoolExecutor(count) as pool:
        requests = [
            pool.submit(serve.call, "/invocations", HOLD, headers=CSV, timeout=30)
            for _ in range(count)
        ]
        try:
            wait_until((model / "held").exists, what="the request reaches the model")
            yield requests
        finally:
            (model / "release").touch()


def children_of(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return sorted(found)


def master_of(serve: ServeProcess, name: str) -> int:
    """
    Return the process id of gunicorn's or nginx's master.
    """
    found = [
        pid
        for pid in children_of(serve.process.pid)
        if name.encode() in Path(f"/proc/{pid}/comm").read_bytes()
    ]
    assert len(found) == 1, found
    return found[0]


def wait_for_everybody(serve: ServeProcess, nginx: bool = True) -> list[int]:
    """
    Return the process ids of all masters and workers once gunicorn has two and nginx its one.
    """

    def found() -> list[int]:
        masters = children_of(serve.process.pid)
        all_of_them = [*masters, *(worker for master in masters for worker in children_of(master))]
        return all_of_them if len(all_of_them) == (5 if nginx else 3) else []

    return wait_until(found, what="all workers run")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_gone(pids: list[int]) -> bool:
    return not any(_lives(pid) for pid in pids)


def _others_may_enter(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


# An interpreter under /root, say, cannot be run by anybody else: the container suite has it right.
READABLE = pytest.mark.skipif(
    not ROOT or not all(_others_may_enter(Path(p, "x")) for p in (sys.prefix, sys.base_prefix)),
    reason="needs root and an interpreter that others may run",
)
