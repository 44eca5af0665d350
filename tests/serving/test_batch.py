"""Batch transform and other large requests, as ``serve`` answers them. Each states its scenario."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from application import LINE, RECORD, client_of
from fake_algorithm import FakeAlgorithm
from harness import wait_until
from http_assertions import assert_error
from sagemaker_runtime.algorithm import Column, Columns, Table
from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.serving.batch import execution_parameters
from sagemaker_runtime.settings import Settings
from served import CSV, children_of, master_of, start_serve
from threads import in_thread

# A worker may grow by so much between a body of 2 MB and one of 30 MB; nothing of it is held whole.
GROWTH_MB = 15


def _memory(root: Path, megabytes: int) -> Path:
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/memory.max").write_text(f"{megabytes * 1024**2}\n")
    return root


@pytest.mark.parametrize(
    ("workers", "payload", "memory", "at_once", "megabytes"),
    [
        (1, 100, 4096, 1, 100),
        (2, 100, 4096, 2, 50),
        (3, 100, 4096, 3, 33),
        (8, 100, 2200, 2, 50),
        (2, 6, 4096, 2, 6),
        (256, 1, 100_000, 100, 1),
        (4, 1024, 512, 1, 100),
    ],
)
def test_the_parameters_fit_the_container(
    workers: int, payload: int, memory: int, at_once: int, megabytes: int, tmp_path: Path
) -> None:
    """As many requests as workers and memory allow, at most 100 MB at once in all."""
    environ = {
        "MODEL_SERVER_WORKERS": str(workers),
        "MODEL_SERVER_MAX_PAYLOAD_MB": str(payload),
    }
    settings = Settings.from_environ(environ)
    told = execution_parameters(settings, _memory(tmp_path, memory))
    assert told == {
        "MaxConcurrentTransforms": at_once,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": megabytes,
    }


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M)[0]) / 1024


def test_a_batch_job(program: Path, model: Path) -> None:
    """
    1. the platform says that this is a batch job, and asks how large its requests may be
    2. a body of 2 MB is sent, then one of 30 MB
    3. one with bad records is sent
    Result: one request of 100 MB at a time; each row has its answer, in order, in memory that does
    not grow with the body; a bad record has an error in its line.
    """
    with start_serve(
        program,
        model,
        workers=1,
        SAGEMAKER_BATCH="True",
        MODEL_SERVER_BAD_RECORDS="mark",
    ) as serve:
        serve.wait_for_ping()
        told = serve.call("/execution-parameters").json
        assert told["MaxConcurrentTransforms"] == 1
        assert told["MaxPayloadInMB"] == 100
        (worker,) = children_of(master_of(serve, "gunicorn"))
        Path(model / "release").touch()
        lines = [b"%013d.25" % n for n in range(1_800_000)]
        small = serve.call("/invocations", b"\n".join(lines[:120_000]), headers=CSV, timeout=60)
        assert small.status == 200
        before = _peak_mb(worker)
        large = serve.call("/invocations", b"\n".join(lines), headers=CSV, timeout=60)
        assert large.status == 200
        assert np.array_equal(np.array(large.body.split(), float), np.arange(1_800_000) + 0.25)
        assert large.headers["Content-Length"] == str(len(large.body))
        assert _peak_mb(worker) - before < GROWTH_MB

        answer = serve.call("/invocations", b"0\nmany\n0\n", headers=CSV)
        assert answer.status == 200
        first, bad, last = answer.body.decode().splitlines()
        assert (first, last) == ("0.0", "0.0")
        assert bad.startswith('"{""error"":')
        wait_until(lambda: serve.log('"bad_records":1'), what="the log counts it")


def test_an_hour_and_a_gigabyte(program: Path, model: Path) -> None:
    """
    1. serve is told that it serves asynchronous requests
    2. a body of more than 100 MB comes
    Result: both servers take it, and wait for an hour.
    """
    with start_serve(program, model, workers=1, MODEL_SERVER_MODE="async") as serve:
        serve.wait_for_ping()
        nginx = Path(f"/proc/{master_of(serve, 'nginx')}/cmdline").read_bytes()
        (conf,) = re.findall(rb"-c (\S+)", nginx.rstrip(b"\0"))
        assert "proxy_read_timeout 3610s;" in Path(conf.decode()).read_text()
        body = b"0.000000000000000000000000000000\n" * (110 * 1024**2 // 33)
        answer = serve.call("/invocations", body, headers=CSV, timeout=60)
        assert answer.status == 200
        assert answer.body.count(b"\n") == body.count(b"\n")


HEADERS = {"Accept": "application/jsonlines"}


def test_a_bad_record_fails_its_request_by_default() -> None:
    """Nobody gets error lines who has not asked for them."""
    response = client_of().post("/invocations", data=LINE + "x\n" + LINE, content_type="text/csv")
    assert_error(response, 422, "invalid_value", row=2)


def _no_south(columns: Columns) -> np.ndarray:
    wrong = columns["pickup_latitude"] < 0
    if wrong.any():
        raise InvalidValue("south", row=int(wrong.argmax()) + 1, column="pickup_latitude")
    return columns["pickup_latitude"]


@pytest.mark.parametrize("copies", [1, 1000])
def test_records_that_predict_refuses_are_marked(copies: int) -> None:
    """Rows that the algorithm refuses get their error too, in small bodies and in large ones."""
    client = client_of(_no_south, bad_records="mark")
    good = json.dumps(json.loads(RECORD))
    south = good.replace("40.7", "-40.7")
    body = "\n".join([good, south, good, "no"] * copies)
    response = client.post(
        "/invocations", data=body, content_type="application/jsonlines", headers=HEADERS
    )
    assert response.status_code == 200
    rows = [json.loads(line) for line in response.get_data().splitlines()]
    assert len(rows) == 4 * copies
    for at, row in enumerate(rows):
        if at % 2 == 0:
            assert row == {"prediction": 40.715937}
        else:
            assert row["error"]["where"]["row"] == at + 1


def tenfold(given: Any) -> Any:
    """Change what it is given, and then refuse a negative row."""
    if isinstance(given, dict) and given["x"].dtype.kind == "O":
        for each in given["x"]:
            each *= 10
        values = np.array([each[0] for each in given["x"]])
    else:
        given["x"] *= 10
        values = np.array(given["x"])
    if (values < 0).any():
        raise InvalidValue("negative", row=int((values < 0).argmax()) + 1)
    return values


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "table",
    [
        Table(Column("x", "number", "1")),
        Table(Column("x", "number", "1"), as_frame=True),
        Table(Column("x", "numbers", "[1]")),
    ],
    ids=["columns", "frame", "lists"],
)
def test_an_algorithm_may_change_what_it_is_given(table: Table, size: int) -> None:
    """Rows that are predicted again, as one among them was refused, are as they came."""
    client = client_of(algorithm=FakeAlgorithm(tenfold, table), bad_records="mark")
    values = [1, 2, -1, 4] * size
    body = "\n".join(f"[{x}]" if table.features[0].kind == "numbers" else str(x) for x in values)
    response = client.post("/invocations", data=body, content_type="text/csv")
    assert response.status_code == 200
    first, second, bad, last = response.get_data(as_text=True).splitlines()[-4:]
    assert [first, second, last] == ["10.0", "20.0", "40.0"]
    assert "negative" in bad


@pytest.mark.parametrize(
    ("rows", "bad_records", "is_in_thread"),
    [(1, "mark", False), (100, "mark", True), (100, "refuse", False)],
)
def test_marking_leaves_the_event_loop_free(
    rows: int, bad_records: str, is_in_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 KB of bad records take seconds to mark, in which pings are to be answered."""
    threads = []

    def counted(work: Callable[[], Any], timeout_s: float) -> Any:
        threads.append(work)
        return in_thread(work, timeout_s)

    monkeypatch.setattr("invocations.in_thread", counted)
    client = client_of(bad_records=bad_records)
    response = client.post("/invocations", data=LINE * rows, content_type="text/csv")
    assert len(response.get_data().splitlines()) == rows
    assert bool(threads) == is_in_thread


def test_other_errors_fail_the_request() -> None:
    """A defect of the algorithm is not blamed on a record."""
    client = client_of(lambda columns: 1 / 0, bad_records="mark")
    response = client.post("/invocations", data=LINE, content_type="text/csv")
    assert response.status_code == 503  # the self-test has found it


def test_an_algorithm_that_ends_on_a_large_body() -> None:
    """SystemExit while an answer is written to disk costs the request, not the worker."""
    algorithm = FakeAlgorithm()
    client = client_of(algorithm=algorithm, bad_records="mark")
    assert client.get("/ping").status_code == 200

    def leave(columns: Columns) -> np.ndarray:
        raise SystemExit(3)

    algorithm.answer = leave
    response = client.post("/invocations", data=LINE, content_type="text/csv")
    assert_error(response, 500, "internal_error")
