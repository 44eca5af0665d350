"""The ranges of the values that a model was trained on, noted by train, read by serve."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from project import CONTAINER  # noqa: F401 - puts the program on the path
from sagemaker_runtime.algorithm import Column, Json, Table
from sagemaker_runtime.ranges import FILE, SAMPLE_ROWS, Ranges, Seen

TABLE = Table(
    Column("size", "number", "1"),
    Column("kind", "text", "a"),
    label=Column("price", "number", "1"),
)


def columns(size: np.ndarray) -> dict[str, np.ndarray]:
    kind = np.array(["a"] * len(size), object)
    return {"size": size, "kind": kind, "price": 2 * size}


@pytest.mark.parametrize("piece", [1_000, 50_000, 200_000])
def test_ranges_of_many_rows(piece: int, tmp_path: Path) -> None:
    """However the rows come, the range ends at the quantiles, and few of them are held."""
    size = np.random.default_rng(1).permutation(200_000).astype(float)
    seen = Seen()
    handed_on = list(seen.watch(columns(s) for s in np.split(size, 200_000 // piece)))
    assert np.array_equal(np.concatenate([each["size"] for each in handed_on]), size)
    assert sum(len(each["size"]) for each in seen._pieces) <= 2 * SAMPLE_ROWS
    seen.save(tmp_path, TABLE)
    ranges = Ranges.load(tmp_path)
    assert list(ranges.columns) == ["size"]
    assert ranges.columns["size"] == pytest.approx((200, 199_800), abs=100)
    assert ranges.label == sorted(ranges.label)
    assert ranges.label[5] == pytest.approx(200_000, rel=0.01)


def test_the_rows_that_are_used_count(tmp_path: Path) -> None:
    """What an algorithm has cleaned takes the place of what was read; gaps do not count."""
    seen = Seen()
    list(seen.watch([columns(np.array([1e9, 5.0]))]))
    seen.use(columns(np.array([5.0, np.nan, 6.0])))
    seen.save(tmp_path, TABLE)
    low, high = Ranges.load(tmp_path).columns["size"]
    assert 5 <= low < high <= 6


def test_nothing_is_written_without_a_table_or_over_a_file(tmp_path: Path) -> None:
    """No rows, no table: no file; and a file that the algorithm wrote under that name stays."""
    Seen().save(tmp_path, TABLE)
    seen = Seen()
    seen.use(columns(np.array([5.0])))
    seen.save(tmp_path, Json(example=1))
    assert not list(tmp_path.iterdir())
    (tmp_path / FILE).write_text("mine")
    seen.save(tmp_path, TABLE)
    assert (tmp_path / FILE).read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    ["mine", "[]", "{}", json.dumps({"columns": {"a": [1]}, "label": []}), '{"columns": 1}'],
)
def test_a_strange_file_is_passed_over(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in another form is logged and changes nothing."""
    caplog.set_level(logging.INFO)
    (tmp_path / FILE).write_text(text)
    assert Ranges.load(tmp_path) == Ranges()
    assert FILE in caplog.text
