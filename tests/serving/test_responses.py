"""What gunicorn hands to a socket."""

from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi

from sagemaker_runtime.serving.responses import Response


class Socket:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, content: bytes) -> None:
        self.sent.append(content)


def sent(kind: Any, headers: list[tuple[str, str]], parts: list[bytes], method: str) -> list[bytes]:
    """
    Return what an answer of these parts makes somebody send, without its date.
    """
    request = SimpleNamespace(
        version=(1, 1), method=method, should_close=lambda: False, headers=[], _expected_100=False
    )
    response = kind(request, caller := Socket(), Config())
    response.start_response("200 OK", headers)
    for part in parts:
        response.write(part)
    response.close()
    lines = [part.split(b"\r\n") for part in caller.sent]
    return [b"\r\n".join(x for x in each if not x.startswith(b"Date: ")) for each in lines]


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ([("Content-Length", "3")], [b"1.5"]),
        ([("Content-Length", "3")], [b"1", b".5"]),
        ([("Content-Length", "3")], [b"1.5", b"6"]),
        ([("Content-Length", "0")], [b""]),
        ([], [b"1", b"", b".5"]),
        ([], []),
    ],
    ids=str,
)
def test_the_same_is_sent(method: str, headers: list[tuple[str, str]], parts: list[bytes]) -> None:
    """Whatever the answer is, the caller gets the bytes that gunicorn would send."""
    usual = sent(wsgi.Response, headers, parts, method)
    assert b"".join(sent(Response, headers, parts, method)) == b"".join(usual)


def test_a_whole_answer_is_sent_at_once() -> None:
    """Head and body go together, so that the other side is woken once."""
    given = [("Content-Length", "3"), ("Content-Type", "text/csv")], [b"1.5"], "POST"
    assert len(sent(wsgi.Response, *given)) == 2
    (only,) = sent(Response, *given)
    assert only.endswith(b"\r\nContent-Type: text/csv\r\n\r\n1.5")
