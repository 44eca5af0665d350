from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request, request_started
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from answers import CALL
from application import LARGE, LINE, Lines, client_of
from fake_algorithm import FakeAlgorithm
from http_assertions import assert_error
from sagemaker_runtime.errors import InvalidValue, ModelError


def test_ping_is_200_when_the_model_answers(client: FlaskClient) -> None:
    """A model that passed its self-test is healthy, and says so in JSON."""
    response = client.get("/ping")
    assert (response.status_code, response.get_json()) == (200, {"status": "healthy"})


def post(client: FlaskClient, body: str = LINE) -> TestResponse:
    return client.post("/invocations", data=body, content_type="text/csv")


def test_hooks_of_flask_see_every_request(client: FlaskClient) -> None:
    """Hooks of the Flask application see predictions and errors, which they leave unchanged."""
    plain = post(client)
    seen = []

    @client.application.after_request
    def look(response: Response) -> Response:
        seen.append((request.path, response.status_code))
        return response

    hooked = post(client)
    assert hooked.data == plain.data
    assert set(hooked.headers.keys()) == set(plain.headers.keys())
    assert_error(post(client, ""), 400, "malformed_body", "empty")
    assert seen == [("/invocations", 200), ("/invocations", 400)]


Seen = list[str]


def _before(app: Flask, seen: Seen) -> None:
    app.before_request(lambda: seen.append(request.path))


def _teardown(app: Flask, seen: Seen) -> None:
    app.teardown_request(lambda error: seen.append(request.path))


def _context(app: Flask, seen: Seen) -> None:
    app.teardown_appcontext(lambda error: seen.append("/invocations"))


def _preprocessor(app: Flask, seen: Seen) -> None:
    app.url_value_preprocessor(lambda endpoint, values: seen.append(f"/{endpoint}"))


def _blueprint(app: Flask, seen: Seen) -> None:
    blueprint = Blueprint("more", __name__)
    blueprint.before_app_request(lambda: seen.append(request.path))
    app.register_blueprint(blueprint)


def _view(app: Flask, seen: Seen) -> None:
    view = app.view_functions["invocations"]

    def counting() -> ResponseReturnValue:
        seen.append(request.path)
        return view()

    app.view_functions["invocations"] = counting


@pytest.mark.parametrize("hook", [_before, _teardown, _context, _preprocessor, _blueprint, _view])
def test_each_kind_of_hook_is_called_and_its_price_logged_once(
    client: FlaskClient, lines: Lines, hook: Callable[[Flask, Seen], None]
) -> None:
    """Nobody who hooks in misses a request, or slows all of them without a word."""
    seen: Seen = []
    hook(client.application, seen)
    for _ in range(2):
        assert post(client).status_code == 200
    assert seen == ["/invocations"] * 2
    out, err = lines()
    assert [line["message"] for line in out if line["logger"] == "middleware"] == [
        "the Flask application has hooks, error handlers or another view: POST /invocations goes "
        "by way of Flask so that they see it, which takes about 0.1 ms more for each request"
    ]
    assert err == []


@pytest.mark.parametrize("line", [LINE, LARGE], ids=["small", "large"])
def test_a_hook_may_read_the_body(client: FlaskClient, line: str) -> None:
    """What request.get_data() has read is predicted all the same."""
    read: list[int] = []
    client.application.before_request(lambda: read.append(len(request.get_data())))
    response = client.post("/invocations", data=line, content_type="text/csv")
    assert response.status_code == 200
    assert response.data.count(b"\n") == line.count("\n")
    assert read == [len(line)]


def test_signals_of_flask_are_hooks_too(client: FlaskClient) -> None:
    """Extensions that listen to Flask's signals, as those that trace do, hear of predictions."""
    seen = []

    def started(sender: Flask, **extra: object) -> None:
        seen.append(request.path)

    with request_started.connected_to(started, client.application):
        post(client)
    post(client)
    assert seen == ["/invocations"]


@pytest.mark.parametrize("caught", [InvalidValue, Exception])
def test_error_handlers_of_flask_are_asked(client: FlaskClient, caught: Any) -> None:
    """An error handler that somebody registers answers the errors of invocations too."""
    answer = ("mine", 418 if caught is not Exception else 500)
    client.application.register_error_handler(caught, lambda error: answer)
    response = post(client, "no number\n")
    assert (response.data, response.status_code) == (b"mine", answer[1])


def test_a_request_keeps_its_id_on_the_way_through_flask(lines: Lines) -> None:
    """Hooks, answer and log know a request by one id."""
    client, ids = client_of(), []
    client.application.before_request(lambda: ids.append(request.environ[CALL].id))
    error = assert_error(post(client, ""), 400, "malformed_body")
    _, err = lines()
    assert ids == [error["request_id"]] == [line["request_id"] for line in err]


def test_without_hooks_flask_is_not_asked(
    client: FlaskClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predictions and errors are answered without a context of Flask, and without a word."""
    monkeypatch.setattr(Flask, "full_dispatch_request", lambda app: 1 / 0)
    assert post(client).status_code == 200
    assert_error(post(client, ""), 400, "malformed_body")
    out, err = lines()
    assert [line["message"] for line in out + err] == ["request"] * 2


def test_an_extension_around_wsgi_app_sees_every_request(
    client: FlaskClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A middleware put around the application sees predictions, which stay as fast."""
    app, seen = client.application, []
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    monkeypatch.setattr(app, "wsgi_app", ProxyFix(middleware))
    assert client.get("/ping").status_code == 200
    assert post(client).status_code == 200
    assert seen == ["/ping", "/invocations"]
    out, _ = lines()
    assert [line["message"] for line in out] == ["request"]


def test_an_extension_that_hooks_in_works(client: FlaskClient) -> None:
    """Flask-CORS, taken as one of many, sets its headers on predictions."""
    CORS(client.application)
    response = post(client)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.data == b"40.715937\n"


def test_ping_is_503_with_the_reason_when_it_does_not() -> None:
    """Ping and invocations both say in one line what is wrong with the model."""

    class Unloadable(FakeAlgorithm):
        def load(self, model_dir: Path) -> Any:
            raise ModelError("model.onnx is not there")

    for client, reason in (
        (client_of(algorithm=Unloadable()), "could not be loaded: ModelError: model.onnx is not"),
        (client_of(lambda columns: [float("inf")]), "the self-test failed: AlgorithmError:"),
    ):
        assert_error(client.get("/ping"), 503, "model_unavailable", reason)
        response = client.post("/invocations", data=LINE, content_type="text/csv")
        assert_error(response, 503, "model_unavailable", reason)


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
