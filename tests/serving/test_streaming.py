"""Answers that are sent as they come. Through ``serve``, each test states its scenario."""

import gzip
import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient

from application import Lines, client_of
from fake_algorithm import FakeAlgorithm
from harness import ServeProcess, wait_until
from http_assertions import assert_error
from project import assemble
from sagemaker_runtime.algorithm import Json, Text
from sagemaker_runtime.errors import InvalidValue

# The text says what to stream; files in the model folder steer it.
ALGORITHM = """
import time

from sagemaker_runtime.algorithm import Text

INPUT = Text(example="2")
OUTPUT = Text()
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return model_dir


def predict(model_dir, text):
    count, _, what = text.partition(" ")
    return pieces(model_dir, int(count), what)


def pieces(model_dir, count, what):
    try:
        for number in range(count):
            if number and what == "hold":
                (model_dir / f"held-{number}").touch()
                while not (model_dir / f"release-{number}").exists():
                    time.sleep(0.001)
            if number == 1 and what == "fail":
                raise ValueError("the secret of the second piece")
            yield f"piece {number}\\n" + "." * (10_000 if what == "long" else 0)
    finally:
        (model_dir / f"closed-{what}").touch()
"""
TEXT = {"Content-Type": "text/plain"}
NGINX = pytest.mark.parametrize(
    "nginx",
    [pytest.param(True, marks=pytest.mark.needs("nginx"), id="nginx"), False],
    ids=lambda value: "no nginx",
)


def stream_of(pieces: Any, **options: Any) -> FlaskClient:
    """Return a client of an application whose predict returns ``pieces(text)``."""
    algorithm = FakeAlgorithm(pieces, Text(example="example"), options.pop("output", Text()))
    return client_of(algorithm=algorithm, **options)


def ask(client: FlaskClient, text: str = "go") -> Any:
    return client.post("/invocations", data=text, content_type="text/plain")


@pytest.mark.parametrize("hooked", [False, True])
def test_pieces_are_sent_one_by_one(lines: Lines, hooked: bool) -> None:
    """A stream has no Content-Length, asks nginx not to buffer and is one line in the log."""
    client = stream_of(lambda text: iter(["a ", b"b ", "", "ž"]))
    if hooked:
        client.application.before_request(lambda: None)
    response = ask(client)
    assert response.status_code == 200
    assert "Content-Length" not in response.headers
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["X-Request-Id"]
    assert response.content_type == "text/plain"
    assert list(response.iter_encoded()) == [b"a ", b"b ", "ž".encode()]
    response.close()
    out, err = lines()
    [line] = [line for line in out if line["message"] == "request"]
    assert (line["status"], line["rows"], line["bytes"]) == (200, None, 2)
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert err == []


def test_an_empty_stream_is_an_empty_answer(lines: Lines) -> None:
    """An iterator without a piece is answered with 200 and nothing."""
    response = ask(stream_of(lambda text: iter(())))
    assert (response.status_code, response.data) == (200, b"")
    assert len(lines()[0]) == 1


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("secret"), 500, "internal_error"),
        (InvalidValue("temperature is 9; expected at most 2"), 422, "invalid_value"),
    ],
)
def test_an_error_before_the_first_piece_is_a_proper_answer(
    hooked: bool, error: Exception, status: int, code: str
) -> None:
    """Nothing is sent before the first piece is there, so its failure has a status."""

    def pieces(text: str) -> Iterator[str]:
        if text != "example":
            raise error
        yield "fine"

    client = stream_of(pieces)
    if hooked:
        client.application.before_request(lambda: None)
    assert_error(ask(client), status, code)


@pytest.mark.parametrize("hooked", [False, True])
def test_an_error_half_way_cuts_the_connection(lines: Lines, hooked: bool) -> None:
    """The server gets an exception at which it closes the connection; the log has one line."""

    def pieces(text: str) -> Iterator[str]:
        yield "first"
        if text != "example":
            raise ValueError("the second piece")

    client = stream_of(pieces)
    if hooked:
        client.application.before_request(lambda: None)
    response = ask(client)
    got = response.iter_encoded()
    assert next(got) == b"first"
    with pytest.raises(ConnectionResetError):
        next(got)
    response.close()
    out, err = lines()
    assert [line for line in out if line["message"] == "request"] == []
    [line] = err
    assert (line["level"], line["status"], line["error"]) == ("error", 200, "internal_error")
    assert line["reason"] == "the answer failed after 5 bytes, before the answer was complete"
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert "ValueError: the second piece" in line["traceback"]


def test_what_is_not_bytes_is_found_by_the_self_test() -> None:
    """Pieces of a wrong kind make the model unavailable, with a message that says what is right."""
    client = stream_of(lambda text: iter([1.5]))
    assert_error(
        client.get("/ping"),
        503,
        "model_unavailable",
        "predict returned a value of type float for OUTPUT = Text(...); expected a str or bytes, "
        "or an iterator of a str or bytes",
    )


def test_a_client_that_leaves_closes_the_iterator(lines: Lines) -> None:
    """The algorithm's generator ends where it is, its ``finally`` runs, the log has one line."""
    closed = threading.Event()

    def pieces(text: str) -> Iterator[str]:
        try:
            yield "first"
            if text != "example":
                yield "second"
        finally:
            if text != "example":
                closed.set()

    response = ask(stream_of(pieces))
    assert next(response.iter_encoded()) == b"first"
    response.close()
    with gevent.Timeout(10):
        while not closed.is_set():
            gevent.sleep(0.001)  # lets the thread run
    [line] = lines()[1]
    assert (line["level"], line["error"]) == ("warning", "client_disconnected")
    assert line["reason"].startswith("the connection ended after 5 bytes")


def test_a_stream_leaves_the_worker_free_and_has_a_time_limit(lines: Lines) -> None:
    """
    1. a stream's second piece takes long  2. a ping is sent  3. the time limit passes
    Result: the ping is answered meanwhile; the stream is cut, and closed when the piece is there.
    """
    entered, release, closed = threading.Event(), threading.Event(), threading.Event()

    def pieces(text: str) -> Iterator[str]:
        try:
            yield "first"
            if text != "example":
                entered.set()
                release.wait(10)
                yield "late"
        finally:
            if text != "example":
                closed.set()

    client = stream_of(pieces, timeout_s=0.2)
    response = ask(client)
    got = response.iter_encoded()
    assert next(got) == b"first"

    def second() -> bool:
        with pytest.raises(ConnectionResetError):
            next(got)
        return True

    cut = gevent.spawn(second)
    with gevent.Timeout(10):
        while not entered.is_set():
            gevent.sleep(0.001)
    assert client.get("/ping").status_code == 200
    assert not cut.ready()
    assert cut.get(timeout=10)
    response.close()
    assert not closed.is_set()
    release.set()
    with gevent.Timeout(10):
        while not closed.is_set():
            gevent.sleep(0.001)
    [line] = lines()[1]
    assert (line["error"], line["status"]) == ("timeout", 200)


def test_the_first_piece_has_the_time_limit_too() -> None:
    """A first piece that takes too long is 504, as any answer."""
    release = threading.Event()

    def pieces(text: str) -> Iterator[str]:
        if text != "example":
            release.wait(10)
        yield "first"

    try:
        assert_error(ask(stream_of(pieces, timeout_s=0.05)), 504, "timeout", "MODEL_SERVER_TIMEOUT")
    finally:
        release.set()


def test_json_is_streamed_as_the_algorithm_writes_it() -> None:
    """Json sends pieces as they are: lines of JSON, for one."""
    client = stream_of(lambda text: iter(['{"token": "a"}\n', '{"token": "b"}\n']), output=Json())
    response = ask(client)
    assert response.content_type == "application/json"
    assert [json.loads(line)["token"] for line in response.data.splitlines()] == ["a", "b"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble(tmp_path_factory.mktemp("streaming") / "program", ALGORITHM)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def _serve(
    program: Path, model: Path, nginx: bool, allowed: Sequence[str] = (), **environ: str
) -> ServeProcess:
    path = os.environ["PATH"] if nginx else str(model)
    environ = {"PATH": path, "MODEL_SERVER_WORKERS": "1", **environ}
    return ServeProcess(program, root=model.parent, environ=environ, allowed=allowed)


def _send(serve: ServeProcess, text: str) -> socket.socket:
    """Send a request over a plain socket, which shows the chunks as they come."""
    connection = socket.create_connection(("127.0.0.1", serve.port), timeout=20)
    head = f"Host: x\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
    connection.sendall(f"POST /invocations HTTP/1.1\r\n{head}\r\n{text}".encode())
    return connection


def _read_until(connection: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        piece = connection.recv(65536)
        assert piece, f"the connection ended after {got!r}"
        got += piece
    return got


def _rest(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


@NGINX
def test_each_piece_comes_when_it_is_made(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a stream's second piece is held up
    2. the client reads, a ping is sent
    3. the second piece is released, the third is held up and released
    Result: each piece is there, chunked, before the next is made; the ping is answered.
    """
    with _serve(program, model, nginx) as serve:
        serve.wait_for_ping()
        with _send(serve, "3 hold") as connection:
            got = _read_until(connection, b"piece 0\n")
            assert b"200 OK" in got
            assert b"transfer-encoding: chunked" in got.lower()
            assert b"content-length" not in got.lower()
            wait_until((model / "held-1").exists, what="the second piece is being made")
            assert serve.call("/ping").status == 200
            (model / "release-1").touch()
            _read_until(connection, b"piece 1\n")  # the first one came with the headers
            (model / "release-2").touch()
            assert b"piece 2\n" in _read_until(connection, b"\r\n0\r\n\r\n")
        wait_until(lambda: serve.log('"status":200'), what="the request's line is there")
        assert (model / "closed-hold").exists()
        answer = serve.call("/invocations", "2", headers=TEXT)
        assert answer.body == b"piece 0\npiece 1\n"


@NGINX
def test_a_stream_that_fails_half_way(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a stream's second piece raises an exception
    Result: the connection is cut before the last chunk; one line has request id and traceback.
    """
    with _serve(program, model, nginx, allowed=["the secret of the second piece"]) as serve:
        serve.wait_for_ping()
        with _send(serve, "3 fail") as connection:
            got = _read_until(connection, b"piece 0\n") + _rest(connection)
        assert b"200 OK" in got
        assert not got.endswith(b"0\r\n\r\n")
        assert b"secret" not in got
        [request_id] = [
            line.split(b": ")[1].decode()
            for line in got.split(b"\r\n")
            if line.lower().startswith(b"x-request-id: ")
        ]
        wait_until(lambda: serve.log(request_id), what="the log has the request id")
        [line] = map(json.loads, serve.log(request_id))
        assert (line["level"], line["error"]) == ("error", "internal_error")
        assert "ValueError: the secret of the second piece" in line["traceback"]
        assert serve.call("/ping").status == 200
        assert len(serve.log("the secret of the second piece")) == 1


@NGINX
def test_a_client_that_leaves_a_stream(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a client reads the first piece of a very long stream and closes the connection
    Result: the algorithm's generator is closed, the log says so, the worker goes on.
    """
    with _serve(program, model, nginx, allowed=["client_disconnected"]) as serve:
        serve.wait_for_ping()
        with _send(serve, "100000 long") as connection:
            _read_until(connection, b"piece 0\n")
        wait_until((model / "closed-long").exists, what="the generator is closed")
        wait_until(lambda: serve.log("client_disconnected"), what="the log has the line")
        assert serve.call("/invocations", "1", headers=TEXT).body == b"piece 0\n"


@NGINX
def test_a_compressed_body_is_read(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a body is sent with Content-Encoding: gzip
    Result: it is answered as any other.
    """
    with _serve(program, model, nginx) as serve:
        serve.wait_for_ping()
        headers = TEXT | {"Content-Encoding": "gzip"}
        answer = serve.call("/invocations", gzip.compress(b"2"), headers=headers)
        assert answer.body == b"piece 0\npiece 1\n"
