import json
import logging
import re
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from answers import ERROR_BYTES, error_body
from application import LINE, Lines, client_of
from fake_algorithm import latitude
from http_assertions import assert_error
from sagemaker_runtime import logs
from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.errors import RequestError


def unwell(columns: Columns) -> np.ndarray:
    """Pass the self-test, then fail."""
    if len(columns["pickup_latitude"]) > 2:
        raise KeyError("secret of the algorithm")
    return latitude(columns)


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


@pytest.mark.parametrize("session", ["b1946ac9-2492", "a" * 256])
def test_a_session_stays_named(client: FlaskClient, session: str) -> None:
    """A request of a stateful session is answered as any, and the answer names the session."""
    headers = {"X-Amzn-SageMaker-Session-Id": session}
    response = client.post("/invocations", data=LINE, content_type="text/csv", headers=headers)
    assert response.status_code == 200
    assert response.headers["X-Amzn-SageMaker-Session-Id"] == session


def test_a_session_is_opened(client: FlaskClient) -> None:
    """NEW_SESSION is given an id and the time until which it holds, in the platform's form."""
    headers = {"X-Amzn-SageMaker-Session-Id": "NEW_SESSION"}
    response = client.post("/invocations", data=LINE, content_type="text/csv", headers=headers)
    opened = response.headers["X-Amzn-SageMaker-New-Session-Id"]
    assert re.fullmatch(
        r"[a-zA-Z0-9](-*[a-zA-Z0-9])*;\sExpires=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", opened
    )
    assert "X-Amzn-SageMaker-Session-Id" not in response.headers


def test_an_odd_session_is_not_passed_on(client: FlaskClient) -> None:
    """What cannot be an id is not repeated, and does not fail the request."""
    headers = {"X-Amzn-SageMaker-Session-Id": "a" * 257}
    response = client.post("/invocations", data=LINE, content_type="text/csv", headers=headers)
    assert response.status_code == 200
    assert "X-Amzn-SageMaker-Session-Id" not in response.headers


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
        "logger": "answers",
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


def test_a_failing_algorithm_is_500_without_its_secrets(lines: Lines) -> None:
    """The caller gets the request id, the log gets the traceback under the same id."""
    client = client_of(unwell)
    response = client.post("/invocations", data=LINE * 3, content_type="text/csv")
    assert_error(response, 500, "internal_error", "the log holds the cause under this request id")
    assert b"secret" not in response.get_data()
    out, err = lines()
    assert out == []
    assert len(err) == 1
    assert (err[0]["level"], err[0]["status"]) == ("error", 500)
    assert err[0]["request_id"] == response.headers["X-Request-Id"]
    assert "KeyError: 'secret of the algorithm'" in err[0]["traceback"]


def test_one_function_makes_the_shape_of_errors() -> None:
    """Whichever part answers, an error is the same JSON, within the platform's limit."""
    assert error_body("timeout", "too slow", "call-7") == (
        b'{"error": {"code": "timeout", "message": "too slow", "request_id": "call-7"}}\n'
    )
    error = json.loads(error_body("invalid_value", "m" * 9000, "id", 3, "c" * 500))["error"]
    assert error["where"] == {"row": 3, "column": "c" * 100}
    assert error["message"].endswith("mmm...")
    assert len(error_body("invalid_value", "m" * 9000, "id", 3, "c" * 500)) <= ERROR_BYTES


def test_an_error_may_have_a_status_that_has_no_name() -> None:
    """A RequestError that an algorithm makes for itself is answered with the status it says."""

    class Busy(RequestError):
        status, code = 460, "busy"

    def answer(columns: Columns) -> Any:
        if len(columns["pickup_latitude"]) > 2:
            raise Busy("come again")
        return latitude(columns)

    response = client_of(answer).post("/invocations", data=LINE * 3, content_type="text/csv")
    assert_error(response, 460, "busy", "come again")


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ("all", ([200, 404, 200], [415, 500])),
        ("errors", ([404, 200], [415, 500])),
        ("none", ([], [500])),
    ],
)
def test_requests_that_have_a_line(
    logged: str,
    expected: tuple[list[int], list[int]],
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All, those that fail or are slow, or none but those with a traceback."""

    def answer(columns: Columns) -> Any:
        if (columns["passenger_count"] == 9).any():
            raise ValueError("told to")
        return latitude(columns)

    client = client_of(answer, log_requests=logged)
    client.post("/invocations", data=LINE, content_type="text/csv")
    client.post("/invocations", data=LINE, content_type="image/png")
    client.post("/invocations", data=LINE.replace(",1\n", ",9\n"), content_type="text/csv")
    client.get("/nowhere")
    monkeypatch.setattr("answers.SLOW_S", 0)
    client.post("/invocations", data=LINE, content_type="text/csv")
    told = [
        [each["status"] for each in stream if each["message"] == "request"] for stream in lines()
    ]
    assert tuple(told) == expected


def test_lines_wait_for_others_and_errors_do_not(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A batch is written when it is full, when an error comes, which stands behind it, and when its
    time is up.
    """
    times: list[bool] = []
    batch = logs.Batch()
    batch.begin(lambda: times.append(True))
    monkeypatch.setattr(logs.Lines, "batch", batch)
    client = client_of()
    for _ in range(2):
        client.post("/invocations", data=LINE, content_type="text/csv")
    assert (lines()[0], len(times)) == ([], 1)
    client.post("/invocations", data=LINE, content_type="image/png")
    assert [len(stream) for stream in lines()] == [2, 1]
    logs.write_line("x", logging.INFO, "long", {"text": "x" * (logs.BATCH_BYTES // 2)})
    assert (len(lines()[0]), len(times)) == (2, 2)
    logs.write_line("x", logging.INFO, "long", {"text": "x" * (logs.BATCH_BYTES // 2)})
    assert len(lines()[0]) == 3
    logs.write_line("x", logging.INFO, "longer", {"text": "x" * logs.BATCH_BYTES})
    assert [line["message"] for line in lines()[0]] == ["request"] * 2 + ["long"] * 2 + ["longer"]
    batch.flush()
    assert len(lines()[0]) == 5
