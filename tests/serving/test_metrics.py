"""What GET /metrics says, as ``serve`` answers it. Each test of serve states its scenario."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from application import LINE, client_of
from harness import ServeProcess, wait_until
from project import CONTAINER, assemble
from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.baseline.content import FILE, Baseline, Ranges
from sagemaker_runtime.serving import metrics
from sagemaker_runtime.serving.folder import METRICS_VARIABLE
from sagemaker_runtime.serving.instruments import MOST_LABELS
from sagemaker_runtime.serving.observed import Observer
from sagemaker_runtime.serving.tallies import Answered
from served import CSV, NGINX, children_of, master_of, start_serve

# "size" has a range from 10 to 20; negative ones are repaired.
ALGORITHM = """
import time
import numpy as np
from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.serving.metrics import count_repaired

INPUT = Table(Column("size", "number", example="12", optional=True))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    time.sleep(0.05)
    return model_dir


def predict(model_dir, columns):
    size = columns["size"]
    count_repaired("sign", np.count_nonzero(size < 0))
    while (size == 99).any() and not (model_dir / "release").exists():
        (model_dir / "held").touch()
        time.sleep(0.001)
    predicted = np.abs(np.nan_to_num(size))
    size *= 1000  # it may change what it is given, which is counted as it came
    return predicted
"""

BASELINE = Baseline(
    Table(Column("size", "number", "15")), Ranges({"size": (10, 20)}, [10, 15, 20]), {}
)

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def counting(shared: Path) -> Path:
    return assemble(shared / "counting", ALGORITHM)


@pytest.fixture
def ranged(model: Path) -> Path:
    (model / FILE).write_text(BASELINE.text())
    return model


def parsed(text: str) -> Found:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(serve: ServeProcess) -> Found:
    answer = serve.call("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
    return parsed(answer.body.decode())


def value(found: Found, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def memory_of(found: Found) -> list[float]:
    return [each for (name, _), each in found.items() if name.endswith("memory_bytes")]


def invocations(found: Found, status: str = "200") -> float:
    return value(found, "model_server_requests_total", route="/invocations", status=status)


@NGINX
def test_all_workers_are_counted(nginx: bool, counting: Path, ranged: Path) -> None:
    """
    1. requests of all kinds are sent to two workers: small, large, refused, to no route
    2. the metrics are asked for
    Result: each is counted once, whichever worker had it, and rows, bytes, values outside the
    range, repairs and predictions too; not the self-test's rows; the log has nothing of it.
    """
    with start_serve(counting, ranged, nginx=nginx, allowed=["invalid_value"]) as serve:
        serve.wait_for_ping()
        size = 0
        for body in [b"12\n"] * 20 + [b"5\n\n-15\n"[:2], b"-15\n16\n25\n"] + [b"18\n" * 30_000]:
            assert serve.call("/invocations", body, headers=CSV).status == 200
            size += len(body)
        assert serve.call("/invocations", b"many\n", headers=CSV).status == 422
        assert serve.call("/favicon.ico").status == 404
        rows = 20 + 1 + 3 + 30_000

        def complete() -> Found | None:
            found = asked(serve)  # another worker may be half through its counts
            compared = value(found, "model_rows_compared_to_training_total")
            is_complete = invocations(found) == 23 and compared == rows
            # One that had no request counts for the first time a second after its start.
            is_complete = is_complete and len(memory_of(found)) == 2
            return found if is_complete and invocations(found, "422") else None

        found = wait_until(complete, what="all workers have counted")
        assert invocations(found, "422") == 1
        assert value(found, "model_server_requests_total", route="/ping", status="200") >= 1
        assert value(found, "model_server_rows_total") == rows
        assert value(found, "model_server_payload_bytes_total") == size
        assert value(found, "model_rows_outside_training_range_total") == 3
        assert value(found, "model_values_outside_training_range_total", column="size") == 3
        assert value(found, "model_rows_repaired_total", rule="sign") == 1
        steps = {
            le: value(found, "model_predictions_bucket", output="prediction", le=le)
            for le in ("10.0", "15.0", "20.0", "+Inf")
        }
        assert steps == {"10.0": 1, "15.0": 22, "20.0": rows - 1, "+Inf": rows}
        total = 20 * 12 + 5 + 15 + 16 + 25 + 18 * 30_000
        assert value(found, "model_predictions_sum", output="prediction") == total
        assert value(found, "model_server_request_seconds_count", route="/invocations") == 24
        assert value(found, "model_server_model_load_seconds") >= 0.05
        memory = memory_of(found)
        assert len(memory) == 2
        assert min(memory) > 5e6
        assert not serve.log("/metrics")


def test_a_killed_worker(counting: Path, ranged: Path) -> None:
    """
    1. requests are counted, then a worker is killed
    2. a request is in work in the other one
    Result: what it had counted stays, its memory is no longer told of; the one in work is counted.
    """
    with start_serve(counting, ranged, allowed=["SIGKILL", "was killed"]) as serve:
        serve.wait_for_ping()
        for _ in range(10):
            serve.call("/invocations", b"12\n", headers=CSV)
        wait_until(lambda: invocations(asked(serve)) == 10, what="the requests are counted")
        before = children_of(master_of(serve, "gunicorn"))
        os.kill(before[0], signal.SIGKILL)

        def pids(found: Found) -> set[str]:
            return {dict(labels)["pid"] for (_, labels) in found if "pid" in dict(labels)}

        def replaced() -> Found | None:
            try:
                found = asked(serve)
            except AssertionError:  # the worker that is asked may be the killed one
                return None
            is_new = str(before[0]) not in pids(found) and len(pids(found)) == 2
            return found if is_new else None

        found = wait_until(replaced, what="the new worker is told of instead")
        assert invocations(found) == 10


def test_a_large_request_is_in_flight(counting: Path, ranged: Path) -> None:
    """
    1. a request is in work
    Result: it is told of as long as it is, and no longer.
    """
    from concurrent.futures import ThreadPoolExecutor

    body = b"99\n" * 30_000
    with start_serve(counting, ranged, workers=1) as serve, ThreadPoolExecutor(1) as pool:
        serve.wait_for_ping()
        request = pool.submit(serve.call, "/invocations", body, headers=CSV, timeout=30)
        try:
            wait_until((ranged / "held").exists, what="the request reaches the model")
            assert value(asked(serve), "model_server_in_flight") == 1
        finally:
            (ranged / "release").touch()
        assert request.result().status == 200
        assert value(asked(serve), "model_server_in_flight") == 0


def test_without_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another server, the process that is asked tells of itself."""
    recorder = metrics.Recorder()
    monkeypatch.setattr(metrics, "recorder", recorder)
    for module in ("answers", "predictor", "invocations", "threads"):
        monkeypatch.setattr(f"{module}.recorder", recorder)
    client = client_of()
    recorder.begin()
    client.get("/ping")
    client.post("/invocations", data=LINE, content_type="text/csv")
    found = parsed(client.get("/metrics").get_data(as_text=True))
    assert invocations(found) == 1
    assert value(found, "model_server_requests_total", route="/ping", status="200") == 1


def test_a_long_queue_is_counted_at_once() -> None:
    """A busy worker holds no more than some hundred pieces."""
    recorder = metrics.Recorder()
    recorder.begin()
    for _ in range(metrics.LONG + 1):
        recorder.piece({}, 2, ["a", "b"])
        recorder.request("/invocations", 200, 0.001, 5, 2)
    assert len(recorder._pieces) == 1


def test_rows_alone_and_together_are_counted_alike() -> None:
    """Of a request with one row the same is counted as of that row among others, in any thread."""
    sizes = [9.0, 10.0, 12.0, 20.0, 21.0, nan, inf, -1.0]
    predictions = [10.0, 15.0, 15.5, 99.0, nan, inf, 0.0, 20.0]

    def counted(rows: int, threads: int) -> bytes:
        recorder = metrics.Recorder()
        recorder.describe(BASELINE, 0.1)
        recorder.begin()
        with ThreadPoolExecutor(1) as pool:
            submit = pool.submit if threads else lambda work, *given: work(*given)
            for at in range(0, len(sizes), rows):
                asked = {"size": np.array(sizes[at : at + rows])}
                submit(recorder.piece, asked, rows, np.array(predictions[at : at + rows]))
        recorder.flush()
        lines = generate_latest(recorder.instruments().registry).splitlines()
        names = b"model_predictions_b", b"model_predictions_s", b"model_rows", b"model_values"
        found = (each for each in lines if each.startswith(names))
        return b"\n".join(each for each in found if b"_created" not in each)

    alone = counted(1, 0)
    assert b'model_predictions_bucket{le="15.0",output="prediction"} 3.0' in alone
    assert b"model_rows_outside_training_range_total 4.0" in alone
    assert alone == counted(8, 0) == counted(1, 1)


@pytest.mark.parametrize("columns", [{}, {"other": np.ones(1)}])
@pytest.mark.parametrize("rows", [1, 3, metrics.LARGE_ROWS + 1])
def test_columns_that_predict_has_taken_out(rows: int, columns: dict[str, np.ndarray]) -> None:
    """An algorithm may use up its columns, or a model have the ranges of another table."""
    recorder = metrics.Recorder()
    recorder.describe(BASELINE, 0.1)
    recorder.begin()
    left = {name: np.repeat(values, rows) for name, values in columns.items()}
    recorder.piece(left, rows, np.ones(rows))
    recorder.flush()
    count = recorder.instruments().registry.get_sample_value
    assert count("model_predictions_count", {"output": "prediction"}) == rows
    assert not count("model_rows_outside_training_range_total")


@pytest.mark.parametrize(
    ("columns", "predicted"),
    [
        ({"size": np.array(["big"])}, np.ones(1)),  # in training, it was a number
        ({}, [{"low": 1}, None]),
    ],
)
def test_what_cannot_be_counted_fails_no_request(
    columns: dict[str, np.ndarray], predicted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, with the traceback; nothing piles up, and what comes next is counted."""
    recorder = metrics.Recorder()
    recorder.describe(BASELINE, 0.1)
    recorder.begin()
    for _ in range(2):
        recorder.piece(columns, len(predicted), predicted)
        recorder.flush()
    recorder.request("/invocations", 200, 0.001, 5, 1)
    recorder.flush()
    (told,) = caplog.records
    assert told.exc_info
    assert not [*recorder._pieces, *recorder._counts]
    assert recorder.instruments().registry.get_sample_value("model_server_rows_total") == 1


COUNTING = """
import os, pathlib
from sagemaker_runtime.serving.metrics import Recorder

recorder = Recorder()
recorder.begin()
recorder.request("/ping", 200, 0.001)
recorder.flush()
for file in pathlib.Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).iterdir():
    found = file.stat()
    print(file.stem, found.st_size, found.st_blocks * 512)
"""


def test_files_have_no_holes(tmp_path: Path) -> None:
    """A worker that writes into a hole of its files on a full disk would be killed."""
    environ = {**os.environ, METRICS_VARIABLE: str(tmp_path)}
    command = [sys.executable, "-c", COUNTING]
    done = subprocess.run(command, env=environ, cwd=CONTAINER, capture_output=True, text=True)
    files = [line.split() for line in done.stdout.splitlines()]
    assert len(files) == 5, done.stderr
    assert all(int(allocated) >= int(size) > 0 for _, size, allocated in files), files


def test_a_worker_goes_on_with_the_counts_of_one_that_has_ended(tmp_path: Path) -> None:
    """However many workers there were, the files are those of the workers that there are."""
    environ = {**os.environ, METRICS_VARIABLE: str(tmp_path)}
    for _ in range(3):
        subprocess.run([sys.executable, "-c", COUNTING], env=environ, cwd=CONTAINER, check=True)
    for kind in ("counter", "histogram"):
        assert len(list(tmp_path.glob(f"{kind}_*.db"))) == 1
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))  # type: ignore[no-untyped-call]
    found = parsed(generate_latest(registry).decode())
    assert value(found, "model_server_requests_total", route="/ping", status="200") == 3
    assert value(found, "model_server_request_seconds_count", route="/ping") == 3


def test_nothing_is_held_outside_of_a_server() -> None:
    """In training, where the same functions are called, nothing is counted."""
    recorder = metrics.Recorder()
    recorder.repaired("sign", 3)
    recorder.piece({}, 1, np.zeros(1))
    recorder.request("/ping", 200, 0.1)
    assert not [*recorder._repaired, *recorder._pieces]
    assert recorder._requests == Answered()


COLUMNS = {"size": np.array([12.0, 25.0, np.nan])}


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (np.array([1.0, 2.0, np.nan]), {"prediction": 3.0}),
        ([1, 2, 3], {"prediction": 6.0}),
        (np.array([[1, 4], [2, 5], [3, 6]]), {"0": 6.0, "1": 15.0}),
        ({"low": [1, 2, 3], "label": ["a", "b", "a"]}, {"low": 6.0}),
        ([{"low": 1}, {"low": 2}, {"low": 3}], {"low": 6.0}),
        ([[1], [2, 3], []], {}),
        ([None, "x", 3], {}),
    ],
)
def test_whatever_is_predicted(predicted: Any, expected: dict[str, float]) -> None:
    """Numbers of each output are counted, in whatever form predict returns them."""
    counts = Observer(Ranges({"size": (10, 20)}, [])).count([(COLUMNS, predicted)])
    assert {name: total for name, (_, total) in counts.predictions.items()} == expected
    assert (counts.rows, counts.outside) == (3, 1)


def test_a_text_that_is_not_unicode() -> None:
    """A label may repeat what a request has sent: it costs no answer of /metrics."""
    recorder = metrics.Recorder()
    recorder.begin()
    recorder.piece({}, 2, ["half \ud83d", "whole"])
    recorder.flush()
    assert b'label="half ?"' in generate_latest(recorder.instruments().registry)


def test_texts_are_counted_by_what_they_say() -> None:
    """Each label has its own count, up to a number of them."""
    recorder = metrics.Recorder()
    recorder.begin()
    texts = [f"label {n}" for n in range(MOST_LABELS + 5)]
    recorder.piece({}, len(texts), np.array(texts))
    recorder.piece({}, 2, ["label 0", "label 0"])
    recorder.flush()
    registry = recorder.instruments().registry
    name = "model_predicted_labels_total"
    label = {"output": "prediction", "label": "label 0"}
    assert registry.get_sample_value(name, label) == 3
    assert registry.get_sample_value(name, {**label, "label": "(other)"}) == 5
