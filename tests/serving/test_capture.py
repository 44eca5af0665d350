"""The server's own capture: requests and answers in the form of SageMaker's data capture."""

import base64
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from monitoring import captured
from monitoring.captured import Captured

from harness import ServeProcess, wait_until
from project import assemble
from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.serving import capture
from sagemaker_runtime.serving.capture import MOST_BYTES, MOST_WAITING, Capture
from served import CSV, start_serve

ALGORITHM = """
from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("hold", "number", example="0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return None


def predict(model, columns):
    return columns["hold"]
"""

TABLE = Table(Column("hold", "number", "0"), label=Column("held", "number", "0"))


def in_files(folder: Path) -> Callable[[], Captured]:
    def lines() -> Iterable[bytes]:
        for file in sorted(folder.rglob("*.jsonl")):
            yield from file.read_bytes().splitlines()

    return lambda: captured.read(lines(), TABLE)


def ask(serve: ServeProcess, requests: int) -> None:
    """Each request has two rows, and every other one an id of the caller's."""
    for number in range(requests):
        name = {"X-Amzn-SageMaker-Inference-Id": f"r{number}"} if number % 2 else {}
        assert serve.call("/invocations", "0\n0\n", headers=CSV | name).status == 200


@pytest.fixture(scope="module")
def program(shared: Path) -> Path:
    return assemble(shared / "capturing", ALGORITHM)


@pytest.fixture
def folder(shared: Path) -> Path:
    made = shared / "captured"
    made.mkdir(exist_ok=True)
    made.chmod(0o777)
    return made


def test_requests_are_kept_in_files_by_the_hour(program: Path, model: Path, folder: Path) -> None:
    """
    1. two workers answer requests, one refuses a bad body 2. serve is told to end.

    Result: monitoring reads each answered request with its id, rows and predictions from files of
    their hour, those of the last second included; the refused one is not among them.
    """
    environ = {"MODEL_SERVER_CAPTURE": "100", "MODEL_SERVER_CAPTURE_TO": str(folder)}
    with start_serve(program, model, nginx=False, allowed=["request"], **environ) as serve:
        serve.wait_for_ping()
        ask(serve, 20)
        assert serve.call("/invocations", "bad\n", headers=CSV).status == 422
        assert serve.stop() == 0
    rows = in_files(folder)()
    assert len(rows) == 40
    assert rows.predicted.tolist() == [0] * 40
    assert {f"r{number}" for number in range(1, 20, 2)} <= set(rows.ids)
    assert rows.counts["events"] == 20
    hour = rows.times[0].item()
    assert list(folder.glob(f"{hour:%Y/%m/%d/%H}/*.jsonl"))


def test_requests_are_kept_in_the_log(program: Path, model: Path) -> None:
    """On stdout they stand among the log's other lines, which monitoring passes over."""
    with start_serve(program, model, nginx=False, MODEL_SERVER_CAPTURE="100") as serve:
        serve.wait_for_ping()
        ask(serve, 5)

        def read() -> Captured:
            return captured.read([line.encode() for line in serve.stdout], TABLE)

        wait_until(lambda: len(read()) == 10, what="all rows are in the log")
        assert read().counts["other lines"] > 5


def test_nothing_is_kept_unless_it_is_asked_for(program: Path, model: Path) -> None:
    """Capture is off by default."""
    with start_serve(program, model, nginx=False) as serve:
        serve.wait_for_ping()
        ask(serve, 3)
        serve.stop()
        assert not serve.log("captureData")


def test_a_folder_that_cannot_be_written_is_said_once(program: Path, model: Path) -> None:
    """Requests are answered all the same; the log says what to do."""
    environ = {"MODEL_SERVER_CAPTURE": "100", "MODEL_SERVER_CAPTURE_TO": "/proc/nowhere"}
    told = "captured requests could not be written to /proc/nowhere; make the folder writable"
    with start_serve(program, model, nginx=False, workers=1, allowed=[told], **environ) as serve:
        serve.wait_for_ping()
        ask(serve, 2)
        wait_until(lambda: serve.log(told), what="the log says so")
        ask(serve, 2)
        serve.stop()
        assert len(serve.log(told)) == 1


# A folder that hangs, as a network's does, until "release" exists.
HANGING = ALGORITHM.replace(
    "    return None\n",
    """    import time
    from sagemaker_runtime.serving import capture

    def hang(folder, lines):
        (model_dir / "writing").touch()
        while not (model_dir / "release").exists():
            time.sleep(0.01)

    capture._append = hang
    return None
""",
)


def test_a_folder_that_hangs_holds_up_nobody(shared: Path, model: Path, folder: Path) -> None:
    """
    1. a request is captured, and writing it does not end
    2. a body comes that is large enough for a thread
    Result: it is answered meanwhile.
    """
    program = assemble(shared / "hanging", HANGING)
    environ = {"MODEL_SERVER_CAPTURE": "100", "MODEL_SERVER_CAPTURE_TO": str(folder)}
    with start_serve(program, model, nginx=False, workers=1, **environ) as serve:
        serve.wait_for_ping()
        ask(serve, 1)
        wait_until((model / "writing").exists, what="the request is being written")
        assert serve.call("/invocations", b"0\n" * 50_000, headers=CSV).status == 200
        (model / "release").touch()
        assert serve.stop() == 0


def test_what_is_not_captured_is_counted(program: Path, model: Path) -> None:
    """
    1. a request is captured, one has too large a body, one too large an answer for the memory
    Result: the metrics count the last two, one line of the log tells of the first of them.
    """
    environ = {"MODEL_SERVER_CAPTURE": "100"}
    with start_serve(program, model, nginx=False, workers=1, **environ) as serve:
        serve.wait_for_ping()
        for body in (b"0\n", b"0\n" * 100_000, b"0\n" * 600_000):
            assert serve.call("/invocations", body, headers=CSV).status == 200
        assert b"model_server_captures_left_out_total 2.0" in serve.call("/metrics").body
        wait_until(lambda: serve.log("not captured"), what="the log tells of it")
        [told] = serve.log("not captured")
        assert "body and answer have more than 128 kB" in told


@pytest.mark.parametrize(
    ("media_type", "body", "side"),
    [
        ("text/csv", b"1\n", {"encoding": "CSV", "data": "1\n"}),
        ("application/json", b"[1]", {"encoding": "JSON", "data": "[1]"}),
        ("application/jsonlines", b"1\n", {"encoding": "JSON", "data": "1\n"}),
        ("image/png", b"\xff", {"encoding": "BASE64", "data": base64.b64encode(b"\xff").decode()}),
        ("text/csv", b"\xff", {"encoding": "BASE64", "data": base64.b64encode(b"\xff").decode()}),
    ],
)
def test_the_form_is_that_of_the_platform(
    media_type: str, body: bytes, side: dict[str, str]
) -> None:
    """CSV and JSON as text, all else as base64."""
    sides = (capture._side(media_type, "INPUT", body), capture._side("text/csv", "OUTPUT", b"2\n"))
    content: dict[str, Any] = json.loads(capture.line(1346760901, "r1", *sides))
    given = content["captureData"]["endpointInput"]
    assert given == {"observedContentType": media_type, "mode": "INPUT", **side}
    assert content["eventMetadata"] == {"eventId": "r1", "inferenceTime": "2012-09-04T12:15:01Z"}
    assert content["eventVersion"] == "0"


def test_the_share_is_the_one_asked_for() -> None:
    """Of 10,000 requests about a fifth, of none none, of all all."""
    found = Capture()
    for percent, least, most in ((0, 0, 0), (20, 1_700, 2_300), (100, 10_000, 10_000)):
        found.begin(percent, "stdout")
        assert least <= sum(found.wants() for _ in range(10_000)) <= most


def test_what_is_too_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that no log would take, and what comes faster than it can be written."""
    found, left_out = Capture(), []
    monkeypatch.setattr("sagemaker_runtime.serving.metrics.recorder.left_out", left_out.append)
    found.note("r", "text/csv", b"1" * (MOST_BYTES + 1), "text/csv", b"")
    assert (left_out, found.take()) == ([1], [])
    fit = MOST_WAITING // MOST_BYTES
    for _ in range(fit + 5):
        found.note("r", "text/csv", b"1" * MOST_BYTES, "text/csv", b"")
    assert sum(left_out) == 6
    assert len(found.take()) == fit
    found.note("r", "text/csv", b"1", "text/csv", b"")
    assert len(found.take()) == 1
