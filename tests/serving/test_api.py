import json
import logging.config
import sys
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import numpy as np
import pytest
from flask import Response, request
from flask.testing import FlaskClient

from api import LARGE_BODY_BYTES, Service
from fake_algorithm import FakeAlgorithm, latitude
from http_assertions import assert_error
from predictor import Predictor
from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.errors import ModelError
from sagemaker_runtime.logs import logging_config
from sagemaker_runtime.settings import Settings

LINE = "2014-02-25 12:17:00 UTC,-74.014833,40.715937,-74.00392,40.725517,1\n"
RECORD = '{"pickup_datetime": "2014-02-25 12:17:00 UTC", "pickup_latitude": 40.715937}'
BODIES = {"text/csv": LINE, "application/json": RECORD, "application/jsonlines": RECORD}
ANSWERS = {
    "text/csv": "40.715937\n",
    "application/json": '{"predictions": [40.715937]}',
    "application/jsonlines": '{"prediction": 40.715937}\n',
}
LARGE = LINE * (LARGE_BODY_BYTES // len(LINE) + 1)
Lines = Callable[[], tuple[list[dict[str, Any]], list[dict[str, Any]]]]


def client_of(
    answer: Callable[[Columns], Any] = latitude,
    algorithm: FakeAlgorithm | None = None,
    timeout_s: float = 60,
) -> FlaskClient:
    settings = Settings(
        port=8080,
        workers=1,
        timeout_s=timeout_s,  # type: ignore[arg-type]  # shorter than a user can set
        max_payload_mb=1,
        log_level="info",
    )
    predictor = Predictor(algorithm or FakeAlgorithm(answer), Path("nowhere"))
    return Service(predictor, settings).test_client()


@pytest.fixture
def client() -> FlaskClient:
    return client_of()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Set logging up as the server does; call for what stdout and stderr got, parsed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    streams = StringIO(), StringIO()
    # pytest puts streams of its own in place again before the test itself runs.
    own_sys = SimpleNamespace(stdout=streams[0], stderr=streams[1])
    monkeypatch.setattr("sagemaker_runtime.logs.sys", own_sys)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        # dictConfig would close pytest's own handlers for good.
        patch.setattr(logging, "shutdown", lambda handlers: None)
        logging.config.dictConfig(logging_config("info"))

    def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        out, err = ([json.loads(x) for x in s.getvalue().splitlines()] for s in streams)
        return out, err

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


def unwell(columns: Columns) -> np.ndarray:
    """Pass the self-test, then fail."""
    if len(columns["pickup_latitude"]) > 1:
        raise KeyError("secret of the algorithm")
    return latitude(columns)


def test_ping_is_200_when_the_model_answers(client: FlaskClient) -> None:
    """A model that passed its self-test is healthy, and says so in JSON."""
    response = client.get("/ping")
    assert (response.status_code, response.get_json()) == (200, {"status": "healthy"})


def test_hooks_of_flask_see_every_request(client: FlaskClient) -> None:
    """Whoever adds a hook to the Flask application gets the predictions past it, unchanged."""
    plain = client.post("/invocations", data=LINE, content_type="text/csv")
    seen = []

    @client.application.after_request
    def look(response: Response) -> Response:
        seen.append((request.path, response.status_code))
        return response

    hooked = client.post("/invocations", data=LINE, content_type="text/csv")
    assert hooked.data == plain.data
    assert set(hooked.headers.keys()) == set(plain.headers.keys())
    assert_error(
        client.post("/invocations", content_type="text/csv"), 400, "malformed_body", "empty"
    )
    assert seen == [("/invocations", 200), ("/invocations", 400)]


def test_ping_is_503_with_the_reason_when_it_does_not() -> None:
    """Ping and invocations both say in one line what is wrong with the model."""

    class Unloadable(FakeAlgorithm):
        def load(self, model_dir: Path) -> Any:
            raise ModelError("model.onnx is not there")

    for client, reason in (
        (client_of(algorithm=Unloadable()), "could not be loaded: ModelError: model.onnx is not"),
        (client_of(lambda columns: [float("nan")]), "the self-test failed: AlgorithmError:"),
    ):
        assert_error(client.get("/ping"), 503, "model_unavailable", reason)
        response = client.post("/invocations", data=LINE, content_type="text/csv")
        assert_error(response, 503, "model_unavailable", reason)


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
    assert response.mimetype == kind
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
    assert response.content_type == "text/csv; charset=utf-8"


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


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/ping/"), ("GET", "/models")],
)
def test_other_paths_are_404(client: FlaskClient, method: str, path: str) -> None:
    """No page, no redirect: a short JSON body that names the paths there are."""
    response = client.open(path, method=method)
    assert_error(response, 404, "not_found", "POST /invocations or GET /ping")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/invocations", "POST"),
        ("OPTIONS", "/invocations", "POST"),
        ("POST", "/ping", "GET, HEAD"),
        ("BREW", "/ping", "GET, HEAD"),
    ],
)
def test_other_methods_are_405(client: FlaskClient, method: str, path: str, allowed: str) -> None:
    """Allow names the methods there are."""
    response = client.open(path, method=method)
    assert_error(response, 405, "method_not_allowed", f"use {allowed}")
    assert response.headers["Allow"] == allowed


def test_a_body_over_the_limit_is_413(client: FlaskClient) -> None:
    """The message names the size, the limit and the setting; one byte less passes."""
    body = (LINE * (1024**2 // len(LINE) + 1)).encode()
    response = client.post("/invocations", data=body[: 1024**2 + 1], content_type="text/csv")
    assert_error(response, 413, "payload_too_large", "the body has 1048577 bytes; at most 1 MB")
    assert "MODEL_SERVER_MAX_PAYLOAD_MB" in response.get_json()["error"]["message"]
    header = b"pickup_datetime\n"
    fits = header.ljust(1024**2, b"\n")
    assert client.post("/invocations", data=fits, content_type="text/csv").status_code == 200


def test_a_failing_algorithm_is_500_without_its_secrets(lines: Lines) -> None:
    """The caller gets the request id, the log gets the traceback under the same id."""
    client = client_of(unwell)
    response = client.post("/invocations", data=LINE * 2, content_type="text/csv")
    assert_error(response, 500, "internal_error", "the log holds the cause under this request id")
    assert b"secret" not in response.get_data()
    out, err = lines()
    assert out == []
    assert len(err) == 1
    assert (err[0]["level"], err[0]["status"]) == ("error", 500)
    assert err[0]["request_id"] == response.headers["X-Request-Id"]
    assert "KeyError: 'secret of the algorithm'" in err[0]["traceback"]


@pytest.mark.parametrize("wrong", [[1.0, float("nan")], [1.0, 2.0, 3.0]])
def test_broken_predictions_are_500(wrong: list[float]) -> None:
    """NaN or a wrong number of predictions never reaches the caller as an answer."""

    def answer(columns: Columns) -> Any:
        return [1.0] if len(columns["pickup_latitude"]) == 1 else wrong

    response = client_of(answer).post("/invocations", data=LINE * 2, content_type="text/csv")
    assert_error(response, 500, "internal_error")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([{"ž" * 300 + str(i): 1 for i in range(50)}] * 2),
        json.dumps([{f"{'😀' * 300}{i}": 1 for i in range(50)}] * 2),
        json.dumps([{"pickup_datetime": "😀" * 5000}]),
        json.dumps([{"pickup_datetime": {"\ud800": 1}}]),
    ],
)
def test_errors_stay_below_the_platforms_limit(client: FlaskClient, body: str) -> None:
    """However long or odd what came was, an error has at most 2048 bytes and is JSON."""
    response = client.post(
        "/invocations",
        data=body,
        content_type="application/json",
        headers={"X-Amzn-SageMaker-Inference-Id": "i" * 64},
    )
    error = response.get_json()["error"]
    assert_error(
        response, 422, "invalid_value", "pickup_datetime", error["where"]["row"], "pickup_datetime"
    )
    assert_error(client.get("/" + "ž" * 3000), 404, "not_found")


def test_a_long_reason_is_cut_to_the_platforms_limit() -> None:
    """What does not fit is cut at the end, with three dots."""

    def answer(columns: Columns) -> Any:
        raise ValueError("ž" * 400)

    response = client_of(answer).get("/ping")
    assert_error(response, 503, "model_unavailable", "the self-test failed: ValueError: žžž")
    assert response.get_json()["error"]["message"].endswith("žžž...")
    assert len(response.get_data()) > 1000


@pytest.mark.parametrize("path", ["/ping", "/invocations", "/nowhere"])
def test_the_inference_id_is_the_request_id(client: FlaskClient, path: str) -> None:
    """Every answer, good or bad, carries the platform's id, or one made for it."""
    headers = {"X-Amzn-SageMaker-Inference-Id": "call-7"}
    assert client.get(path, headers=headers).headers["X-Request-Id"] == "call-7"
    made = {client.get(path).headers["X-Request-Id"] for _ in range(3)}
    assert len(made) == 3


@pytest.mark.parametrize("given", ["", "x" * 65, "caf\xe9", "a\tb"])
def test_an_odd_inference_id_is_replaced(client: FlaskClient, given: str) -> None:
    """An id that is too long or not printable is not passed on to headers and logs."""
    response = client.get("/ping", headers={"X-Amzn-SageMaker-Inference-Id": given})
    assert response.headers["X-Request-Id"] != given
    assert len(response.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("given", "returned"),
    [("trace=1, user=2", True), ("x" * 1024, True), ("x" * 1025, False), ("caf\xe9", False)],
)
def test_custom_attributes_are_passed_back(client: FlaskClient, given: str, returned: bool) -> None:
    """Custom attributes come back with an answer and with an error, within the limit."""
    name = "X-Amzn-SageMaker-Custom-Attributes"
    for body in (LINE, ""):
        response = client.post(
            "/invocations", data=body, content_type="text/csv", headers={name: given}
        )
        assert response.headers.get(name) == (given if returned else None)


class Waiting:
    """Predicts at once, except batches: those wait until they are released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    def __call__(self, columns: Columns) -> np.ndarray:
        if len(columns["pickup_latitude"]) > 1:
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


def test_an_invocation_is_one_line_on_stdout(lines: Lines) -> None:
    """The line holds what a query needs, and nothing of the body."""
    client = client_of()
    response = client.post("/invocations", data=LINE * 3, content_type="text/csv")
    out, err = lines()
    assert err == []
    assert len(out) == 1
    line = out[0]
    assert line.pop("time").endswith("+00:00")
    assert 0 < line.pop("duration_ms") < 10_000
    assert line == {
        "level": "info",
        "logger": "api",
        "message": "request",
        "request_id": response.headers["X-Request-Id"],
        "status": 200,
        "rows": 3,
        "bytes": len(LINE) * 3,
    }


def test_pings_are_not_logged(lines: Lines) -> None:
    """Neither a good ping nor a bad one writes a line; the reason is logged once before."""
    client_of().get("/ping")
    assert lines() == ([], [])
    client = client_of(lambda columns: 1 / 0)
    for _ in range(3):
        assert client.get("/ping").status_code == 503
    out, err = lines()
    assert out == []
    assert [line["message"] for line in err] == [
        "the self-test failed: ZeroDivisionError: division by zero"
    ]


def test_a_refused_request_is_one_warning_line(lines: Lines) -> None:
    """The line repeats the error's code and message under the request id."""
    response = client_of().post("/invocations", data="", content_type="text/csv")
    out, err = lines()
    assert out == []
    assert len(err) == 1
    error = response.get_json()["error"]
    assert err[0]["level"] == "warning"
    assert (err[0]["status"], err[0]["error"]) == (400, "malformed_body")
    assert (err[0]["reason"], err[0]["request_id"]) == (error["message"], error["request_id"])


def test_gunicorns_lines_take_the_same_form(lines: Lines) -> None:
    """Gunicorn's loggers write JSON too, below the level nothing is written."""
    logger = logging.getLogger("gunicorn.error")
    logger.info("Booting worker with pid: %s", 7)
    logger.debug("unseen")
    logger.error("Worker died\nbadly")
    out, err = lines()
    assert [(line["level"], line["message"]) for line in out] == [
        ("info", "Booting worker with pid: 7")
    ]
    assert [(line["level"], line["message"]) for line in err] == [("error", "Worker died\nbadly")]
