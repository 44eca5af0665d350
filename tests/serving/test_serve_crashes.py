"""``serve`` when a process dies. Each test states its scenario."""

import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from harness import wait_until
from http_assertions import assert_error
from sagemaker_runtime.errors import ExitCode
from served import (
    CSV,
    NGINX,
    all_gone,
    children_of,
    held,
    master_of,
    start_serve,
    wait_for_everybody,
)

# The worker that held a request is killed with it.
KILLED = "Perhaps out of memory|worker [0-9]+ was killed|worker_failed"


def test_a_killed_worker_is_replaced(program: Path, model: Path) -> None:
    """
    1. the only worker works on a request
    2. it is killed as the kernel does when memory runs out
    Result: the caller gets a 502 in JSON, the log names the cause, the memory granted and what to
    do, a new worker answers.
    """
    with start_serve(program, model, workers=1, allowed=[KILLED]) as serve:
        serve.wait_for_ping()
        [worker] = children_of(master_of(serve, "gunicorn"))
        with held(serve, model) as [request]:
            os.kill(worker, signal.SIGKILL)
            error = assert_error(request.result(30), 502, "worker_failed")
        wait_until(lambda: serve.log(error["request_id"]), what="the log has the request id")
        serve.wait_for_ping()
        assert children_of(master_of(serve, "gunicorn")) != [worker]
        assert serve.log("SIGKILL! Perhaps out of memory?")
        [line] = serve.log(f"worker {worker} was killed")
        assert re.search("[Mm]emory.* [0-9]+ MB are granted for 1 worker.", line)
        assert "MODEL_SERVER_WORKERS" in line


def _answer_at(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
        return client.makefile().readline()


@NGINX
def test_a_request_that_holds_up_its_worker(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a small body keeps the only worker's event loop for longer than the time limit
    Result: its caller hears so at once, and the next one is answered by another worker.
    """
    with start_serve(
        program,
        model,
        nginx=nginx,
        workers=1,
        MODEL_SERVER_TIMEOUT="5",
        allowed=["WORKER TIMEOUT", '"error": "timeout"', "exited with code 1", "worker_failed"],
    ) as serve:
        serve.wait_for_ping()
        answer = serve.call("/invocations", b"9\n", headers=CSV, timeout=12)
        assert_error(answer, 504, "timeout", "no answer within 5 s")
        wait_until(lambda: len(serve.log("Booting worker")) == 2, what="there is another worker")
        assert serve.call("/invocations", b"0\n", headers=CSV).status == 200


@pytest.mark.needs("nginx")
def test_each_worker_has_a_socket_and_keeps_it(program: Path, model: Path) -> None:
    """
    1. three workers answer, each at its own socket
    2. one of them is killed
    Result: every socket is answered again, the dead worker's by its successor.
    """
    folder = model.parent
    with start_serve(program, model, workers=3, allowed=[KILLED], TMPDIR=str(folder)) as serve:
        serve.wait_for_ping()
        sockets = sorted(folder.glob("serve-*/worker-*.sock"))
        assert len(sockets) == 3
        assert all(" 200 " in _answer_at(path) for path in sockets)
        workers = children_of(master_of(serve, "gunicorn"))
        os.kill(workers[0], signal.SIGKILL)
        wait_until(
            lambda: len(set(children_of(master_of(serve, "gunicorn"))) - set(workers)) == 1,
            what="a new worker is there",
        )
        assert all(" 200 " in _answer_at(path) for path in sockets)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("victim", ["gunicorn", "nginx"])
def test_a_dead_master_ends_serve(victim: str, program: Path, model: Path) -> None:
    """
    1. serve answers
    2. the master of gunicorn or nginx is killed
    Result: serve names it and memory as the likely cause, exits with CHILD_DIED and leaves no
    process.
    """
    line = f"{victim} was killed by SIGKILL"
    with start_serve(program, model, allowed=[line]) as serve:
        serve.wait_for_ping()
        everybody = wait_for_everybody(serve)
        os.kill(master_of(serve, victim), signal.SIGKILL)
        assert serve.wait() == ExitCode.CHILD_DIED
        assert re.search("[Mm]emory.* MB are granted for 2 workers", serve.log(line)[0])
        wait_until(lambda: all_gone(everybody), what="all processes end")


def test_no_line_is_lost_when_a_worker_is_killed(program: Path, model: Path) -> None:
    """
    1. requests are answered one after the other, so quickly that their lines wait to be written
    2. the worker is killed
    Result: the log has a line for each.
    """
    with start_serve(program, model, workers=1, allowed=[KILLED]) as serve:
        serve.wait_for_ping()
        [worker] = children_of(master_of(serve, "gunicorn"))
        answers = [serve.call("/invocations", b"0\n", headers=CSV) for _ in range(20)]
        os.kill(worker, signal.SIGKILL)
        asked = {answer.headers["X-Request-Id"] for answer in answers}
        wait_until(
            lambda: asked == {json.loads(line)["request_id"] for line in serve.log('"request_id"')},
            what="all lines are written",
        )
