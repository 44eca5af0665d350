"""
How gunicorn sends an answer, and what it says to a request that it refuses itself.
"""

import json
import logging
import secrets
import socket

from gunicorn import util
from gunicorn.http import wsgi

from sagemaker_runtime.serving import refusals


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """
    Sends head and body together. gunicorn sends one after the other, for which nginx, or the
    caller, is woken twice: at one connection a sixth of the time that a row takes.
    """

    headers_sent: bool

    def write(self, arg: bytes) -> None:
        """
        Send a part of the body, and before the first one the head.
        """
        is_whole = not self.headers_sent and self.response_length == len(arg)
        if not is_whole or self.chunked or self._omits_body:
            super().write(arg)
            return
        fields = [f"{name}: {value}\r\n" for name, value in self.headers]
        head = "".join([*self.default_headers(), *fields, "\r\n"]).encode("latin-1")
        self.headers_sent, self.sent = True, len(arg)
        self.sock.sendall(head + arg)


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:
    """
    Answer a request that gunicorn refuses before the application sees it.
    """
    if message.startswith("Invalid HTTP Version"):  # gunicorn's 400 for it, nginx's is 505
        status, reason = 505, "HTTP Version Not Supported"
    request_id = secrets.token_hex(16)
    refusal = refusals.find(status)
    about = {
        "request_id": request_id,
        "status": status,
        "error": refusal.code,
        "reason": (message or reason)[:500],
    }
    logging.getLogger("gunicorn.error").warning("request refused", extra={"fields": about})
    error = {"code": refusal.code, "message": refusal.message, "request_id": request_id}
    body = json.dumps({"error": error}).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-Id: {request_id}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode() + body)
