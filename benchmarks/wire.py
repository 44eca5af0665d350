"""
Requests as they go over a connection, well formed or not, and what comes back.
"""

import random
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from itertools import chain
from typing import Literal

# Longer than any time limit of the subjects that is meant for a caller.
HANG_S = 90.0
CONNECT_S = 10.0
# Of a body that is sent slowly or not to its end.
PAUSE_S = 0.05
PIECES = 8

Delivery = Literal["whole", "chunked", "slow", "truncated", "stalled"]


@dataclass(frozen=True)
class Request:
    """
    What is sent, and what is known of it: its rows, where that is certain, whether it has to be
    answered 200, and whether it may be left without an answer.
    """

    what: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    good: bool = False
    delivery: Delivery = "whole"
    length: str = ""
    method: str = "POST"
    path: str = "/invocations"

    @property
    def may_be_dropped(self) -> bool:
        """
        Whether the server may close the connection: the request was not sent as it announced.
        """
        return self.delivery in ("truncated", "stalled") or bool(self.length)

    def head(self, kept: bool) -> bytes:
        """
        Return the request line and the headers.
        """
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.delivery == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.method == "POST":
            lines.append(f"Content-Length: {self.length or len(self.body)}")
        lines += [] if kept else ["Connection: close"]
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace")


@dataclass(frozen=True)
class Answer:
    """
    What a request came to; status 0 is none, ``why`` then says what happened instead.
    """

    status: int
    body: bytes = b""
    media_type: str = ""
    why: str = ""
    began: float = field(default=0.0)
    ended: float = field(default=0.0)


class Caller:
    """
    Asks one thing after another, on one connection for as long as the answers allow, or on a
    fresh one each time.
    """

    def __init__(self, port: int, kept: bool) -> None:
        self._port, self._kept = port, kept
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """
        Close the connection.
        """
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, request: Request, timeout: float = HANG_S) -> Answer:
        """
        Return what a request comes to; raises ConnectionRefusedError when nobody listens.
        """
        began = time.monotonic()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), CONNECT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(timeout)
        try:
            # An answer may stand there although the server did not want to read on.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._send(self._socket, request)
            answer = HTTPResponse(self._socket, method=request.method)
            with answer:
                answer.begin()
                body = answer.read()
                closes = answer.will_close
            media_type = answer.getheader("Content-Type", "")
            if closes or not self._kept or request.may_be_dropped:
                self.close()
            return Answer(answer.status, body, media_type, "", began, time.monotonic())
        except TimeoutError:
            self.close()
            return Answer(0, why="hang", began=began, ended=time.monotonic())
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            return Answer(0, why=repr(error)[:200], began=began, ended=time.monotonic())

    def _send(self, connection: socket.socket, request: Request) -> None:
        head, body = request.head(self._kept), request.body
        if request.delivery == "whole":
            connection.sendall(head + body)
            return
        size = max(1, -(-len(body) // PIECES))
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        if request.delivery == "chunked":
            pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
            connection.sendall(head + b"".join(chain(pieces, [b"0\r\n\r\n"])))
            return
        if request.delivery in ("truncated", "stalled"):
            pieces = pieces[: len(pieces) // 2]
        connection.sendall(head)
        for piece in pieces:
            if request.delivery == "slow":
                time.sleep(PAUSE_S * random.random())  # noqa: S311 - no secret
            connection.sendall(piece)
        if request.delivery == "truncated":
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
