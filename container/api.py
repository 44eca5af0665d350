"""
The HTTP surface: GET /ping and POST /invocations. Status codes, headers, negotiation, nothing else.
"""

import json
import logging
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from tempfile import SpooledTemporaryFile
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast
from uuid import uuid4

import gevent
from flask import Flask, Request, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)
from werkzeug.http import parse_accept_header, parse_options_header

from predictor import Predictor
from sagemaker_runtime.algorithm import Schema
from sagemaker_runtime.codecs import CSV, MEDIA_TYPES, check_media_type, decode, encode
from sagemaker_runtime.columns import shown
from sagemaker_runtime.errors import NotAcceptable, PayloadTooLarge, RequestError
from sagemaker_runtime.logs import write_line
from sagemaker_runtime.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# SageMaker hands the caller the first 2048 characters of a failed answer.
ERROR_BYTES = 2048

# Bodies above this, about 900 rows or 5 ms of work, leave the event loop free for /ping; below it
# a thread costs more than it saves.
LARGE_BODY_BYTES = 64 * 1024

# A larger body waits on disk, and is read in pieces.
IN_MEMORY_BYTES = 1024 * 1024

# Threads for those, per worker: with more they fight for Python's lock. Three bodies of 45 MB at
# once took 9 s with one thread, 15 s with two and 20 s with ten, and /ping waited 0.2 to 0.8 s.
THREADS = 1

# A model that needs longer than this for one row never runs on the event loop.
SLOW_MODEL_SECONDS = 0.005

# The platform's limits: 64 characters for an inference id, 1024 for custom attributes.
INFERENCE_ID_LENGTH = 64
CUSTOM_ATTRIBUTES_LENGTH = 1024

# Longest column name that an error repeats, in characters.
COLUMN_LENGTH = 100

# JSON is always UTF-8; of CSV the next container in a pipeline must be told.
CONTENT_TYPES = {CSV: f"{CSV}; charset=utf-8"}

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class ModelUnavailable(RequestError):
    """The model could not be loaded or failed its self-test."""

    status = 503
    code = "model_unavailable"


class TimedOut(RequestError):
    """The prediction took longer than the timeout setting."""

    status = 504
    code = "timeout"


class Call(Request):
    """
    A request that knows when it began and by which id the caller and the log will find it.
    """

    def __init__(self, environ: "WSGIEnvironment", *args: Any, **options: Any) -> None:
        super().__init__(environ, *args, **options)
        self.began = perf_counter()
        given = environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID", "")
        self.id = given if _is_printable(given, INFERENCE_ID_LENGTH) else uuid4().hex


def create_app(predictor: Predictor, schema: Schema, settings: Settings) -> Flask:
    """
    Make the WSGI application that answers for one model.
    """
    app = Flask(__name__, static_folder=None)
    app.request_class = Call
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_mb * 1024**2

    @app.get("/ping", provide_automatic_options=False)
    def ping() -> Response:
        _check_health(predictor)
        return _answer(_call(), b'{"status": "healthy"}\n', "application/json")

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        call = _call()
        # First, as a proxy takes an answer before the end of the body for a broken connection.
        with _body_file(call) as body:
            size = _read_body(call, body)
            _check_health(predictor)
            media_type, charset = _content_type(call.environ.get("CONTENT_TYPE", ""))
            answer_type = _answer_type(call.environ.get("HTTP_ACCEPT", ""), media_type)

            def work() -> tuple[int, bytes]:
                predictions = predictor.predict_all(decode(body, media_type, charset, schema))
                return len(predictions), encode(predictions, answer_type)

            if size > LARGE_BODY_BYTES or predictor.seconds > SLOW_MODEL_SECONDS:
                rows, content = _in_thread(work, settings.timeout_s)
            else:
                rows, content = work()
        _log(call, 200, rows=rows, bytes=size)
        return _answer(call, content, CONTENT_TYPES.get(answer_type, answer_type))

    @app.errorhandler(RequestError)
    def refuse(error: RequestError) -> Response:
        return _error(error.status, error.code, str(error), error.row, error.column)

    @app.errorhandler(HTTPException)
    def refuse_http(error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            return refuse(_too_large(_call().content_length, settings))
        if isinstance(error, NotFound):
            path = shown(_call().path)
            return _error(
                404, "not_found", f"{path} is not served; use POST /invocations or GET /ping"
            )
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            message = f"{shown(_call().method)} is not for {_call().path}; use {allowed}"
            response = _error(405, "method_not_allowed", message)
            response.headers["Allow"] = allowed
            return response
        return _error(error.code or 500, "bad_request", str(error.description))

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        message = "the prediction failed; the log holds the cause under this request id"
        return _error(500, "internal_error", message, cause=error)

    return app


def _call() -> Call:
    return cast(Call, request._get_current_object())  # type: ignore[attr-defined]


def _body_file(call: Call) -> IO[bytes]:
    size = call.content_length
    if size is not None and size <= LARGE_BODY_BYTES:
        return BytesIO()
    return cast(IO[bytes], SpooledTemporaryFile(IN_MEMORY_BYTES))


def _read_body(call: Call, body: IO[bytes]) -> int:
    """
    Copy the request's body to a file, go to its start and return its length in bytes.
    """
    size = call.content_length
    if size is not None and size <= LARGE_BODY_BYTES:
        # Not by way of call.stream, whose checks take longer than the reading.
        if body.write(call.environ["wsgi.input"].read(size)) < size:
            raise ClientDisconnected()
    else:
        # Not until the stream ends: werkzeug takes a read at the limit for a body above it.
        while body.tell() != size and (piece := call.stream.read(LARGE_BODY_BYTES)):
            body.write(piece)
            gevent.sleep(0)  # a body that arrives as fast as it is read would let nobody else run
        size = body.tell()
    body.seek(0)
    return size


def _check_health(predictor: Predictor) -> None:
    reason = predictor.health()
    if reason is not None:
        raise ModelUnavailable(reason)


@lru_cache(maxsize=256)
def _content_type(header: str) -> tuple[str, str]:
    """
    Split a Content-Type header into media type and charset, both lower case and readable here.
    """
    media_type, parameters = parse_options_header(header)
    media_type, charset = media_type.lower(), parameters.get("charset", "utf-8").lower()
    check_media_type(media_type, charset)
    return media_type, charset


@lru_cache(maxsize=256)
def _answer_type(accept: str, request_type: str) -> str:
    """
    Choose the answer's media type; the request's own where Accept leaves the choice.
    """
    if not accept.strip():
        return request_type
    # Parameters such as a charset do not change what is produced.
    wanted = MIMEAccept(
        (media_range.partition(";")[0].strip(), quality)
        for media_range, quality in parse_accept_header(accept)
    )
    chosen = wanted.best_match([request_type, *MEDIA_TYPES])
    if chosen is None:
        raise NotAcceptable(
            f"Accept is {shown(accept)}; what can be produced is {', '.join(MEDIA_TYPES)}"
        )
    return chosen


def _too_large(size: int | None, settings: Settings) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body {f'has {size} bytes' if size else 'is too large'}; at most "
        f"{settings.max_payload_mb} MB are taken. Send fewer rows at a time, or set "
        "MODEL_SERVER_MAX_PAYLOAD_MB"
    )


def _in_thread(work: Callable[[], Result], timeout_s: float) -> Result:
    """
    Run work in a real thread while this worker goes on answering other requests.

    Raises TimedOut; the thread then still runs until it reads on in the body, which is closed.
    """

    def outcome() -> tuple[Result | None, Exception | None]:
        # Returned and not raised: gevent prints whatever a thread raises to stderr.
        try:
            return work(), None
        except Exception as error:  # noqa: BLE001 - raised again below
            return None, error

    late = TimedOut(
        f"no answer within {timeout_s} s; send fewer rows at a time, or set MODEL_SERVER_TIMEOUT "
        "to more seconds"
    )
    pool = gevent.get_hub().threadpool
    pool.maxsize = THREADS
    with gevent.Timeout(timeout_s, late):
        result, error = pool.spawn(outcome).get()
    if error is not None:
        raise error
    return cast(Result, result)


def _is_printable(text: str, length: int) -> bool:
    return 0 < len(text) <= length and text.isascii() and text.isprintable()


def _answer(call: Call, content: bytes, content_type: str, status: int = 200) -> Response:
    """
    Make a response with the headers that every one carries.
    """
    headers = [("X-Request-Id", call.id)]
    attributes = call.environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES", "")
    if _is_printable(attributes, CUSTOM_ATTRIBUTES_LENGTH):
        headers.append(("X-Amzn-SageMaker-Custom-Attributes", attributes))
    return Response(content, status, headers, content_type=content_type)


def _error(
    status: int,
    code: str,
    message: str,
    row: int | None = None,
    column: str | None = None,
    cause: Exception | None = None,
) -> Response:
    """
    Log a refusal or failure and make its answer, at most ERROR_BYTES long.
    """
    call = _call()
    error: dict[str, object] = {"code": code, "message": message}
    where = {"row": row, "column": column and column[:COLUMN_LENGTH]}
    if any(where.values()):
        error["where"] = {name: value for name, value in where.items() if value is not None}
    error["request_id"] = call.id
    content = _json_line({"error": error})
    while len(content) > ERROR_BYTES:  # all but the message is bounded far below
        message = message[: len(message) * 3 // 4]
        error["message"] = message + "..."
        content = _json_line({"error": error})
    if call.path != "/ping":
        _log(call, status, cause, error=code, reason=error["message"])
    return _answer(call, content, "application/json", status)


def _json_line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _log(call: Call, status: int, cause: Exception | None = None, **fields: object) -> None:
    """
    Write the request's one line.
    """
    level = logging.INFO if status < 400 else logging.WARNING
    if status in (404, 405):
        level = logging.INFO  # scanners and scrapers ask for paths that are not served
    if status >= 500:
        level = logging.ERROR
    if logger.isEnabledFor(level):
        about = {
            "request_id": call.id,
            "status": status,
            "duration_ms": round((perf_counter() - call.began) * 1000, 3),
            **fields,
        }
        if cause:
            logger.log(level, "request", exc_info=cause, extra={"fields": about})
        else:
            write_line(logger.name, level, "request", about)
