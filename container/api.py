"""
The Flask application: the control routes, and the middleware that answers invocations before it.
"""

import json
from collections.abc import Callable
from io import BytesIO
from time import perf_counter
from typing import TYPE_CHECKING

import flask
from flask import Flask, Response, request

from answers import CALL, Answer, Call, complete, refusal
from invocations import Invocations, check_health
from middleware import Middleware
from predictor import Predictor
from sagemaker_runtime.serving import metrics
from sagemaker_runtime.serving.batch import execution_parameters
from sagemaker_runtime.settings import Settings

if TYPE_CHECKING:
    from loading import Models
    from multi_model import MultiModel

SIGNALS = (
    flask.appcontext_popped,
    flask.appcontext_pushed,
    flask.appcontext_tearing_down,
    flask.got_request_exception,
    flask.request_finished,
    flask.request_started,
    flask.request_tearing_down,
)


def create_app(served: "Predictor | Models", settings: Settings) -> Flask:
    """
    Return the application for one model, or for those of a multi-model endpoint.

    What is added to it as Flask documents it, hooks, error handlers, extensions, more routes, works
    for every request. Hooks and error handlers make POST /invocations slower, by what Flask takes
    for a request; the first one logs this. A middleware around ``wsgi_app`` does not.
    """
    Call.logged = settings.log_requests
    app = Flask(__name__, static_folder=None)

    @app.get("/ping", provide_automatic_options=False)
    def ping() -> Response:
        check_health(served)
        return _unlogged(b'{"status": "healthy"}\n', "application/json")

    @app.get("/metrics", provide_automatic_options=False)
    def figures() -> Response:
        return _unlogged(metrics.text(), metrics.CONTENT_TYPE)

    @app.get("/execution-parameters", provide_automatic_options=False)
    def parameters() -> Response:
        content = json.dumps(execution_parameters(settings)).encode() + b"\n"
        return _unlogged(content, "application/json")

    @app.post("/invocations", provide_automatic_options=False)
    def invocations(**_: str) -> Response:
        # What a hook has read by get_data or get_json is read again.
        if (body := getattr(request, "_cached_data", None)) is not None:
            request.environ["wsgi.input"] = BytesIO(body)
        return _response(answering.invoke(_call()))

    @app.errorhandler(Exception)
    def refuse(error: Exception) -> Response:
        return _response(refusal(_call(), error))

    # Whatever these hold, somebody has put there.
    hooks = (
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.teardown_appcontext_funcs,
        app.url_value_preprocessors,
        *(signal.receivers for signal in SIGNALS),
    )
    handlers = app.error_handler_spec[None]

    def is_hooked() -> bool:
        return (
            any(hooks)
            or app.view_functions["invocations"] is not invocations
            or handlers[None].get(Exception) is not refuse
            or sum(map(len, handlers.values())) > 1
        )

    answering: Invocations | MultiModel
    middleware: Middleware | MultiModel
    if isinstance(served, Predictor):
        answering = Invocations(served, settings)
        middleware = Middleware(app.wsgi_app, _is_invocation, answering.invoke, is_hooked)
    else:
        app.add_url_rule("/models/<key>/invoke", "invocations", methods=["POST"])
        middleware = answering = _multi_model(app, served, settings, is_hooked)
    app.wsgi_app = middleware  # type: ignore[method-assign]  # as Flask documents it
    return app


def _multi_model(
    app: Flask, models: "Models", settings: Settings, is_hooked: Callable[[], bool]
) -> "MultiModel":
    from multi_model import MultiModel  # here, since most endpoints do without

    return MultiModel(app, models, settings, is_hooked)


def _is_invocation(call: Call) -> bool:
    return call.path == "/invocations" and call.method == "POST"


def _call() -> Call:
    call: Call = request.environ[CALL]
    return call


def _unlogged(content: bytes, content_type: str) -> Response:
    """
    Answer a question about the server, which is counted and has no line in the log.
    """
    call = _call()
    metrics.recorder.request(call.path, 200, perf_counter() - call.began)
    return _response(complete(call, content, content_type))


def _response(answer: Answer) -> Response:
    return Response(answer.content, answer.status, answer.headers)
