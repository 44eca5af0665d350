import gzip
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import numpy as np
import pytest
from flask.testing import FlaskClient
from gevent.socket import socketpair
from werkzeug.test import TestResponse

from application import LARGE, LINE, RECORD, Lines, client_of
from fake_algorithm import FakeAlgorithm, latitude
from http_assertions import assert_error
from rides import INPUT
from sagemaker_runtime.algorithm import Bytes, Columns, Json
from sagemaker_runtime.errors import InvalidValue

BODIES = {"text/csv": LINE, "application/json": RECORD, "application/jsonlines": RECORD}
ANSWERS = {
    "text/csv": "40.715937\n",
    "application/json": '{"predictions": [40.715937]}',
    "application/jsonlines": '{"prediction": 40.715937}\n',
}


@pytest.mark.parametrize("sent", BODIES)
@pytest.mark.parametrize("accept", [None, "", "*/*", *BODIES])
def test_the_answer_is_what_accept_asks_for(
    client: FlaskClient, sent: str, accept: str | None
) -> None:
    """Any format in, any format out; without a wish the request's own."""
    headers = {} if accept is None else {"Accept": accept}
    response = client.post("/invocations", data=BODIES[sent], content_type=sent, headers=headers)
    kind = accept if accept in BODIES else sent
    assert response.status_code == 200
    assert response.content_type == kind
    assert response.get_data(as_text=True) == ANSWERS[kind]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv;q=0.1, application/json;q=0.9", "application/json"),
        ("application/json;q=0.1, */*;q=0.9", "text/csv"),
        ("application/json, */*;q=0.1", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/csv; charset=utf-8", "text/csv"),
        ("APPLICATION/JSON", "application/json"),
        ("image/png, application/x-ndjson;q=0.3", "application/x-ndjson"),
        ("text/html, */*;q=0.8", "text/csv"),
    ],
)
def test_quality_values_decide(client: FlaskClient, accept: str, kind: str) -> None:
    """The best of what can be produced is chosen for a CSV request."""
    response = client.post(
        "/invocations", data=LINE, content_type="text/csv", headers={"Accept": accept}
    )
    assert (response.status_code, response.mimetype) == (200, kind)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        ("text/csv; Charset=latin-1", "text/csv; charset=utf-8"),
        ("application/json; charset=utf-8", "application/json"),
        ("text/csv; header=absent", "text/csv"),
    ],
)
def test_the_charset_is_named_for_those_who_name_one(
    client: FlaskClient, accept: str, kind: str
) -> None:
    """A text says that it is UTF-8, whatever was wished for; JSON has no such parameter."""
    response = client.post(
        "/invocations", data=LINE, content_type="text/csv", headers={"Accept": accept}
    )
    assert response.content_type == kind


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "application/x-npy", "nonsense"])
def test_an_answer_nobody_can_make_is_406(client: FlaskClient, accept: str) -> None:
    """What can be produced is listed."""
    response = client.post(
        "/invocations", data=LINE, content_type="text/csv", headers={"Accept": accept}
    )
    assert_error(response, 406, "not_acceptable", "text/csv, application/json, application/jsonl")


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/csv; charset=utf-8", "utf-8"),
        ("Text/CSV;CHARSET=UTF-8", "utf-8"),
        ('text/csv; header=absent; charset="iso-8859-1"', "latin-1"),
        ("text/csv; charset=utf-16", "utf-16"),
    ],
)
def test_parameters_of_the_content_type_are_read(
    client: FlaskClient, content_type: str, encoding: str
) -> None:
    """Case, quotes and further parameters do not matter, the charset does."""
    response = client.post(
        "/invocations", data=LINE.encode(encoding), headers={"Content-Type": content_type}
    )
    assert response.get_data() == b"40.715937\n"
    assert response.content_type == "text/csv"  # exactly: SageMaker's deserializers compare it


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        (None, "there is no Content-Type; name what the body is, one of text/csv"),
        ("image/png", "Content-Type is 'image/png'; expected one of text/csv"),
        ("text/csv; charset=klingon", "charset is 'klingon'; expected one of utf-8"),
        ("text/csv; charset=base64", "charset is 'base64'"),
        ("application/x-www-form-urlencoded", "expected one of text/csv"),
    ],
)
def test_an_unknown_content_type_is_415(
    client: FlaskClient, content_type: str | None, message: str
) -> None:
    """What can be read is listed."""
    response = client.post("/invocations", data=LINE, content_type=content_type)
    assert_error(response, 415, "unsupported_media_type", message)


@pytest.mark.parametrize("count", [0, 1, 7, 20_000])
def test_rows_out_equal_rows_in(count: int) -> None:
    """One line per row, in order, for small bodies and for those that go to a thread."""
    rows = [f"2014-02-25 12:17:00,-74,{i},-74,40.7,1" for i in range(count)]
    header = (
        "pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,"
        "passenger_count"
    )
    response = client_of().post(
        "/invocations", data="\n".join([header, *rows])[: 1024**2], content_type="text/csv"
    )
    assert response.get_data(as_text=True) == "".join(f"{i}.0\n" for i in range(count))


@pytest.mark.parametrize(
    ("answer", "in_csv"),
    [
        (lambda columns: np.tile([0.25, 0.75], (len(columns["pickup_latitude"]), 1)), "0.25,0.75"),
        (lambda columns: np.array(["a, b"] * len(columns["pickup_latitude"])), '"a, b"'),
        (lambda columns: [7] * len(columns["pickup_latitude"]), "7"),
    ],
)
def test_other_algorithms_predictions_are_returned(
    answer: Callable[[Columns], Any], in_csv: str
) -> None:
    """Several outputs per row and text labels come back too."""
    response = client_of(answer).post("/invocations", data=LINE * 2, content_type="text/csv")
    assert response.get_data(as_text=True) == f"{in_csv}\n{in_csv}\n"


@pytest.mark.parametrize(
    ("body", "status", "code", "message", "row", "column"),
    [
        ("", 400, "malformed_body", "the body is empty; send", None, None),
        ('"', 400, "malformed_body", "line 1 is not CSV", None, None),
        (LINE + "\n" + LINE, 422, "invalid_value", "row 2 is blank", 2, None),
        (LINE * 2 + LINE.replace("40.715937", "abc"), 422, "invalid_value",
         "pickup_latitude is 'abc' in row 3; expected a number such as 40.715937",
         3, "pickup_latitude"),
    ],
)  # fmt: skip
def test_bad_bodies_are_the_callers_fault(
    client: FlaskClient,
    body: str,
    status: int,
    code: str,
    message: str,
    row: int | None,
    column: str | None,
) -> None:
    """What is wrong with a body is said with row and column, as 400 or 422."""
    response = client.post("/invocations", data=body, content_type="text/csv")
    assert_error(response, status, code, message, row, column)


def test_an_error_in_a_large_body_is_the_same() -> None:
    """The thread that reads large bodies hands its errors on."""
    body = LARGE + LINE.replace("40.715937", "abc")
    response = client_of().post("/invocations", data=body, content_type="text/csv")
    row = body.count("\n")
    assert_error(response, 422, "invalid_value", f"in row {row};", row, "pickup_latitude")


def test_a_body_over_the_limit_is_413(client: FlaskClient) -> None:
    """The message names the size, the limit and the setting; one byte less passes."""
    body = (LINE * (1024**2 // len(LINE) + 1)).encode()
    response = client.post("/invocations", data=body[: 1024**2 + 1], content_type="text/csv")
    assert_error(response, 413, "payload_too_large", "the body has 1048577 bytes; at most 1 MB")
    assert "MODEL_SERVER_MAX_PAYLOAD_MB" in response.get_json()["error"]["message"]
    header = b"pickup_datetime\n"
    fits = header.ljust(1024**2, b"\n")
    assert client.post("/invocations", data=fits, content_type="text/csv").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"pickup_"])
@pytest.mark.parametrize("size", [10, 1000_000])
def test_a_body_that_does_not_come_is_408(
    size: int, sent: bytes, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller who has stopped sending holds up neither a connection nor the end of serve."""
    monkeypatch.setattr("invocations.BODY_TIMEOUT_S", 0.05)
    caller, connection = socketpair()
    with caller, connection, connection.makefile("rb") as stream:
        caller.sendall(sent)
        response = client.post(
            "/invocations",
            content_type="text/csv",
            content_length=size,
            environ_overrides={"wsgi.input": stream, "gunicorn.socket": connection},
        )
        assert connection.gettimeout() is None
    assert_error(response, 408, "request_timeout", "nothing of the body came for 0.05 s")


@pytest.mark.parametrize("wrong", [[1.0, 2.0, float("inf")], [1.0, 2.0, 3.0, 4.0]])
def test_broken_predictions_are_500(wrong: list[float]) -> None:
    """Infinity or a wrong number of predictions never reaches the caller as an answer."""

    def answer(columns: Columns) -> Any:
        rows = len(columns["pickup_latitude"])
        return [1.0] * rows if rows < 3 else wrong

    response = client_of(answer).post("/invocations", data=LINE * 3, content_type="text/csv")
    assert_error(response, 500, "internal_error")


@pytest.mark.parametrize("body", [LINE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), SystemExit(), KeyboardInterrupt(), gevent.GreenletExit(), gevent.Timeout()],
)
def test_predict_cannot_end_the_worker(error: BaseException, body: str, lines: Lines) -> None:
    """What would end a process ends the request: 500 and a line that names it."""

    def answer(columns: Columns) -> Any:
        if columns["passenger_count"][0] > 6:
            raise error
        return latitude(columns)

    client, body = client_of(answer), body.replace(",1\n", ",9\n")
    response = client.post("/invocations", data=body, content_type="text/csv")
    assert_error(response, 500, "internal_error")
    assert f"the algorithm raised {type(error).__name__}" in lines()[1][-1]["traceback"]


class Mute(InvalidValue):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "message", "row", "column"),
    [
        (InvalidValue("too many", np.int64(7), 5), "too many", 7, "5"),  # type: ignore[arg-type]
        (Mute("too many"), "(its message cannot be shown)", None, None),
    ],
)
def test_what_predict_refuses_can_always_be_written(
    error: InvalidValue, message: str, row: int | None, column: str | None
) -> None:
    """A row of numpy's types and a message that fails make no 500 of a 422."""

    def answer(columns: Columns) -> Any:
        if columns["passenger_count"][0] > 6:
            raise error
        return latitude(columns)

    body = LINE.replace(",1\n", ",9\n")
    response = client_of(answer).post("/invocations", data=body, content_type="text/csv")
    assert_error(response, 422, "invalid_value", message, row, column)


class Waiting:
    """Predicts at once, except batches: those wait until they are released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    def __call__(self, columns: Columns) -> np.ndarray:
        if len(columns["pickup_latitude"]) > 2:
            self.entered.set()
            assert self.release.wait(10)
        return latitude(columns)


def test_ping_answers_while_a_large_body_is_scored() -> None:
    """
    1. a large body is sent  2. while it is scored, ping and a small body are sent
    Result: both are answered before the large one, which is answered too.
    """
    waiting = Waiting()
    client = client_of(waiting)

    def post(body: str) -> Any:
        return client.application.test_client().post(
            "/invocations", data=body, content_type="text/csv"
        )

    large = gevent.spawn(post, LARGE)
    with gevent.Timeout(30):
        while not waiting.entered.is_set():
            gevent.sleep(0.001)  # lets the other greenlet run
    assert client.get("/ping").status_code == 200
    assert post(LINE).status_code == 200
    assert not large.ready()
    waiting.release.set()
    assert large.get(timeout=30).get_data().count(b"\n") == LARGE.count("\n")


def test_a_prediction_that_takes_too_long_is_504() -> None:
    """The caller learns which setting to raise."""
    waiting = Waiting()
    client = client_of(waiting, timeout_s=0.05)
    try:
        response = client.post("/invocations", data=LARGE, content_type="text/csv")
    finally:
        waiting.release.set()
    assert_error(response, 504, "timeout", "no answer within 0.05 s")
    assert "MODEL_SERVER_TIMEOUT" in response.get_json()["error"]["message"]


@pytest.mark.parametrize("ends", [True, False])
def test_work_that_does_not_end_ends_its_worker(
    ends: bool, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    """
    1. a prediction takes too long, which its caller hears  2. it ends a moment later, or does not
    Result: in the second case the worker is replaced, since its one thread is taken.
    """
    ended: list[bool] = []
    monkeypatch.setattr("threads.end_worker", lambda: ended.append(True))
    monkeypatch.setattr("threads.OVERTIME_S", 0.2)
    waiting = Waiting()
    client = client_of(waiting, timeout_s=0.05)
    try:
        response = client.post("/invocations", data=LARGE, content_type="text/csv")
        assert_error(response, 504, "timeout")
        if ends:
            waiting.release.set()
            gevent.wait(timeout=10)  # until nobody waits any more
        with gevent.Timeout(10):
            while not ends and not ended:
                gevent.sleep(0.001)  # lets the other greenlet run
    finally:
        waiting.release.set()
    assert ended == [True] * (not ends)
    told = [line for line in lines()[1] if "another takes its place" in line["message"]]
    assert len(told) == len(ended)


@pytest.mark.parametrize("slow", [False, True])
def test_a_slow_model_leaves_the_event_loop_free(slow: bool) -> None:
    """Small bodies are scored by the serving thread, unless one row takes the model long."""
    threads: list[int] = []

    def answer(columns: Columns) -> np.ndarray:
        threads.append(threading.get_ident())
        if slow:
            threading.Event().wait(0.02)
        return latitude(columns)

    client = client_of(answer)
    assert client.get("/ping").status_code == 200
    assert client.post("/invocations", data=LINE, content_type="text/csv").status_code == 200
    assert (threads[-1] != threading.get_ident()) == slow


@pytest.mark.parametrize("text", [LINE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity", ""])
def test_a_compressed_body_is_read(client: FlaskClient, encoding: str, text: str) -> None:
    """Content-Encoding: gzip is undone before the body is read; identity is nothing."""
    body = gzip.compress(text.encode()) if "gzip" in encoding.lower() else text.encode()
    response = client.post(
        "/invocations",
        data=body,
        content_type="text/csv",
        headers={"Content-Encoding": encoding},
    )
    assert response.status_code == 200
    assert response.data.count(b"\n") == text.count("\n")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "g" * 3000])
def test_another_content_encoding_is_415(client: FlaskClient, encoding: str) -> None:
    """The message names the header and what is read."""
    response = client.post(
        "/invocations", data=LINE, content_type="text/csv", headers={"Content-Encoding": encoding}
    )
    error = assert_error(response, 415, "unsupported_media_type", "expected gzip")
    assert error["message"].startswith(f"Content-Encoding is '{encoding[:10]}")


PACKED = gzip.compress(LINE.encode() * 50)


@pytest.mark.parametrize(
    "body",
    [LINE.encode(), PACKED[:-4], PACKED[:5], PACKED[:30] + b"x" + PACKED[31:], PACKED + b"more"],
    ids=["plain", "no end", "a beginning", "damaged", "something behind"],
)
def test_what_gzip_did_not_write_is_400(client: FlaskClient, body: bytes) -> None:
    """A body that is not what Content-Encoding says is the caller's fault."""
    response = client.post(
        "/invocations", data=body, content_type="text/csv", headers={"Content-Encoding": "gzip"}
    )
    assert_error(response, 400, "malformed_body", "Content-Encoding is gzip, which the body is not")


def test_a_bomb_is_413(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the payload limit is ever decompressed; a body of just that size is read."""
    taken = []

    class Counting(gzip.GzipFile):
        def read(self, size: int | None = -1) -> bytes:
            taken.append(size)
            return super().read(size)

    monkeypatch.setattr("invocations.GzipFile", Counting)

    def post(text: bytes) -> TestResponse:
        return client.post(
            "/invocations",
            data=gzip.compress(text),
            content_type="text/csv",
            headers={"Content-Encoding": "gzip"},
        )

    response = post(b"\n" * 80 * 1024**2)
    assert_error(response, 413, "payload_too_large", "the body is too large once it is decompress")
    assert sum(taken) <= 2 * 1024**2
    assert post(b"pickup_datetime\n".ljust(1024**2, b"\n")).status_code == 200


class Anything:
    """Reads and writes whatever it is asked for."""

    media_types = ("application/json", "*/*")

    def read(self, body: Any, media_type: str, charset: str) -> Iterator[str]:
        yield f"{media_type} {charset}"

    def count(self, piece: str) -> None:
        return None

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        return "application/json", b"{}"

    def write(self, predictions: Any, media_type: str) -> bytes:
        return f"{predictions[0][0]} -> {media_type}".encode()


@pytest.mark.parametrize(
    ("content_type", "accept", "answer"),
    [
        ("application/json", "", "application/json utf-8 -> application/json"),
        ("text/csv", "", "text/csv utf-8 -> application/json"),
        ("image/PNG; charset=latin-1", "", "image/png latin-1 -> application/json"),
        ("", "", "application/json utf-8 -> application/json"),
        ("text/csv", "*/*", "text/csv utf-8 -> application/json"),
        ("text/csv", "Application/X-NPY", "text/csv utf-8 -> application/x-npy"),
        ("text/csv", "text/csv;q=0.5, a/b;q=0.9, */*;q=0.1", "text/csv utf-8 -> a/b"),
        ("text/csv", "application/*", "text/csv utf-8 -> application/json"),
    ],
)
def test_the_wildcard_reads_and_writes_anything(
    content_type: str, accept: str, answer: str
) -> None:
    """ "*/*" among the media types takes any Content-Type and gives what Accept names."""
    client = client_of(algorithm=FakeAlgorithm(lambda piece: piece, Anything(), Anything()))
    headers = {"Accept": accept, "Content-Type": content_type}
    response = client.post("/invocations", data=b"x", headers=headers)
    assert response.get_data(as_text=True) == answer
    assert response.content_type == answer.rpartition(" ")[2]


@pytest.mark.parametrize("accept", ["nonsense", "text/csv;q=0", "text/*"])
def test_the_wildcard_writes_nothing_that_has_no_name(accept: str) -> None:
    """What Accept does not name as a media type cannot be written."""
    client = client_of(algorithm=FakeAlgorithm(lambda piece: piece, Anything(), Anything()))
    response = client.post("/invocations", data=b"x", headers={"Accept": accept})
    assert_error(response, 406, "not_acceptable", "expected one of application/json, */*")


def test_the_answer_is_never_in_a_type_that_only_the_input_has() -> None:
    """An image is answered in what the output writes first, not as an image."""
    reads = Bytes("image/png", example=b"png")
    client = client_of(algorithm=FakeAlgorithm(lambda piece: {"size": len(piece)}, reads, Json()))
    response = client.post("/invocations", data=b"four", content_type="image/png")
    assert (response.content_type, response.data) == ("application/json", b'{"size":4}')
    response = client.post("/invocations", data=b"four", content_type="text/csv")
    assert_error(response, 415, "unsupported_media_type", "expected one of image/png")


def test_a_row_that_predict_refuses_is_the_bodys() -> None:
    """InvalidValue from predict is a 422 whose row counts the whole body."""

    def answer(columns: Columns) -> Any:
        passengers = columns["passenger_count"]
        if (passengers > 6).any():
            row = int((passengers > 6).argmax()) + 1
            raise InvalidValue("more passengers than seats", row, "passenger_count")
        return passengers

    body = LINE * 3000 + LINE.replace(",1\n", ",9\n")
    client = client_of(algorithm=FakeAlgorithm(answer, Halves()))
    response = client.post("/invocations", data=body, content_type="text/csv")
    assert_error(response, 422, "invalid_value", "more passengers", 3001, "passenger_count")


class Halves:
    """A table whose body comes in two pieces."""

    media_types = INPUT.media_types
    count = staticmethod(INPUT.count)
    example = staticmethod(INPUT.example)

    def read(self, body: Any, media_type: str, charset: str) -> Iterator[Columns]:
        for piece in INPUT.read(body, media_type, charset):
            half = INPUT.count(piece) // 2
            yield {name: values[:half] for name, values in piece.items()}
            yield {name: values[half:] for name, values in piece.items()}
