"""What training tells about its rows and its errors, noted by train, read by serve."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from project import CONTAINER  # noqa: F401 - puts the program on the path
from sagemaker_runtime.algorithm import Column, Json, Table
from sagemaker_runtime.baseline import views
from sagemaker_runtime.baseline.bins import Bins, psi
from sagemaker_runtime.baseline.content import FILE, Baseline, Ranges
from sagemaker_runtime.baseline.seen import NEWEST_ROWS, SAMPLE_ROWS, Seen

TABLE = Table(
    Column("size", "number", "1"),
    Column("kind", "text", "a"),
    label=Column("price", "number", "1"),
)
DATED = Table(Column("at", "timestamp", "2014-02-25"), label=Column("price", "number", "1"))


def columns(size: np.ndarray) -> dict[str, np.ndarray]:
    kind = np.array(["a"] * len(size), object)
    return {"size": size, "kind": kind, "price": 2 * size}


def saved(seen: Seen, folder: Path, table: Table = TABLE) -> Baseline:
    seen.save(folder, table)
    baseline = Baseline.load(folder)
    assert baseline is not None
    return baseline


@pytest.mark.parametrize("piece", [1_000, 50_000, 200_000])
def test_ranges_of_many_rows(piece: int, tmp_path: Path) -> None:
    """However the rows come, the range ends at the quantiles, and few of them are held."""
    size = np.random.default_rng(1).permutation(200_000).astype(float)
    seen = Seen()
    handed_on = list(seen.watch(columns(s) for s in np.split(size, 200_000 // piece)))
    assert np.array_equal(np.concatenate([each["size"] for each in handed_on]), size)
    assert sum(len(each["size"]) for each in seen._pieces) <= 2 * SAMPLE_ROWS
    baseline = saved(seen, tmp_path)
    assert list(baseline.ranges.columns) == ["size"]
    assert baseline.ranges.columns["size"] == pytest.approx((200, 199_800), abs=100)
    assert baseline.ranges.label == sorted(baseline.ranges.label)
    assert baseline.ranges.label[5] == pytest.approx(200_000, rel=0.01)
    counts = baseline.columns["size"].counts
    assert counts[:10] == pytest.approx(counts.sum() / 10, rel=0.01)


def test_the_ranges_are_of_the_rows_used_the_counts_of_those_read(tmp_path: Path) -> None:
    """What an algorithm has cleaned sets the ranges; raw requests are compared with raw rows."""
    seen = Seen()
    list(seen.watch([columns(np.array([1e9, 5.0]))]))
    seen.use(columns(np.array([5.0, np.nan, 6.0])))
    baseline = saved(seen, tmp_path)
    low, high = baseline.ranges.columns["size"]
    assert 5 <= low < high <= 6
    assert baseline.columns["size"].values == (5.0, 1e9)


def test_the_newest_judged_rows_promise_the_error(tmp_path: Path) -> None:
    """Of the rows that the model had not seen the newest count, wherever they stand."""
    rows = 3 * NEWEST_ROWS
    at = np.datetime64("2014-01-01", "s") + np.arange(rows)
    price = np.random.default_rng(0).normal(10, 3, rows)
    is_old = np.arange(rows) < rows - NEWEST_ROWS
    order = np.random.default_rng(1).permutation(rows)
    judged = {"at": at[order], "price": price[order]}
    seen = Seen()
    list(seen.watch([judged]))
    seen.judge(judged, price[order] - np.where(is_old, 100.0, 2.0)[order])
    baseline = saved(seen, tmp_path, DATED)
    assert baseline.errors is not None
    assert baseline.errors.rows == NEWEST_ROWS
    assert baseline.errors.mean == pytest.approx(2)
    assert baseline.errors.correlation == pytest.approx(1)
    assert baseline.prediction is not None
    assert baseline.prediction.counts.sum() == NEWEST_ROWS


def test_segments_of_the_judged_rows_are_kept(tmp_path: Path) -> None:
    """Each segment that the algorithm names has its errors, those of too few rows left out."""
    judged = columns(np.arange(1000.0))
    seen = Seen()
    list(seen.watch([judged]))
    seen.judge(judged, judged["price"] - np.where(judged["size"] < 500, 1.0, 3.0))
    seen.save(
        tmp_path,
        TABLE,
        lambda rows: {"half": {"low": rows["size"] < 500, "few": rows["size"] < 5}},
    )
    baseline = Baseline.load(tmp_path)
    assert baseline is not None
    assert list(baseline.segments["half"]) == ["low"]
    assert baseline.segments["half"]["low"].mean == pytest.approx(1)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Table, bins and moments come back; the file is small and holds no row."""
    seen = Seen()
    list(seen.watch([columns(np.random.default_rng(0).normal(size=1000))]))
    baseline = saved(seen, tmp_path)
    assert Baseline.read(baseline.text()).text() == baseline.text()
    assert baseline.table.features == TABLE.features
    assert baseline.table.label == TABLE.label
    assert (tmp_path / FILE).stat().st_size < 2000


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


@pytest.mark.parametrize("text", ["mine", "[]", "{}", json.dumps({"format": 1, "ranges": 1})])
def test_a_strange_file_is_passed_over(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in another form is logged and changes nothing."""
    caplog.set_level(logging.INFO)
    (tmp_path / FILE).write_text(text)
    assert Baseline.load(tmp_path) is None
    assert FILE in caplog.text
    assert Ranges().columns == {}


def test_few_values_have_bins_of_their_own() -> None:
    """Up to twelve values each are a bin, what is new and what is missing have one each."""
    bins = Bins.of(np.array([1.0, 2.0, 2.0, np.nan]))
    assert bins.names == ["1", "2", "other", "missing"]
    assert bins.counts.tolist() == [1, 2, 0, 1]
    assert bins.count(np.array([2.0, 7.0, np.nan, np.nan])).tolist() == [0, 1, 1, 2]


def test_texts_have_the_most_frequent_values() -> None:
    """Of many different texts twelve are told apart."""
    texts = np.array([f"t{number}" for number in range(50)] + ["a"] * 9 + [""], object)
    bins = Bins.of(texts)
    assert "a" in bins.values
    assert len(bins.values) == 12
    assert bins.counts.sum() == len(texts)
    assert bins.count(np.array(["a", "b", ""], object))[-2:].tolist() == [1, 1]


def test_large_numbers_are_told_apart() -> None:
    """Codes stay what they are, and days of a year as numbers fall into ten bins, by name too."""
    codes = np.tile([1000001.0, 1000002.0, 1000003.0], 100)
    bins = Bins.of(codes)
    assert bins.names == ["1000001", "1000002", "1000003", "other", "missing"]
    assert bins.count(codes).tolist() == bins.counts.tolist() == [100, 100, 100, 0, 0]
    days = np.concatenate([20260000.0 + 100 * month + np.arange(1, 29) for month in range(1, 13)])
    bins = Bins.of(days)
    assert bins.counts[:10].tolist() == pytest.approx([len(days) / 10] * 10, abs=1)
    assert len({*bins.names}) == len(bins.counts)
    assert bins.names[0] == "up to 20260206"


def test_what_was_the_largest_value_shows_when_it_becomes_rare() -> None:
    """A value in most rows has a bin to itself, wherever it stands among the others."""
    rare = np.linspace(0, 99, 50)
    for most in (-5.0, 50.5, 100.0):
        bins = Bins.of(np.concatenate([np.full(950, most), rare]))
        assert 950 in bins.counts
        changed = bins.count(np.concatenate([np.full(100, most), rare]))
        assert psi(bins.counts, changed) > 0.2


@pytest.mark.parametrize(
    "values",
    [
        np.tile(20250000.0 + np.repeat(np.arange(1, 13) * 100, 28) + np.tile(range(1, 29), 12), 3),
        np.full(1_000, 1 / 3),
        np.repeat([0.0, 1 / 3], [10, 990]),
        np.full(1_000, np.nan),
    ],
    ids=["days of a year", "one value", "two values", "no value"],
)
def test_a_range_leaves_out_no_usual_value(values: np.ndarray, tmp_path: Path) -> None:
    """Rows of training lie within, however many digits they have and however near they are."""
    seen = Seen()
    list(seen.watch([columns(values)]))
    baseline = saved(seen, tmp_path)
    low, high = baseline.ranges.columns.get("size", (np.nan, np.nan))
    assert not np.any((values < low) | (values > high))
    assert (
        baseline.columns["size"].count(values).tolist() == baseline.columns["size"].counts.tolist()
    )


def test_the_index_grows_with_the_difference() -> None:
    """Equal shares are near 0, an empty bin stays finite."""
    even = np.array([100, 100, 100, 0])
    assert psi(even, np.array([50, 50, 50, 0])) < 0.01
    assert 0.2 < psi(even, np.array([0, 75, 75, 0])) < 10


def test_hours_are_those_of_whole_days_and_no_date_is_compared() -> None:
    """Of 30 hours the newest 24 count; weekdays need a week; the date itself is left out."""
    at = np.datetime64("2014-01-01T00", "h") + np.arange(30)
    found = views.of(DATED, {"at": at.astype("datetime64[s]")})
    assert list(found) == ["at (hour)"]
    assert sorted(found["at (hour)"]) == list(range(24))
    week = np.datetime64("2014-01-01T00", "h") + np.arange(24 * 9)
    found = views.of(DATED, {"at": week.astype("datetime64[s]")})
    days, times = np.unique(found["at (weekday)"].astype(str), return_counts=True)
    assert len(days) == 7
    assert set(times.tolist()) == {24}
