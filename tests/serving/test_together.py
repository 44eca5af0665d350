"""Requests that wait while the model is busy, predicted in one call."""

import json
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import gevent
import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from answers import TimedOut
from application import LARGE, LINE, Lines, client_of
from fake_algorithm import FakeAlgorithm, latitude
from harness import wait_until
from http_assertions import assert_error
from predictor import Predictor
from project import TOP, assemble
from rides import INPUT
from sagemaker_runtime.algorithm import Column, Columns, Json, Table
from sagemaker_runtime.errors import ExitCode, InvalidValue
from served import CSV, NGINX, start_serve

NAMES = (
    "pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,"
    "passenger_count\n"
)
# What most models take for a call, whatever its rows: more than those that are never joined.
CALL_S = 0.002


def busy(seconds: float = CALL_S) -> None:
    """Compute, so that nothing else runs on the event loop."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def costly(columns: Columns) -> np.ndarray:
    """Predict the latitude at the cost of a call."""
    busy()
    return latitude(columns)


def rows_of(columns: Columns) -> int:
    return len(columns["pickup_latitude"])


def lines_of(*latitudes: float, passengers: int = 1) -> str:
    """A body of CSV with a row for each latitude."""
    rows = [f"2014-02-25 12:17:00,-74,{each},-74,40.7,{passengers}\n" for each in latitudes]
    return NAMES + "".join(rows)


def post(client: FlaskClient, body: str, kind: str = "text/csv", **headers: str) -> TestResponse:
    return client.application.test_client().post(
        "/invocations", data=body, content_type=kind, headers=headers
    )


def at_once(*requests: Callable[[], TestResponse]) -> list[TestResponse]:
    """Send requests that all have arrived when the model is asked for the first."""
    sent = list(map(gevent.spawn, requests))
    return [each.get(timeout=60) for each in sent]


def ready(algorithm: FakeAlgorithm, **settings: Any) -> FlaskClient:
    """A client, after the self-test, whose calls are forgotten."""
    client = client_of(algorithm=algorithm, **settings)
    assert client.get("/ping").status_code == 200
    algorithm.calls.clear()
    return client


def test_requests_that_wait_share_a_call_and_get_their_own_rows() -> None:
    """Requests of several sizes and formats: one call, each answer as if it had been alone."""
    algorithm = FakeAlgorithm(costly)
    client = ready(algorithm)
    bodies = [lines_of(*range(first, first + 1 + first % 3)) for first in range(0, 60, 3)]
    sent = [lambda body=body: post(client, body) for body in bodies]
    when = '"pickup_datetime": "2014-02-25 12:17:00"'
    record = f'[{{"pickup_latitude": 7.5, {when}}}, {{"pickup_latitude": null, {when}}}]'
    sent.append(lambda: post(client, record, "application/json"))
    answers = at_once(*sent)
    for body, answer in zip(bodies, answers[:-1], strict=True):
        expected = "".join(f"{float(line.split(',')[2])}\n" for line in body.split("\n")[1:-1])
        assert (answer.status_code, answer.get_data(as_text=True)) == (200, expected)
    assert answers[-1].get_json() == {"predictions": [7.5, None]}
    assert len(algorithm.calls) == 1
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(sent)


@pytest.mark.parametrize(
    "form",
    [
        lambda values: values.tolist(),
        lambda values: [{"a": each, "b": str(each)} for each in values.tolist()],
        lambda values: {"a": values, "b": [[each] for each in values.tolist()]},
        lambda values: np.column_stack([values, -values]),
        lambda values: __import__("pandas").DataFrame({"a": values, "b": values.astype(str)}),
        lambda values: __import__("pandas").Series(values, index=range(7, 7 + len(values))),
    ],
)
def test_whatever_predict_returns_is_cut_by_rows(form: Callable[[np.ndarray], Any]) -> None:
    """Lists, dicts, arrays, frames: the bytes of each answer are those of a request by itself."""
    algorithm = FakeAlgorithm(lambda columns: form(costly(columns)))
    client, alone = ready(algorithm), ready(algorithm, join_rows=0)
    bodies = [lines_of(1, 2), lines_of(3), lines_of(4, 5, 6)]
    expected = [post(alone, body, Accept="application/json").data for body in bodies]
    algorithm.calls.clear()
    answers = at_once(
        *(lambda body=body: post(client, body, Accept="application/json") for body in bodies)
    )
    assert [answer.data for answer in answers] == expected
    assert len(algorithm.calls) == 1


def test_requests_are_answered_one_by_one_when_joining_is_off() -> None:
    """MODEL_SERVER_JOIN_ROWS=0 gives each request its own call."""
    algorithm = FakeAlgorithm(costly)
    client = ready(algorithm, join_rows=0)
    at_once(*[lambda: post(client, LINE)] * 5)
    assert [rows_of(columns) for columns in algorithm.calls] == [1] * 5


def test_a_call_has_a_limit_and_nobody_waits_for_ever() -> None:
    """
    Four rows go into a call. A request with more has one to itself, after those that fit into the
    call before; small ones that come later do not pass it twice.
    """
    algorithm = FakeAlgorithm(costly)
    client = ready(algorithm, join_rows=4)
    sizes = [1, 1, 9, 1, 1, 1, 3, 1]
    answers = at_once(*(lambda rows=rows: post(client, lines_of(*range(rows))) for rows in sizes))
    assert [answer.data.count(b"\n") for answer in answers] == sizes
    assert [rows_of(columns) for columns in algorithm.calls] == [4, 9, 4, 1]


def test_the_bodies_of_a_call_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many bytes do not go into one call, whatever their rows."""
    monkeypatch.setattr("together.JOINED_BYTES", 2 * len(LINE))
    algorithm = FakeAlgorithm(costly)
    client = ready(algorithm)
    at_once(*[lambda: post(client, LINE)] * 5)
    assert [rows_of(columns) for columns in algorithm.calls] == [2, 2, 1]


def test_a_large_body_stays_alone() -> None:
    """It is predicted in its thread; the small ones beside it share a call."""
    algorithm = FakeAlgorithm(costly)
    client = ready(algorithm)
    answers = at_once(lambda: post(client, LARGE), *[lambda: post(client, LINE)] * 3)
    assert [answer.data.count(b"\n") for answer in answers] == [LARGE.count("\n"), 1, 1, 1]
    assert sorted(rows_of(columns) for columns in algorithm.calls)[-2:] == [3, LARGE.count("\n")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidValue("too many", 2, "passenger_count"), 422),
        (ValueError(), 500),
        (SystemExit(), 500),
    ],
)
def test_a_bad_row_fails_its_own_request_only(
    error: BaseException, status: int, lines: Lines
) -> None:
    """When a call fails its requests are asked for again, in ever smaller calls."""

    def answer(columns: Columns) -> np.ndarray:
        if (columns["passenger_count"] == 9).any():
            raise error
        return costly(columns)

    client = ready(FakeAlgorithm(answer))
    good = [lambda i=i: post(client, lines_of(i)) for i in range(6)]
    bad = lambda: post(client, lines_of(7, 8, passengers=9))  # noqa: E731
    answers = at_once(*good[:3], bad, *good[3:])
    assert [each.status_code for each in answers] == [200, 200, 200, status, 200, 200, 200]
    assert [each.get_data(as_text=True) for each in answers[:3]] == ["0.0\n", "1.0\n", "2.0\n"]
    if status == 422:
        assert_error(answers[3], 422, "invalid_value", "too many", 2, "passenger_count")
    ids = [line["request_id"] for line in lines()[0] if line["message"] == "request"]
    assert sorted(ids) == sorted(
        each.headers["X-Request-Id"] for each in answers if each.status_code == 200
    )


def test_a_request_whose_row_is_named_is_set_apart_at_once() -> None:
    """The others are predicted in one call more, whatever their number, and it in another."""

    def answer(columns: Columns) -> np.ndarray:
        if len(bad := np.flatnonzero(columns["passenger_count"] == 9)):
            raise InvalidValue("too many", int(bad[0]) + 1, "passenger_count")
        return costly(columns)

    algorithm = FakeAlgorithm(answer)
    client = ready(algorithm)
    good = [lambda i=i: post(client, lines_of(i, i)) for i in range(20)]
    bad = lambda: post(client, lines_of(7, passengers=9))  # noqa: E731
    answers = at_once(*good[:13], bad, *good[13:])
    assert [each.status_code for each in answers] == [200] * 13 + [422] + [200] * 7
    assert [each.get_data(as_text=True) for each in answers[:13] + answers[14:]] == [
        f"{float(i)}\n" * 2 for i in range(20)
    ]
    assert_error(answers[13], 422, "invalid_value", "too many", 1, "passenger_count")
    assert [rows_of(columns) for columns in algorithm.calls] == [41, 40, 1]


def test_rows_that_are_asked_for_again_are_as_they_came() -> None:
    """predict may change what it is given before it refuses a row of somebody else's."""

    def answer(columns: Columns) -> np.ndarray:
        busy()
        for each in columns["x"]:
            each *= 10
        values = np.array([each[0] for each in columns["x"]])
        if (values < 0).any():
            raise InvalidValue("negative")
        return values

    client = ready(FakeAlgorithm(answer, Table(Column("x", "numbers", "[1]"))))
    answers = at_once(*(lambda x=x: post(client, f"[{x}]\n") for x in (1, 2, -1, 4)))
    assert [each.status_code for each in answers] == [200, 200, 422, 200]
    assert [answers[at].data for at in (0, 1, 3)] == [b"10.0\n", b"20.0\n", b"40.0\n"]


def test_a_call_that_took_too_long_is_not_tried_again() -> None:
    """gunicorn ends a worker whose event loop stands still: all who waited are told, once."""
    calls: list[int] = []

    def answer(columns: Columns) -> np.ndarray:
        if (columns["passenger_count"] == 9).any():
            calls.append(rows_of(columns))
            raise TimedOut("no answer")
        return costly(columns)

    client = ready(FakeAlgorithm(answer))
    answers = at_once(*[lambda: post(client, lines_of(1, passengers=9))] * 4)
    assert [each.status_code for each in answers] == [504] * 4
    assert calls == [4]


def test_a_model_that_cannot_take_company_is_told_of_once(lines: Lines) -> None:
    """A call that fails for several and not for each leaves its traceback, all are answered."""

    def answer(columns: Columns) -> np.ndarray:
        if rows_of(columns) > 1 and columns["passenger_count"][0] == 9:
            raise ValueError("no company")
        return costly(columns)

    client = ready(FakeAlgorithm(answer))
    for _ in range(2):
        answers = at_once(*[lambda: post(client, lines_of(1, passengers=9))] * 4)
        assert [each.status_code for each in answers] == [200] * 4
    [told] = [line for line in lines()[0] if "one by one" in line["message"]]
    assert "no company" in told["traceback"]


def centred(columns: Columns) -> np.ndarray:
    """Normalise by the call's own rows, as a batch norm in training mode does."""
    values = costly(columns)
    return values - values.mean()


def by_the_row(columns: Columns) -> np.ndarray:
    """Take as long for each row as for a call of one."""
    busy(CALL_S * rows_of(columns))
    return latitude(columns)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (centred, "a row is predicted [0.] alone and ["),
        (by_the_row, "16 rows take 1"),
        (lambda columns: [[len(costly(columns))]] * rows_of(columns), "[[1]] alone and [[16]] am"),
    ],
)
def test_a_model_that_is_better_alone_is_found(
    answer: Callable[[Columns], Any], why: str, lines: Lines
) -> None:
    """The self-test asks for the same row alone and in company; one line says what it found."""
    algorithm = FakeAlgorithm(answer)
    client = ready(algorithm)
    at_once(*[lambda: post(client, LINE)] * 5)
    assert [rows_of(columns) for columns in algorithm.calls] == [1] * 5
    [told] = [line["message"] for line in lines()[0] if "one by one" in line["message"]]
    assert told.startswith("requests are predicted one by one, not together: ")
    assert why in told


@pytest.mark.parametrize(
    "column",
    [
        Column("x", "numbers", "[1, 2]"),
        Column("x", "boolean", "true"),
        Column("x", "boolean", "true", optional=True),
        Column("x", "text", "a"),
        Column("x", "timestamp", "2014-02-25"),
    ],
    ids=lambda column: column.kind,
)
def test_company_is_noticed_whatever_the_columns_are(column: Column, lines: Lines) -> None:
    """The trial's rows differ in columns of every kind: among copies each row would be the mean."""

    def number(value: Any) -> float:
        return float(len(value) if isinstance(value, str) else np.sum(value.astype("float64")))

    def answer(columns: Columns) -> np.ndarray:
        busy()
        values = np.array([number(each) for each in columns["x"]])
        return values - values.mean()

    predictor = Predictor(FakeAlgorithm(answer, Table(column)), TOP)
    assert predictor.health() is None
    assert not predictor.joins
    [told] = [line["message"] for line in lines()[0] if "one by one" in line["message"]]
    assert "a row is predicted [0.] alone and [" in told


def known_only(names: str, answer: Callable[[Columns], Any]) -> Callable[[Columns], Any]:
    """A model that refuses other values than the example's in columns of these names."""
    known = {"a": "red", "b": "blue", "x": 3.0, "y": 4.0}

    def answer_known(columns: Columns) -> Any:
        for name in names:
            if (columns[name] != known[name]).any():
                raise InvalidValue(f"{name} has a value that I do not know")
        return answer(columns)

    return answer_known


KNOWN = Table(
    *(Column(name, "text", example) for name, example in (("a", "red"), ("b", "blue"))),
    *(Column(name, "number", example) for name, example in (("x", "3"), ("y", "4"))),
)


@pytest.mark.parametrize("names", ["", "a", "ab", "abx", "axy"])
def test_a_model_that_does_not_know_all_values_is_tried_with_others(names: str) -> None:
    """Texts that were not in training are refused by many: one column that may differ is enough."""

    def own(columns: Columns) -> np.ndarray:
        busy()
        return 2 * columns["y"] + np.array([ord(each[0]) for each in columns["b"]])

    def shared(columns: Columns) -> np.ndarray:
        return own(columns) - own(columns).mean()

    for answer, joins in ((own, True), (shared, False)):
        predictor = Predictor(FakeAlgorithm(known_only(names, answer), KNOWN), TOP)
        assert predictor.health() is None
        assert predictor.joins == joins


def test_a_model_that_knows_its_example_only_is_not_joined(lines: Lines) -> None:
    """Copies of the example would show nothing: one line says so, and what would help."""
    algorithm = FakeAlgorithm(known_only("abxy", lambda columns: busy() or columns["x"]), KNOWN)
    predictor = Predictor(algorithm, TOP)
    assert predictor.health() is None
    assert not predictor.joins
    [told] = [line["message"] for line in lines()[0] if "one by one" in line["message"]]
    assert "predict refuses whatever differs from the example" in told
    assert "have it take another value in one column at least. InvalidValue: y has" in told


def test_a_model_that_predicts_one_number_only_is_not_joined(lines: Lines) -> None:
    """Where all of the trial's rows are predicted the same, a mean over them would not show."""
    algorithm = FakeAlgorithm(lambda columns: busy() or columns["x"] * 0 + 0.5, KNOWN)
    predictor = Predictor(algorithm, TOP)
    assert predictor.health() is None
    assert not predictor.joins
    [told] = [line["message"] for line in lines()[0] if "one by one" in line["message"]]
    assert "16 rows that differ are all predicted [0.5], so it cannot be seen" in told


@pytest.mark.parametrize("answer", ["a", 1, [0.0, 1.0]], ids=str)
def test_the_same_label_for_all_is_no_reason(answer: Any) -> None:
    """Labels do not shift with the company, nor do probabilities that are 0 and 1."""
    told = FakeAlgorithm(lambda columns: busy() or np.array([answer] * len(columns["x"])), KNOWN)
    predictor = Predictor(told, TOP)
    assert predictor.health() is None
    assert predictor.joins


@pytest.mark.parametrize(
    ("per_call_s", "per_row_s", "joins", "most_s"),
    [(0.3, 0, True, 3), (0, 0.3, False, 4.5), (0, 0.1, False, 2.5), (0.002, 0.0001, True, 1)],
)
def test_a_trial_does_not_hold_up_the_start(
    per_call_s: float,
    per_row_s: float,
    joins: bool,
    most_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The self-test asks a slow model for few rows, by a clock that only the model moves: one that
    waits for something is joined, one that takes its time for each row is not.
    """
    seconds = 0.0

    def answer(columns: Columns) -> np.ndarray:
        nonlocal seconds
        seconds += per_call_s + per_row_s * rows_of(columns)
        return latitude(columns)

    for module in ("company", "predictor"):
        monkeypatch.setattr(f"{module}.perf_counter", lambda: seconds)
    predictor = Predictor(FakeAlgorithm(answer), TOP)
    assert predictor.health() is None
    assert predictor.joins == joins
    assert seconds <= most_s


def test_a_quick_model_is_not_asked_for_more() -> None:
    """Microseconds are not worth the effort: no trial, no joining."""
    algorithm = FakeAlgorithm()
    predictor = Predictor(algorithm, TOP)
    assert predictor.health() is None
    assert not predictor.joins
    assert max(map(rows_of, algorithm.calls)) == 2


def test_what_is_not_a_table_is_not_joined() -> None:
    """Json gives predict the whole body, of which nobody knows the rows."""
    algorithm = FakeAlgorithm(lambda asked: busy() or asked, Json(example=1), Json())
    client = ready(algorithm)
    answers = at_once(*[lambda: post(client, "[1]", "application/json")] * 3)
    assert [answer.get_json() for answer in answers] == [[1]] * 3
    assert algorithm.calls == [[1]] * 3


def test_a_call_makes_one_frame() -> None:
    """as_frame: predict is given a DataFrame, one for all requests of a call."""
    frames: list[Any] = []

    def answer(frame: Any) -> Any:
        busy()
        frames.append(frame)
        return frame["x"]

    table = Table(Column("x", "number", "1"), Column("name", "text", "a"), as_frame=True)
    client = ready(FakeAlgorithm(answer, table))
    frames.clear()
    answers = at_once(*(lambda i=i: post(client, f"{i},b\n") for i in range(4)))
    assert [each.data for each in answers] == [b"%d.0\n" % i for i in range(4)]
    [frame] = frames
    assert list(frame.columns) == ["x", "name"]
    assert len(frame) == 4


class Slow:
    """Takes long for a call, and for some until it is released."""

    def __init__(self) -> None:
        self.held, self.at_once = 0, 0
        self.release = threading.Event()

    def __call__(self, columns: Columns) -> np.ndarray:
        threading.Event().wait(0.025)
        if (columns["passenger_count"] == 9).any():
            self.held += 1
            self.at_once = max(self.held, self.at_once)
            assert self.release.wait(20)
            self.held -= 1
        return latitude(columns)


def held(client: FlaskClient, slow: Slow, count: int) -> list[gevent.Greenlet]:
    """Send requests one after the other, until so many calls are held."""
    sent = []
    with gevent.Timeout(20):
        for i in range(count):
            sent.append(gevent.spawn(post, client, lines_of(i, passengers=9)))
            while slow.held <= i:
                gevent.sleep(0.001)  # lets the other greenlets run
    return sent


@pytest.mark.parametrize("threads", [1, 3])
def test_a_slow_model_is_called_in_threads(threads: int) -> None:
    """
    1. MODEL_SERVER_THREADS calls are held 2. ping and further requests come 3. the calls end
    Result: ping is answered meanwhile, the others share the next call.
    """
    algorithm = FakeAlgorithm(slow := Slow())
    client = ready(algorithm, threads=threads)
    first = held(client, slow, threads)
    more = [gevent.spawn(post, client, lines_of(i)) for i in range(10, 15)]
    gevent.sleep(0)
    assert client.get("/ping").status_code == 200
    assert slow.at_once == threads
    assert not any(each.ready() for each in [*first, *more])
    slow.release.set()
    gevent.joinall([*first, *more], timeout=20)
    assert [each.value.data for each in more] == [b"%d.0\n" % i for i in range(10, 15)]
    assert [rows_of(columns) for columns in algorithm.calls] == [1] * threads + [5]


def test_a_request_that_waits_too_long_is_504() -> None:
    """Whether it is predicted or waits for its turn; the model then answers others again."""
    algorithm = FakeAlgorithm(slow := Slow())
    client = ready(algorithm, timeout_s=0.3)
    first = held(client, slow, 1)
    late = [gevent.spawn(post, client, lines_of(i)) for i in range(3)]
    gevent.joinall([*first, *late], timeout=20)
    slow.release.set()
    for each in [*first, *late]:
        assert_error(each.value, 504, "timeout", "no answer within 0.3 s")
    assert post(client, LINE).status_code == 200


def test_the_example_is_given_to_predict_anew_each_time() -> None:
    """An algorithm that changes the columns it is given does not disturb the self-test."""

    def answer(columns: Columns) -> np.ndarray:
        return costly({"pickup_latitude": columns.pop("pickup_latitude")})

    predictor = Predictor(FakeAlgorithm(answer), TOP)
    assert predictor.health() is None
    assert predictor.joins
    media_type, body = INPUT.example(1)
    assert predictor.answer(BytesIO(body), media_type, "utf-8", media_type)[0] == 1


# Computes for 5 ms a call; files in the model's folder count the calls and their rows.
BUSY = """
import os
from time import perf_counter

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("x", "number", example="0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return model_dir


def predict(model_dir, columns):
    with open(model_dir / f"calls.{os.getpid()}", "a") as file:
        print(len(columns["x"]), file=file)
    end = perf_counter() + 0.005
    while perf_counter() < end:
        pass
    return 3 * columns["x"]
"""


@NGINX
def test_stop_under_load(nginx: bool, shared: Path, model: Path) -> None:
    """
    1. twelve callers ask one worker again and again, one with many rows, and another goes away
    without reading its answers  2. SIGTERM arrives
    Result: everyone gets the answers to the own rows until the end, each with its line in the log;
    many shared a call; serve exits 0.
    """
    with (
        tempfile.TemporaryDirectory(dir=shared) as folder,
        start_serve(assemble(Path(folder, "busy"), BUSY), model, nginx=nginx, workers=1) as serve,
    ):
        serve.wait_for_ping()
        answered: list[str] = []

        def ask(caller: int) -> None:
            values = range(caller, caller + (200 if caller == 7 else 1))
            body = "".join(f"{value}\n" for value in values)
            for _ in range(1000):
                try:
                    answer = serve.call("/invocations", body, headers=CSV)
                except OSError:  # the door is closed, or closes
                    return
                if answer.status == 503 or not serve.is_listening():
                    return
                assert answer.body.decode() == "".join(f"{3.0 * value}\n" for value in values)
                answered.append(answer.headers["X-Request-Id"])

        def leave() -> None:
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", serve.port)) as connection:
                    connection.sendall(
                        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
                        b"Content-Length: 2\r\n\r\n5\n"
                    )

        with ThreadPoolExecutor(13) as pool:
            callers = [pool.submit(ask, caller) for caller in range(12)]
            pool.submit(leave).result(30)
            wait_until(lambda: len(answered) > 300, what="many requests are answered")
            assert serve.stop() == ExitCode.OK
            for each in callers:
                each.result(30)
        logged = [json.loads(line) for line in serve.log('"message":"request"')]
        assert {line["request_id"] for line in logged if line["status"] == 200} >= set(answered)
        [calls] = model.glob("calls.*")
        rows = list(map(int, calls.read_text().split()))
        assert len(rows) < len(answered) / 2
        assert 200 in rows  # more than go into a call of several requests


def test_a_caller_who_always_has_a_next_request_does_not_hold_up_the_others(
    shared: Path, model: Path
) -> None:
    """
    1. a caller sends 200 requests at once over a connection, for a model that is asked for each by
    itself  2. when the first is answered, another caller comes
    Result: the other is answered long before the 200 are.
    """
    request = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        b"Content-Length: 2\r\n\r\n5\n"
    )
    with (
        tempfile.TemporaryDirectory(dir=shared) as folder,
        start_serve(
            assemble(Path(folder, "busy"), BUSY),
            model,
            nginx=False,
            workers=1,
            MODEL_SERVER_JOIN_ROWS="0",
        ) as serve,
    ):
        serve.wait_for_ping()
        with socket.create_connection(("127.0.0.1", serve.port)) as connection:
            connection.sendall(200 * request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            assert serve.call("/invocations", "5\n", headers=CSV).status == 200
            [calls] = model.glob("calls.*")
            assert len(calls.read_text().split()) < 100
            while not serve.log('"message":"request"')[200:]:
                connection.recv(4096)
        assert serve.stop() == ExitCode.OK
