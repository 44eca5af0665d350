"""How far captured requests are from training, in what GET /metrics says."""

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from monitoring.drift import MATTERS
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

import watched
from harness import ServeProcess, wait_until
from project import assemble
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.serving import drift
from sagemaker_runtime.serving.drift import (
    FEWEST_ROWS,
    INDEX,
    NEWEST_ROWS,
    NEWEST_S,
    VALUES,
    Newest,
    WithIndex,
)
from served import CSV, start_serve

ALGORITHM = """
from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(
    Column("size", "number", example="84.5"), Column("kind", "text", example="flat", optional=True)
)
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return None


def predict(model, columns):
    return 3 * columns["size"]
"""


@pytest.fixture(scope="module")
def program(shared: Path) -> Path:
    return assemble(shared / "drifting", ALGORITHM)


@pytest.fixture
def baseline(model: Path) -> Baseline:
    return watched.train(model)


def rows(number: int, larger: float, seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    kinds = np.array(["flat", "house"], object)
    return {"size": random.gamma(4, 30, number) + larger, "kind": random.choice(kinds, number)}


def body(columns: dict[str, np.ndarray]) -> bytes:
    pairs = zip(columns["size"], columns["kind"], strict=True)
    return "".join(f"{size:.2f},{kind}\n" for size, kind in pairs).encode()


def told(metrics: Iterable[Metric], name: str) -> dict[str, float]:
    """
    Return a metric's sum by column.
    """
    found: dict[str, float] = {}
    for sample in (each for family in metrics for each in family.samples if each.name == name):
        column = sample.labels["column"]
        found[column] = found.get(column, 0) + sample.value
    return found


def asked(serve: ServeProcess, rows: int) -> dict[str, float] | None:
    """
    Return each column's index once all rows are counted, by all workers.
    """
    families = [*text_string_to_metric_families(serve.call("/metrics").body.decode())]
    return told(families, INDEX) if told(families, VALUES).get("kind") == rows else None


@pytest.mark.parametrize("bad_records", ["refuse", "mark"])
def test_a_shift_shows_at_once(
    program: Path, model: Path, baseline: Baseline, shared: Path, bad_records: str
) -> None:
    """
    1. two workers capture requests of one row and of many, whose sizes are larger than in training
    2. the metrics are asked for.

    Result: the index is high for the size and its prediction, and low for the other column.
    """
    folder = shared / f"captured-{bad_records}"
    folder.mkdir()
    folder.chmod(0o777)
    environ = {
        "MODEL_SERVER_CAPTURE": "100",
        "MODEL_SERVER_CAPTURE_TO": str(folder),
        "MODEL_SERVER_BAD_RECORDS": bad_records,
    }
    with start_serve(program, model, nginx=False, **environ) as serve:
        serve.wait_for_ping()
        for number in range(40):
            asked_for = rows(1, larger=100, seed=number)
            assert serve.call("/invocations", body(asked_for), headers=CSV).status == 200
        for many in (200, 6_000):  # the second is worked on in a thread, and captured too
            assert serve.call("/invocations", body(rows(many, 100)), headers=CSV).status == 200
        found = wait_until(lambda: asked(serve, 6_240), what="all rows are counted")
        assert found["size"] > 5 * MATTERS
        assert found["prediction"] > 5 * MATTERS
        assert found["kind"] < MATTERS / 4


def test_nothing_is_counted_unless_requests_are_captured(
    program: Path, model: Path, baseline: Baseline
) -> None:
    """Without capture there is neither an index nor a count."""
    with start_serve(program, model, nginx=False, workers=1) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", body(rows(200, 100)), headers=CSV).status == 200
        assert b"model_captured" not in serve.call("/metrics").body


class Clock:
    """A time that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(drift, "monotonic", made)
    return made


@pytest.fixture
def found(baseline: Baseline, clock: Clock) -> Callable[..., dict[str, float]]:
    """Counts rows and returns each column's index."""
    registry, bins, seeds = CollectorRegistry(), drift.bins_of(baseline), count()
    newest = Newest(bins, baseline.table.label, registry)

    def add(number: int, larger: float) -> dict[str, float]:
        columns = rows(number, larger, seed=next(seeds))
        newest.add([(columns, 3 * columns["size"])])
        return told(WithIndex(registry, bins).collect(), INDEX)

    return add


def test_few_rows_say_nothing(found: Callable[..., dict[str, float]]) -> None:
    """An index of a handful of rows is noise, so there is none."""
    assert found(FEWEST_ROWS - 1, larger=0) == {}
    assert set(found(1, larger=0)) == {"size", "kind", "prediction"}


def test_what_was_asked_long_ago_hides_nothing(
    found: Callable[..., dict[str, float]], clock: Clock
) -> None:
    """
    1. many requests are as in training 2. an hour later they are not.

    Result: those of before count for another period only, and an index of the new ones alone is
    high.
    """
    assert found(20 * NEWEST_ROWS, larger=0)["size"] < 0.02
    clock.now = NEWEST_S
    assert found(NEWEST_ROWS, larger=100)["size"] < 0.2
    clock.now = 2 * NEWEST_S
    assert found(NEWEST_ROWS, larger=100)["size"] > 1


def test_a_slow_stream_is_counted_for_longer(
    found: Callable[..., dict[str, float]], clock: Clock
) -> None:
    """Of less than NEWEST_ROWS rows none is forgotten, however long ago they were asked for."""
    before = found(FEWEST_ROWS, larger=100)["size"]
    for hour in range(1, 4):
        clock.now = hour * NEWEST_S
        after = found(FEWEST_ROWS, larger=0)["size"]
    assert 0.1 < after < before / 2


def test_a_column_that_predict_has_taken_out_has_no_index(baseline: Baseline, clock: Clock) -> None:
    """What is left is compared all the same."""
    registry, bins = CollectorRegistry(), drift.bins_of(baseline)
    newest = Newest(bins, baseline.table.label, registry)
    newest.add([({"kind": rows(200, 0)["kind"]}, None)])
    assert set(told(WithIndex(registry, bins).collect(), INDEX)) == {"kind"}
