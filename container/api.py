"""
The HTTP surface: GET /ping and POST /invocations. Status codes, headers, negotiation, nothing else.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from tempfile import SpooledTemporaryFile
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import gevent
from flask import Flask, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)
from werkzeug.http import parse_accept_header, parse_options_header
from werkzeug.wsgi import get_content_length, get_input_stream

from predictor import Predictor
from sagemaker_runtime.errors import (
    NotAcceptable,
    PayloadTooLarge,
    RequestError,
    UnsupportedMediaType,
)
from sagemaker_runtime.formats.codecs import CSV
from sagemaker_runtime.formats.values import shown
from sagemaker_runtime.logs import write_line
from sagemaker_runtime.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# SageMaker hands the caller the first 2048 characters of a failed answer.
ERROR_BYTES = 2048

# Bodies above this, about 900 rows or 5 ms of work, leave the event loop free for /ping; below it
# a thread costs more than it saves.
LARGE_BODY_BYTES = 64 * 1024

# Bodies above this wait on disk and are read in pieces; 10,000 rows of JSON stay below.
IN_MEMORY_BYTES = 2 * 1024 * 1024

# Threads for large bodies in a worker: more fight for Python's lock. Three bodies of 45 MB
# at once took 9 s with one thread, 15 s with two and 20 s with ten, and /ping waited 0.2 to 0.8 s.
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

Headers = list[tuple[str, str]]
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


class Call:
    """
    A request that knows when it began and by which id the caller and the log will find it.
    """

    __slots__ = ("began", "environ", "id", "method", "path")

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self.began = perf_counter()
        self.environ = environ
        self.method, self.path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        given = environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID", "")
        self.id = given if _is_printable(given, INFERENCE_ID_LENGTH) else os.urandom(16).hex()


class Service(Flask):
    """
    The application for one model.

    POST /invocations with all that can be wrong with it is ``invoke``. It is a Flask view, but one
    that Flask is only asked for when somebody hooks in by before_request and the like: finding the
    view and making its context and response take Flask longer than a row takes the model.
    """

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        super().__init__(__name__, static_folder=None)
        self.predictor, self.settings = predictor, settings
        algorithm = predictor.algorithm
        self.reads = tuple(algorithm.input.media_types)
        self.writes = tuple(algorithm.output.media_types)
        self.get("/ping", provide_automatic_options=False)(self.ping)
        self.post("/invocations", provide_automatic_options=False)(self.invocations)
        self.register_error_handler(Exception, lambda error: self.refuse(_call(), error))

    def wsgi_app(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        hooks = self.before_request_funcs or self.after_request_funcs or self.teardown_request_funcs
        call = Call(environ)
        if hooks or call.path != "/invocations" or call.method != "POST":
            return super().wsgi_app(environ, start_response)
        try:
            content, headers = self.invoke(call)
        except Exception as error:  # noqa: BLE001 - each is answered and logged
            return self.refuse(call, error)(environ, start_response)
        start_response("200 OK", headers)
        return (content,)

    def ping(self) -> Response:
        self._check_health()
        return _response(_call(), b'{"status": "healthy"}\n', "application/json")

    def invocations(self) -> Response:
        content, headers = self.invoke(_call())
        return Response(content, headers=headers)

    def invoke(self, call: Call) -> tuple[bytes, Headers]:
        """
        Predict for the rows of a request: return the body and the headers of its answer.

        Raises RequestError and HTTPException for what is the caller's fault.
        """
        # First, as a proxy takes an answer before the end of the body for a broken connection.
        size = get_content_length(call.environ)
        with _file_for(size) as body:
            size = self._read_body(call, body, size)
            self._check_health()
            media_type, charset = _content_type(call.environ.get("CONTENT_TYPE", ""), self.reads)
            answer_type = _answer_type(call.environ.get("HTTP_ACCEPT", ""), media_type, self.writes)

            def work() -> tuple[int | None, Any]:
                return self.predictor.answer(body, media_type, charset, answer_type)

            if size > LARGE_BODY_BYTES or self.predictor.seconds > SLOW_MODEL_SECONDS:
                rows, content = _in_thread(work, self.settings.timeout_s)
            else:
                rows, content = work()
        answer_type = getattr(content, "media_type", answer_type)
        _log(call, 200, rows=rows, bytes=size)
        return content, _headers(call, content, CONTENT_TYPES.get(answer_type, answer_type))

    def _read_body(self, call: Call, body: IO[bytes], size: int | None) -> int:
        """
        Copy the request's body of ``size`` bytes, None when not known, to a file, go to its start
        and return its length in bytes.
        """
        if size is not None and size <= LARGE_BODY_BYTES:
            # Not by way of get_input_stream, whose checks take longer than the reading.
            if body.write(call.environ["wsgi.input"].read(size)) < size:
                raise ClientDisconnected()
        else:
            most = self.settings.max_payload_mb * 1024**2
            stream = get_input_stream(call.environ, max_content_length=most)
            # Not until the stream ends: werkzeug takes a read at the limit for a body above it.
            while body.tell() != size and (piece := stream.read(LARGE_BODY_BYTES)):
                body.write(piece)
                gevent.sleep(0)  # a body that comes as fast as it is read would let nobody else run
            size = body.tell()
        body.seek(0)
        return size

    def _check_health(self) -> None:
        reason = self.predictor.health()
        if reason is not None:
            raise ModelUnavailable(reason)

    def refuse(self, call: Call, error: Exception) -> Response:
        """
        Make the answer to a request that cannot be done, and log it.
        """
        if isinstance(error, RequestEntityTooLarge):
            error = _too_large(get_content_length(call.environ), self.settings)
        if isinstance(error, RequestError):
            return _error(call, error.status, error.code, str(error), error.row, error.column)
        if isinstance(error, NotFound):
            message = f"{shown(call.path)} is not served; use POST /invocations or GET /ping"
            return _error(call, 404, "not_found", message)
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            message = f"{shown(call.method)} is not for {call.path}; use {allowed}"
            response = _error(call, 405, "method_not_allowed", message)
            response.headers["Allow"] = allowed
            return response
        if isinstance(error, HTTPException):
            return _error(call, error.code or 500, "bad_request", str(error.description))
        message = "the prediction failed; the log holds the cause under this request id"
        return _error(call, 500, "internal_error", message, cause=error)


def _call() -> Call:
    return Call(request.environ)


def _file_for(size: int | None) -> IO[bytes]:
    if size is not None and size <= LARGE_BODY_BYTES:
        return BytesIO()
    return cast(IO[bytes], SpooledTemporaryFile(IN_MEMORY_BYTES))


@lru_cache(maxsize=256)
def _content_type(header: str, reads: tuple[str, ...]) -> tuple[str, str]:
    """
    Split a Content-Type header into media type, one of ``reads``, and charset, both lower case.
    """
    media_type, parameters = parse_options_header(header)
    media_type, charset = media_type.lower(), parameters.get("charset", "utf-8").lower()
    if not media_type:
        raise UnsupportedMediaType(
            f"there is no Content-Type; name what the body is, one of {', '.join(reads)}"
        )
    if media_type not in reads and "*/*" not in reads:
        raise UnsupportedMediaType(
            f"Content-Type is {shown(media_type)}; expected one of {', '.join(reads)}"
        )
    return media_type, charset


@lru_cache(maxsize=256)
def _answer_type(accept: str, request_type: str, writes: tuple[str, ...]) -> str:
    """
    Choose the answer's media type out of ``writes``; where Accept leaves the choice, the request's
    own or, when it is not among them, the first.
    """
    preferred = [request_type, *writes] if request_type in writes else list(writes)
    if not accept.strip():
        return preferred[0]
    # Parameters such as a charset do not change what is produced.
    wanted = MIMEAccept(
        (media_range.partition(";")[0].strip(), quality)
        for media_range, quality in parse_accept_header(accept)
    )
    chosen = wanted.best_match([each for each in preferred if each != "*/*"])
    if chosen is None and "*/*" in writes:
        chosen = next((asked for asked in wanted.values() if "*" not in asked), None)
    if chosen is None:
        raise NotAcceptable(
            f"Accept is {shown(accept)}; what can be produced is {', '.join(writes)}"
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


def _headers(call: Call, content: bytes, content_type: str) -> Headers:
    """
    Return the headers that every answer carries.
    """
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(content))),
        ("X-Request-Id", call.id),
    ]
    attributes = call.environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES", "")
    if _is_printable(attributes, CUSTOM_ATTRIBUTES_LENGTH):
        headers.append(("X-Amzn-SageMaker-Custom-Attributes", attributes))
    return headers


def _response(call: Call, content: bytes, content_type: str, status: int = 200) -> Response:
    return Response(content, status, _headers(call, content, content_type))


def _error(
    call: Call,
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
    return _response(call, content, "application/json", status)


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
        if status == 200:
            write_line(logger.name, level, "request", about)
        else:
            logger.log(level, "request", exc_info=cause, extra={"fields": about})
