"""Requests as ``serve`` answers them as a whole. Each test states its scenario."""

import os
import re
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from threading import Thread

import pytest

from harness import Answer, wait_until
from http_assertions import assert_error
from project import assemble
from sagemaker_runtime.serving import refusals
from served import CSV, NGINX, held, start_serve


@NGINX
def test_a_body_above_the_limit(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a body above MODEL_SERVER_MAX_PAYLOAD_MB is sent
    2. one of exactly that size is sent
    Result: 413 in the usual shape, logged with its request id; 200.
    """
    with start_serve(
        program,
        model,
        nginx=nginx,
        MODEL_SERVER_MAX_PAYLOAD_MB="1",
        allowed=["payload_too_large"],
    ) as serve:
        serve.wait_for_ping()
        answer = serve.call("/invocations", b"0\n" * (2**19 + 1), headers=CSV)
        error = assert_error(answer, 413, "payload_too_large")
        assert "MODEL_SERVER_MAX_PAYLOAD_MB" in error["message"]
        assert answer.headers["X-Request-Id"] == error["request_id"]
        wait_until(lambda: serve.log(error["request_id"]), what="the log has the request id")
        assert serve.call("/invocations", b"0\n" * 2**19, headers=CSV).status == 200


@NGINX
def test_what_is_not_http(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a client sends something that is not HTTP
    Result: 400 in the usual shape, not HTML.
    """
    with start_serve(
        program, model, nginx=nginx, allowed=["bad_request", "Invalid request"]
    ) as serve:
        serve.wait_for_ping()
        with socket.create_connection(("127.0.0.1", serve.port), timeout=10) as client:
            client.sendall(b"this is no request\r\n\r\n")
            received = client.makefile("rb").read()
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b"Content-Type: application/json" in received
        assert b'{"error":' in received.replace(b": {", b":{").replace(b'"error": ', b'"error":')
        assert b"<" not in received


def test_the_platforms_id_names_the_request(program: Path, model: Path) -> None:
    """
    1. requests come with an inference id, with one that JSON would have to escape, with none
    Result: the first is kept, the others get one made for them.
    """
    name = "X-Amzn-SageMaker-Inference-Id"
    with start_serve(
        program, model, MODEL_SERVER_MAX_PAYLOAD_MB="1", allowed=["payload_too_large"]
    ) as serve:
        serve.wait_for_ping()
        for body in (b"0\n", b"0\n" * 2**20):
            answer = serve.call("/invocations", body, headers={**CSV, name: "abc-1"})
            assert answer.headers["X-Request-Id"] == "abc-1"
            for headers in (CSV, {**CSV, name: 'a"b\\c'}):
                answer = serve.call("/invocations", body, headers=headers)
                assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_long_headers_pass(program: Path, model: Path) -> None:
    """
    1. a request comes with a header of 12 KB and 200 further ones
    Result: it is answered.
    """
    headers = {f"X-Header-{number}": "value" for number in range(200)}
    with start_serve(program, model) as serve:
        serve.wait_for_ping()
        assert serve.call("/ping", headers={**headers, "X-Long": "a" * 12_000}).status == 200


@NGINX
def test_pings_are_answered_while_all_workers_are_busy(
    nginx: bool, program: Path, model: Path
) -> None:
    """
    1. every worker chews a large body
    2. pings arrive
    Result: each is answered within the platform's 2 s, and none is logged.
    """
    with start_serve(program, model, nginx=nginx, workers=1) as serve:
        serve.wait_for_ping()
        with held(serve, model, count=4):
            for _ in range(20):
                began = time.monotonic()
                assert serve.call("/ping", timeout=2).status == 200
                assert time.monotonic() - began < 2
        assert not serve.log("/ping")


def _ask(port: int, request: bytes) -> Answer:
    """
    Send bytes and read the answer to its end.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        response = HTTPResponse(client)
        response.begin()
        return Answer(response.status, response.headers, response.read())


REFUSED = (
    ("GET /error HTTP/1.1", "", 404, "not_found"),
    ("GET /stopping HTTP/1.1", "", 404, "not_found"),
    ("this is no request", "", 400, "bad_request"),
    (f"GET /{'a' * 20_000} HTTP/1.1", "", 414, "uri_too_long"),
    (f"GET /{'a' * 12_000} HTTP/1.1", "", 414, "uri_too_long"),
    ("GET /ping HTTP/1.1", f"X-Long: {'a' * 20_000}\r\n", 431, "headers_too_large"),
    ("POST /invocations HTTP/1.1", "Transfer-Encoding: nonsense\r\n", 501, "not_implemented"),
    ("POST /invocations HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
    ("GET /ping HTTP/3.1", "", 505, "http_version_not_supported"),
    ("TRACE /ping HTTP/1.1", "", 405, "method_not_allowed"),
)


@NGINX
def test_answers_without_the_application(nginx: bool, program: Path, model: Path) -> None:
    """
    1. requests come that nginx or gunicorn answers by itself
    Result: the usual JSON with the same status, code and text, whether nginx or gunicorn answers.
    """
    allowed = [*(code for *_, code in REFUSED), "Invalid request", "request refused"]
    with start_serve(program, model, nginx=nginx, workers=1, allowed=allowed) as serve:
        serve.wait_for_ping()
        for request_line, headers, status, code in REFUSED:
            request = f"{request_line}\r\nHost: localhost\r\n{headers}\r\n".encode()
            error = assert_error(_ask(serve.port, request), status, code)
            if status not in (404, 405):  # the application's own, without nginx
                assert error["message"] == refusals.find(status).message


@pytest.mark.needs("nginx")
def test_slow_callers_shut_nobody_out(program: Path, model: Path) -> None:
    """
    1. 2,000 callers send the beginning of a header, 2,000 others the beginning of a body
    2. pings and requests arrive
    Result: each is answered, pings within the platform's 2 s.
    """
    header = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\n"
    body = header + b"Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n0\n"
    with start_serve(program, model) as serve, ExitStack() as slow:
        serve.wait_for_ping()
        for beginning in (header, body):
            for _ in range(2000):
                caller = slow.enter_context(socket.create_connection(("127.0.0.1", serve.port), 10))
                caller.sendall(beginning)
        for _ in range(20):
            assert serve.call("/ping", timeout=2).status == 200
            assert serve.call("/invocations", b"0\n", headers=CSV).status == 200


@pytest.mark.needs("nginx")
def test_a_caller_that_never_sends_its_header_is_dropped(program: Path, model: Path) -> None:
    """
    1. a caller sends the beginning of a header and no more
    Result: within a quarter of a minute nginx closes the connection.
    """
    with start_serve(program, model) as serve:
        serve.wait_for_ping()
        with socket.create_connection(("127.0.0.1", serve.port), timeout=15) as caller:
            caller.sendall(b"GET /ping HTTP/1.1\r\nHost: ")
            assert caller.recv(1000) == b"" or caller.recv(1000) == b""


# Runs serve with stdout at a socket that keeps what was written at once together.
TO_SOCKET = """
import os, socket, sys

output = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
output.connect(sys.argv[1])
os.dup2(output.fileno(), 1)
os.execv(sys.executable, [sys.executable, sys.argv[2]])
"""


def test_lines_of_requests_are_written_together(program: Path, model: Path) -> None:
    """
    1. a caller sends one request after the other
    Result: again and again several lines are written at once, not only the first time.
    """
    path = str(model.parent / "stdout")
    command = [sys.executable, "-c", TO_SOCKET, path, str(program / "serve")]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.listen()
        with start_serve(program, model, nginx=False, workers=1, command=command) as serve:
            output, _ = listener.accept()
            pieces: list[bytes] = []

            def read() -> None:
                with output:
                    while piece := output.recv(2**20):
                        pieces.append(piece)

            reader = Thread(target=read)
            reader.start()
            serve.wait_for_ping()

            def are_together() -> bool:
                serve.call("/invocations", b"0\n", headers=CSV)
                return sum(piece.count(b'"request"') > 1 for piece in pieces) > 2

            wait_until(are_together, timeout=10, what="lines are written together")
            assert serve.stop() == 0
            reader.join(10)


TELLING = """
import os
import time

from sagemaker_runtime.algorithm import Json

INPUT, OUTPUT = Json(example=0), Json(example=0)
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return model_dir


def predict(model_dir, asked):
    (model_dir / f"{asked}.{os.getpid()}").touch()
    while asked > 1 and not (model_dir / "release").exists():
        time.sleep(0.001)  # others are answered meanwhile
    return os.getpid()
"""


@pytest.mark.needs("nginx")
def test_a_single_caller_has_the_same_worker(shared: Path, model: Path) -> None:
    """
    1. pings are sent 2. one caller asks again and again 3. several ask at once.
    Result: the pings made each worker test its model; nearly all of the one caller's requests went
    to the same worker, whose caches are warm, and those of several were spread.
    """

    json = {"Content-Type": "application/json"}
    with start_serve(assemble(shared / "telling", TELLING), model, workers=3) as serve:

        def ask(number: int) -> int:
            answer = serve.call("/invocations", str(number), headers=json)
            assert answer.status == 200
            return int(answer.body)

        serve.wait_for_ping()
        assert [serve.call("/ping").status for _ in range(3)] == [200] * 3
        assert len(list(model.glob("0.*"))) == 3
        alone = Counter(ask(1) for _ in range(100))
        assert alone.most_common()[0][1] > 85
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(ask, number) for number in range(2, 8)]
            wait_until(lambda: len(list(model.glob("[2-7].*"))) == 6, what="all six are in work")
            (model / "release").touch()
        assert sorted(Counter(each.result() for each in asked).values()) == [2, 2, 2]
