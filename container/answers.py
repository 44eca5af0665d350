"""
What every answer has: a request id, its headers, the one shape of errors, the request's one line.
"""

import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from sagemaker_runtime.errors import RequestError, text_of
from sagemaker_runtime.formats.messages import shown
from sagemaker_runtime.logs import write_line
from sagemaker_runtime.serving.metrics import recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# SageMaker hands the caller the first 2048 characters of a failed answer.
ERROR_BYTES = 2048

# The platform's limits: 64 characters for an inference id, 1024 for custom attributes.
INFERENCE_ID_LENGTH = 64
CUSTOM_ATTRIBUTES_LENGTH = 1024

# Of an id that the platform calls a session by, in characters; the ids here have 32.
SESSION_ID_LENGTH = 256
NEW_SESSION = "NEW_SESSION"
# The platform wants to know until when it has to remember a session.
SESSION_S = 3600

# A request that takes longer is slow, in seconds.
SLOW_S = 1.0

# Longest column name that an error repeats, in characters.
COLUMN_LENGTH = 100

INTERNAL_ERROR = "internal_error"

# The key of a request's call in its WSGI environ.
CALL = "sagemaker.call"

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

Headers = list[tuple[str, str]]

logger = logging.getLogger(__name__)


class ModelUnavailable(RequestError):
    """
    The model could not be loaded or failed its self-test.
    """

    status = 503
    code = "model_unavailable"


class TimedOut(RequestError):
    """
    The prediction took longer than the timeout setting.
    """

    status = 504
    code = "timeout"


class NotArrived(RequestError):
    """
    The body stopped coming.
    """

    status = 408
    code = "request_timeout"


class Call:
    """
    A request that knows when it began and by which id the caller and the log will find it.
    """

    # Which of them have a line in the log; see MODEL_SERVER_LOG_REQUESTS.
    logged: ClassVar[str] = "all"

    __slots__ = ("began", "environ", "id", "method", "model", "path")

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self.began = perf_counter()
        self.environ = environ
        self.method, self.path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        given = environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID", "")
        self.id = given if _is_printable(given, INFERENCE_ID_LENGTH) else os.urandom(16).hex()
        # The name of the model that it asks for, where there are several.
        self.model: str | None = None
        environ[CALL] = self


class Answer(NamedTuple):
    """
    What is sent back, by Flask's response or as WSGI has it.
    """

    content: Iterable[bytes]
    headers: Headers
    status: int = 200

    def send(self, start_response: "StartResponse") -> Iterable[bytes]:
        """
        Answer as WSGI does.
        """
        start_response(STATUS_LINES.get(self.status, f"{self.status} Unknown"), self.headers)
        return self.content


def headers(call: Call, content_type: str, length: int | None) -> Headers:
    """
    Return the headers that every answer carries; a length of None is not known beforehand.
    """
    made = [("Content-Type", content_type), ("X-Request-Id", call.id)]
    if length is None:
        made.append(("X-Accel-Buffering", "no"))  # nginx passes each piece on as it comes
    else:
        made.append(("Content-Length", str(length)))
    attributes = call.environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES", "")
    if _is_printable(attributes, CUSTOM_ATTRIBUTES_LENGTH):
        made.append(("X-Amzn-SageMaker-Custom-Attributes", attributes))
    if session := call.environ.get("HTTP_X_AMZN_SAGEMAKER_SESSION_ID"):
        made.extend(_of_session(session))
    return made


def _of_session(session: str) -> Headers:
    """
    Return the header that opens a session, or names the one that a request belongs to.
    """
    if session == NEW_SESSION:
        expires = datetime.now(UTC) + timedelta(seconds=SESSION_S)
        opened = f"{os.urandom(16).hex()}; Expires={expires:%Y-%m-%dT%H:%M:%SZ}"
        return [("X-Amzn-SageMaker-New-Session-Id", opened)]
    if _is_printable(session, SESSION_ID_LENGTH):
        return [("X-Amzn-SageMaker-Session-Id", session)]
    return []


def complete(call: Call, content: bytes, content_type: str, status: int = 200) -> Answer:
    """
    Make an answer whose content is all there.
    """
    return Answer((content,), headers(call, content_type, len(content)), status)


def refusal(call: Call, error: Exception) -> Answer:
    """
    Make the answer to a request that cannot be done, and log it.
    """
    if isinstance(error, RequestError):
        return _failed(call, error.status, error.code, text_of(error), error.row, error.column)
    if isinstance(error, NotFound):
        message = f"{shown(call.path)} is not served; use POST /invocations or GET /ping"
        return _failed(call, 404, "not_found", message)
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        message = f"{shown(call.method)} is not allowed on {call.path}; use {allowed}"
        answer = _failed(call, 405, "method_not_allowed", message)
        answer.headers.append(("Allow", allowed))
        return answer
    if isinstance(error, HTTPException):
        return _failed(call, error.code or 500, "bad_request", str(error.description))
    message = "the prediction failed; the log holds the cause under this request id"
    return _failed(call, 500, INTERNAL_ERROR, message, cause=error)


def error_body(
    code: str, message: str, request_id: str, row: int | None = None, column: str | None = None
) -> bytes:
    """
    Return the one JSON shape of errors, the message shortened so that all is ERROR_BYTES at most.
    """
    error: dict[str, object] = {"code": code, "message": message}
    where = {"row": row, "column": column and column[:COLUMN_LENGTH]}
    if any(where.values()):
        error["where"] = {name: value for name, value in where.items() if value is not None}
    error["request_id"] = request_id
    content = _json_line({"error": error})
    while len(content) > ERROR_BYTES:  # all but the message is bounded far below
        message = message[: len(message) * 3 // 4]
        error["message"] = message + "..."
        content = _json_line({"error": error})
    return content


def log(
    call: Call,
    status: int,
    *,
    cause: BaseException | None = None,
    level: int | None = None,
    **fields: Any,
) -> None:
    """
    Write the request's one line, at the level that its status has unless another is given and if
    such requests have one, and count the request.
    """
    seconds = perf_counter() - call.began
    recorder.request(
        call.path,
        status,
        seconds,
        fields.get("bytes") or 0,
        fields.get("rows") or 0,
        fields.get("bad_records") or 0,
    )
    if level is None:
        level = logging.INFO if status < 400 else logging.WARNING
        if status in (404, 405):
            level = logging.INFO  # scanners and scrapers ask for paths that are not served
        if status >= 500 and status != 507:  # the platform unloads a model and tries again
            level = logging.ERROR
    if logger.isEnabledFor(level) and _is_logged(status, level, seconds):
        about = {
            "request_id": call.id,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            **fields,
        }
        if call.model is not None:
            about["model"] = call.model
        if level == logging.INFO and status == 200:
            write_line(logger.name, level, "request", about)
        else:
            logger.log(level, "request", exc_info=cause, extra={"fields": about})


def _is_logged(status: int, level: int, seconds: float) -> bool:
    if Call.logged == "all" or level >= logging.ERROR:  # a traceback is always in the log
        return True
    is_error = status >= 400 or level > logging.INFO
    return Call.logged == "errors" and (is_error or seconds > SLOW_S)


def _failed(
    call: Call,
    status: int,
    code: str,
    message: str,
    row: int | None = None,
    column: str | None = None,
    cause: Exception | None = None,
) -> Answer:
    content = error_body(code, message, call.id, row, column)
    if call.path == "/ping":
        recorder.request(call.path, status, perf_counter() - call.began)
    else:
        told = json.loads(content)["error"]["message"]
        log(call, status, cause=cause, error=code, reason=told)
    return complete(call, content, "application/json", status)


def _is_printable(text: str, length: int) -> bool:
    return 0 < len(text) <= length and text.isascii() and text.isprintable()


def _json_line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
