"""
The calls of a multi-model endpoint: POST and GET /models, GET and DELETE /models/NAME, and
POST /models/NAME/invoke.

A model lives in one worker, to which nginx takes all requests for it by its name; see nginx.conf. A
name is opaque and stays URL-encoded, in one way, wherever it is part of a path.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, unquote_to_bytes

from flask import Flask, Response, request

from answers import CALL, Answer, Call, complete, log
from loading import EXAMPLE, Models
from middleware import Middleware
from sagemaker_runtime.errors import Malformed, RequestError
from sagemaker_runtime.serving.models import Entry
from sagemaker_runtime.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# The key by which nginx has chosen the worker, and where it is told a better one; see nginx.conf.
PLACE, RIGHT_PLACE = "HTTP_X_MODEL_KEY", "X-Model-Key"
# A name and a path.
LOAD_BYTES = 64 * 1024
# In characters: URL-encoded, a name is three times as long and must fit into a URL.
NAME_LENGTH = 1024


class NamesNoModel(RequestError):
    """
    The request does not say which of the models it is for.
    """

    status = 404
    code = "no_model_named"


class MultiModel:
    """
    A middleware that answers invocations of models, and the views of the other calls.
    """

    def __init__(
        self, app: Flask, models: Models, settings: Settings, is_hooked: Callable[[], bool]
    ) -> None:
        self._models, self._workers = models, settings.workers
        self._middleware = Middleware(app.wsgi_app, _is_invocation, self.invoke, is_hooked)
        for path, method, view in (
            ("/models", "GET", self._list),
            ("/models", "POST", self._load),
            ("/models/<key>", "GET", self._describe),
            ("/models/<key>", "DELETE", self._unload),
        ):
            app.add_url_rule(
                path, view.__name__, view, methods=[method], provide_automatic_options=False
            )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        parts = environ.get("RAW_URI", "").partition("?")[0].split("/")
        if parts[:2] == ["", "models"] and len(parts) > 2:
            parts[2] = quote(unquote_to_bytes(parts[2]), safe="")
            environ["PATH_INFO"] = "/".join(parts)
        return self._middleware(environ, start_response)

    def invoke(self, call: Call) -> Answer:
        """
        Predict for a request.

        Raises RequestError and HTTPException for what is the caller's fault.
        """
        if not _is_invocation(call):
            raise NamesNoModel(
                f"{call.path} names none of this endpoint's models; use POST /models/NAME/invoke, "
                "with SageMaker's SDK: predict(..., target_model='NAME.tar.gz')"
            )
        key = call.path.split("/")[2]
        if answer := self._lead(call, key):
            return answer
        model = self._models.lend(key)
        try:
            answer = model.invocations.invoke(call)
        except BaseException:
            model.take_back()
            raise
        if not isinstance(answer.content, tuple):  # what is sent as it comes
            return answer._replace(content=Lent(answer.content, model.take_back))
        model.take_back()
        return answer

    def _list(self) -> Response:
        entries, token = self._models.registry.page(request.args.get("next_page_token", ""))
        content: dict[str, object] = {"models": [_description(entry) for entry in entries]}
        if token:
            content["nextPageToken"] = token
        return _response(_json(content))

    def _load(self) -> Response:
        request.max_content_length = LOAD_BYTES
        name, url = _wanted(request.get_data())
        key = quote(name, safe="")
        if answer := self._lead(_call(), key):
            return _response(answer)
        return _response(_json(_done("load", self._models.load(key, url))))

    def _describe(self, key: str) -> Response:
        _call().model = unquote(key)
        return _response(_json(_description(self._models.find(key))))

    def _unload(self, key: str) -> Response:
        if answer := self._lead(_call(), key):
            return _response(answer)
        return _response(_json(_done("unload", self._models.unload(key))))

    def _lead(self, call: Call, key: str) -> Answer | None:
        """
        Return what tells nginx to ask the worker that has the model; None when this one has it.
        """
        call.model = unquote(key)
        if self._workers == 1 or call.environ.get(PLACE) == key:
            return None
        answer = complete(call, b"", "application/json")
        answer.headers.extend([("X-Accel-Redirect", "@model"), (RIGHT_PLACE, key)])
        return answer


class Lent:
    """
    An answer that is sent as it comes, by a model that is taken back at its end.
    """

    def __init__(self, content: Iterable[bytes], take_back: Callable[[], None]) -> None:
        self._content, self._take_back = content, take_back

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._content)

    def close(self) -> None:
        """
        Close the answer, whether it was sent to its end or not.
        """
        try:
            self._content.close()  # type: ignore[attr-defined]  # a Stream
        finally:
            self._take_back()


def _is_invocation(call: Call) -> bool:
    if call.method != "POST" or not call.path.startswith("/models/"):
        return False
    return call.path.split("/")[3:] == ["invoke"]


def _wanted(body: bytes) -> tuple[str, str]:
    """
    Return the name and the url in a request to load a model; raises Malformed.
    """
    example = f'such as {{"model_name": "NAME", "url": "{EXAMPLE}"}}'
    try:
        wanted = json.loads(body)
        name, url = wanted["model_name"], wanted["url"]
        name.encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Malformed(
            f"the body does not say which model to load; expected JSON {example}"
        ) from None
    if not name or len(name) > NAME_LENGTH or not isinstance(url, str):
        raise Malformed(
            f"model_name is not a text of 1 to {NAME_LENGTH} characters or url not a text; "
            f"expected JSON {example}"
        )
    return name, url


def _description(entry: Entry) -> dict[str, object]:
    return {"modelName": unquote(entry.key), "modelUrl": entry.url}


def _done(what: str, entry: Entry) -> dict[str, object]:
    """
    Write the request's line and return what to answer.
    """
    log(_call(), 200, what=what, model_bytes=entry.size)
    return _description(entry)


def _json(content: Any) -> Answer:
    return complete(_call(), json.dumps(content).encode() + b"\n", "application/json")


def _call() -> Call:
    call: Call = request.environ[CALL]
    return call


def _response(answer: Answer) -> Response:
    return Response(answer.content, answer.status, answer.headers)
