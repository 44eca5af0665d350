"""
Asks a server one thing over HTTP.
"""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from conformance.verdicts import Failed

Address = tuple[str, int]


class Unanswered(Failed):
    """
    No complete answer came; the message says what happened instead.
    """


@dataclass(frozen=True)
class Answer:
    """
    A response, read to its end; times in seconds.
    """

    status: int
    headers: Message
    body: bytes
    connected: float
    seconds: float

    @property
    def content_type(self) -> str:
        """
        The media type without parameters, in lower case.
        """
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """
        Return what the body says; raises Failed when it is not JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"not JSON: {self}") from None

    def __str__(self) -> str:
        start = self.body[:200].decode("utf-8", "replace").strip()
        return f"{self.status} {self.content_type or 'without a Content-Type'} {start!r}"


class Request:
    """
    One request on its own connection, in two steps: ``send`` returns when its last byte has gone.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=timeout)
        self._started = 0.0
        self._connected = 0.0

    def send(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
    ) -> None:
        """
        Send it; a server may answer before it has read everything.
        """
        self._started = time.monotonic()
        try:
            self._connection.connect()
            self._connected = time.monotonic() - self._started
        except OSError as error:
            self._connection.close()
            raise Unanswered(f"no connection: {_words(error)}") from error
        try:
            method = method or ("GET" if body is None else "POST")
            self._connection.request(method, path, body, dict(headers or {}))
        except OSError:
            pass  # the answer, if there is one, says why

    def answer(self) -> Answer:
        """
        Read the answer; raises Unanswered.
        """
        try:
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"no answer: {_words(error)}") from error
        finally:
            self._connection.close()
        seconds = time.monotonic() - self._started
        return Answer(response.status, response.headers, body, self._connected, seconds)


def ask(
    address: Address,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "",
    timeout: float = 60.0,
) -> Answer:
    """
    Send one request and return its answer; raises Unanswered.
    """
    request = Request(address, timeout)
    request.send(path, body, headers, method)
    return request.answer()


def _words(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
