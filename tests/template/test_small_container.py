"""
A container of 512 MB is sent bodies as large as it takes, of shapes that cost much memory.
"""

import gzip
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from containers import server
from project import own_algorithm

pytestmark = pytest.mark.docker

# Time enough for a busy machine; what is looked at here is memory.
SMALL = ("--memory", "512m", "--memory-swap", "512m", "--env", "MODEL_SERVER_TIMEOUT=600")
LARGEST = 100 * 1024**2
CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"

CONTENT_TYPE, EXAMPLE = own_algorithm().input.example()
# One more row of the example, all of it where it has no rows.
ROW = own_algorithm().input.example(2)[1].removeprefix(EXAMPLE) or EXAMPLE

SHAPES = {
    "rows": (CONTENT_TYPE, EXAMPLE, ROW, b""),
    "commas": (CSV, b"", b"," * 90_000 + b"\n", b""),
    "names": (CSV, b"", b"name,", b""),
    "quoted": (CSV, EXAMPLE + b'"', b"x", b'"\n'),
    "empty-lists": (JSON, b'{"instances": [[]', b", []", b"]}"),
    "columns": (JSON, b'{"a": [1', b",1", b"]}"),
    "escapes": (JSON, b'{"instances": ["', b"\\u0041", b'"]}'),
    "levels": (JSON, b"", b'{"a": [', b""),
    "blanks": (JSON, b"", b" " * 1000, b"1"),
    "empty-lines": (JSON_LINES, b"{}", b"\n{}", b""),
}


def body_of(begin: bytes, unit: bytes, end: bytes) -> bytes:
    """
    Repeat the unit until the body is as large as a body may be.
    """
    return begin + unit * ((LARGEST - len(begin + end)) // len(unit)) + end


@pytest.fixture(scope="module")
def small(image, trained):
    """A small container that serves; no line of error may be in its log at the end."""
    with server(image, trained.model, SMALL, allow='"level": "warning"') as started:
        yield started


@pytest.mark.parametrize(
    ("shape", "compressed"), [*((shape, False) for shape in SHAPES), ("rows", True)]
)
def test_no_body_costs_a_worker(small, shape, compressed):
    """It is answered or refused; no worker is killed, and pings are answered meanwhile."""
    content_type, *parts = SHAPES[shape]
    headers = {"Content-Type": content_type}
    body = body_of(*parts)
    if compressed:
        body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"

    def send() -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", small.port, timeout=600)
        try:
            connection.request("POST", "/invocations", body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        sent = pool.submit(send)
        assert small.healthy()
        status, content = sent.result()
    assert status in (200, 400, 413, 415, 422), content
    assert status == 200 or len(content) <= 2048
    assert small.healthy()
