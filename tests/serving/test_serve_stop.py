"""Stop of ``serve``: running requests are finished, none is lost. Each test states its scenario."""

import os
import shutil
import signal
import sys
import time
from concurrent.futures import Future
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest

from harness import Answer, ServeProcess, wait_until
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


def _release(model: Path, request: Future[Answer]) -> Answer:
    (model / "release").touch()
    return request.result(30)


@NGINX
def test_start_and_stop(nginx: bool, program: Path, model: Path) -> None:
    """
    1. serve starts
    2. it is asked to predict
    3. SIGTERM arrives
    Result: it predicts, exits 0, leaves no process, no open port and no stray log line.
    """
    with start_serve(program, model, nginx=nginx) as serve:
        serve.wait_for_ping()
        answer = serve.call("/invocations", b"0\n0\n", headers=CSV)
        assert answer.status == 200
        assert answer.body.split() == [b"0.0", b"0.0"]
        assert bool(serve.log("nginx is not on PATH")) != nginx
        everybody = wait_for_everybody(serve, nginx)
        assert serve.stop() == ExitCode.OK
        assert all_gone(everybody)
        assert not serve.is_listening()


def test_stop_while_starting(program: Path, model: Path) -> None:
    """
    1. serve starts, the model takes its time to load
    2. SIGTERM arrives
    Result: it exits 0 at once and leaves no process.
    """
    (model / "wait").touch()
    with start_serve(program, model) as serve:
        children = wait_until(lambda: children_of(serve.process.pid), what="gunicorn runs")
        assert serve.stop() == ExitCode.OK
        assert all_gone(children)


@NGINX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_are_finished(
    number: signal.Signals, nginx: bool, program: Path, model: Path
) -> None:
    """
    1. a request is being worked on
    2. SIGTERM or SIGINT arrives
    3. another client connects
    4. the request's work ends
    Result: the connection is refused, the request is answered, serve exits 0.
    """
    with start_serve(program, model, nginx=nginx) as serve:
        serve.wait_for_ping()
        with held(serve, model) as [request]:
            serve.process.send_signal(number)
            wait_until(lambda: not serve.is_listening(), what="new connections are refused")
            assert serve.process.poll() is None
            assert _release(model, request).status == 200
        assert serve.wait() == ExitCode.OK


# Holds up a new worker where its parent's handlers are still its own.
HELD_UP = """
import time

_post_fork = post_fork


def post_fork(server, worker):
    while os.path.exists(os.path.join(os.environ["SAGEMAKER_BASE_DIR"], "model", "hold-up")):
        time.sleep(0.01)
    _post_fork(server, worker)
"""


def test_a_worker_that_is_just_being_forked_ends_too(program: Path, model: Path) -> None:
    """
    1. a worker is killed, its successor is held up before it has handlers for signals
    2. SIGTERM arrives
    3. the successor goes on
    Result: it ends, so serve exits 0 without waiting for the time limit.
    """
    program = Path(shutil.copytree(program, model.parent / "program"))
    with (program / "gunicorn.conf.py").open("a", encoding="utf-8") as configuration:
        configuration.write(HELD_UP)
    with start_serve(
        program, model, nginx=False, allowed=["was killed", "was sent SIGKILL"]
    ) as serve:
        serve.wait_for_ping()
        killed, other = wait_for_everybody(serve, nginx=False)[1:]
        (model / "hold-up").touch()
        os.kill(killed, signal.SIGKILL)
        master = master_of(serve, "gunicorn")
        wait_until(
            lambda: len({killed, *children_of(master)}) == 3, what="the worker has a successor"
        )
        serve.process.send_signal(signal.SIGTERM)
        wait_until(lambda: all_gone([other]), what="the other worker has ended")
        (model / "hold-up").unlink()
        assert serve.wait() == ExitCode.OK


@NGINX
def test_a_request_beyond_the_limit_is_cut_off(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a request is being worked on
    2. SIGTERM arrives
    3. the time to finish is up (1 s here, 25 s otherwise)
    Result: serve says so and exits with DRAIN_TIMEOUT.
    """
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]);"
        "from sagemaker_runtime.serving.run import main;"
        "sys.exit(main([], os.environ, drain_s=1))"
    )
    with start_serve(
        program,
        model,
        nginx=nginx,
        command=[sys.executable, "-c", code, str(program)],
        allowed=["a request still ran 1 s after SIGTERM"],
    ) as serve:
        serve.wait_for_ping()
        with held(serve, model) as [request]:
            everybody = wait_for_everybody(serve, nginx)
            assert serve.stop() == ExitCode.DRAIN_TIMEOUT
            # nginx may still tell the caller before it is killed too.
            assert request.exception(30) is not None or request.result().status == 502
            assert all_gone(everybody)
        assert serve.log("a request still ran 1 s after SIGTERM")


def test_a_second_signal_stops_at_once(program: Path, model: Path) -> None:
    """
    1. a request is being worked on
    2. SIGTERM arrives twice within a moment, as from timeout(1)
    3. SIGTERM arrives again more than a second later
    Result: serve goes on waiting for the request, then ends without it.
    """
    with start_serve(program, model, allowed=["a second signal came"]) as serve:
        serve.wait_for_ping()
        with held(serve, model):
            serve.process.send_signal(signal.SIGTERM)
            wait_until(lambda: serve.log("SIGTERM: finishing"), what="serve has the signal")
            serve.process.send_signal(signal.SIGTERM)
            later = time.monotonic() + 1.1
            wait_until(lambda: time.monotonic() > later, what="a second has passed")
            wait_until(lambda: not serve.is_listening(), what="new connections are refused")
            assert serve.process.poll() is None
            assert serve.stop() == ExitCode.DRAIN_TIMEOUT


def test_no_process_outlives_a_killed_serve(program: Path, model: Path) -> None:
    """
    1. serve answers
    2. serve itself is killed
    Result: nginx and gunicorn end too.
    """
    # Nobody is left to remove its folder.
    with start_serve(program, model, TMPDIR=str(model.parent)) as serve:
        serve.wait_for_ping()
        everybody = wait_for_everybody(serve)
        serve.process.kill()
        wait_until(lambda: all_gone(everybody), what="all processes end")


class Callers:
    """
    Sixteen threads that ask as fast as they can until the port refuses them: each on one connection
    for as long as the answers allow, or on a fresh one for each request.
    """

    def __init__(self, serve: ServeProcess, kept: bool) -> None:
        self.answered = 0
        self.lost: list[str] = []
        self.start_serve, self._kept = serve, kept
        self._threads = [Thread(target=self._ask, daemon=True) for _ in range(16)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _ask(self) -> None:
        while True:
            connection = HTTPConnection("127.0.0.1", self.start_serve.port, timeout=10)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return
            try:
                again = True
                while again:
                    connection.request("POST", "/invocations", b"0\n", CSV)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200
                    self.answered += 1
                    again = self._kept and answer.getheader("Connection") != "close"
            except Exception as error:  # noqa: BLE001 - each is a request without an answer
                self.lost.append(repr(error))
            finally:
                connection.close()


@NGINX
@pytest.mark.parametrize("kept", [True, False], ids=["kept connections", "fresh connections"])
def test_no_request_is_lost_by_a_stop(kept: bool, nginx: bool, program: Path, model: Path) -> None:
    """
    1. sixteen callers ask without a pause
    2. SIGTERM arrives
    3. all this twice more
    Result: pings fail with 503 at once where there is nginx, every request that found the port open
    is answered with 200, serve exits 0.
    """
    for _ in range(3):
        with start_serve(program, model, nginx=nginx) as serve:
            serve.wait_for_ping()
            with Callers(serve, kept) as callers:
                wait_until(lambda: callers.answered > 100, what="callers are busy")
                serve.process.send_signal(signal.SIGTERM)
                if nginx:
                    refused = wait_until(
                        lambda: (answer := serve.call("/ping")).status != 200 and answer,
                        what="pings fail",
                    )
                    assert_error(refused, 503, "stopping")
                    assert refused.headers["Connection"] == "close"
            assert serve.wait() == ExitCode.OK
            assert not callers.lost
