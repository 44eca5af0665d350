"""
Cleaning and splitting of training rows.
"""

import json

import numpy as np
import pytest

from sagemaker_runtime.errors import DataError
from taxi_fare.cleaning import RULES, clean, split

GOOD = {
    "fare_amount": 8.5,
    "pickup_datetime": np.datetime64("2014-02-25T12:17:00", "s"),
    "pickup_longitude": -74.0148,
    "pickup_latitude": 40.7159,
    "dropoff_longitude": -74.0039,
    "dropoff_latitude": 40.7255,
    "passenger_count": 2.0,
}
ROWS = 200
SWAPPED = {
    "pickup_longitude": GOOD["pickup_latitude"],
    "pickup_latitude": GOOD["pickup_longitude"],
}


def trips(**first):
    """Good rows of different seconds; the first has the given values."""
    columns = {name: np.repeat(np.array([value]), ROWS) for name, value in GOOD.items()}
    columns["pickup_datetime"] = columns["pickup_datetime"] + np.arange(ROWS) * 37
    for name, value in first.items():
        columns[name][0] = value
    return columns


def counted(report):
    return {count.rule: count.rows for count in report.counts if count.rows}


def test_good_rows_pass_untouched():
    """Nothing is counted and no value changes where nothing is wrong."""
    columns, report = clean([trips()])
    assert counted(report) == {}
    assert (report.rows_read, report.rows_kept) == (ROWS, ROWS)
    for name, values in trips().items():
        np.testing.assert_array_equal(columns[name], values)


def test_batches_are_put_together():
    """Rows follow in the order of the batches, and what was met in each adds up."""
    columns, report = clean([trips(fare_amount=fare) for fare in (-1.0, 9.0, -1.0)])
    assert counted(report) == {"fare_too_low": 2}
    assert (report.rows_read, report.rows_kept) == (3 * ROWS, 3 * ROWS - 2)
    assert np.flatnonzero(columns["fare_amount"] == 9.0).tolist() == [ROWS - 1]


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("fare_missing", {"fare_amount": np.nan}),
        ("fare_missing", {"fare_amount": np.inf}),
        ("fare_too_low", {"fare_amount": 2.49}),
        ("fare_too_low", {"fare_amount": -8.5}),
        ("fare_too_high", {"fare_amount": 250.01}),
        ("pickup_missing", {"pickup_datetime": np.datetime64("NaT")}),
        ("pickup_clock", {"pickup_datetime": np.datetime64("2007-12-31T23:59:59")}),
        ("pickup_clock", {"pickup_datetime": np.datetime64("2031-01-01T00:00:00")}),
        ("coordinate_missing", {"dropoff_latitude": 0.0}),
        ("coordinate_missing", {"pickup_longitude": np.nan}),
        ("coordinate_outside", {"dropoff_longitude": -73.137393, "dropoff_latitude": 41.366138}),
        ("coordinate_outside", {"pickup_latitude": 51.5}),
    ],
)
def test_bad_rows_are_dropped_and_counted(rule, first):
    """Each kind of bad row is left out and counted by its own rule, the others stay."""
    columns, report = clean([trips(**first)])
    assert counted(report) == {rule: 1}
    assert report.rows_kept == ROWS - 1
    for name, values in trips().items():
        np.testing.assert_array_equal(columns[name], values[1:])


@pytest.mark.parametrize(
    "first",
    [
        {"fare_amount": 2.5},
        {"fare_amount": 250.0},
        {"passenger_count": 0.0},
        {"passenger_count": 6.0},
        # A round trip for the flat fare: real, and leaving such rows out makes the model worse.
        {
            "fare_amount": 57.33,
            "dropoff_longitude": GOOD["pickup_longitude"],
            "dropoff_latitude": GOOD["pickup_latitude"],
        },
    ],
)
def test_implausible_rows_stay(first):
    """What is odd but may be real is neither dropped nor changed."""
    columns, report = clean([trips(**first)])
    assert counted(report) == {}
    assert {name: columns[name][0] for name in first} == first


@pytest.mark.parametrize(
    ("rule", "first", "repaired"),
    [
        ("swapped_coordinates", SWAPPED, {name: GOOD[name] for name in SWAPPED}),
        ("passenger_count", {"passenger_count": 7.0}, {"passenger_count": 1.0}),
        ("passenger_count", {"passenger_count": -1.0}, {"passenger_count": 1.0}),
        ("passenger_count", {"passenger_count": np.nan}, {"passenger_count": 1.0}),
    ],
)
def test_rows_are_repaired_and_counted(rule, first, repaired):
    """Swapped coordinates and odd passenger counts are repaired, in new arrays."""
    before = trips(**first)
    columns, report = clean([before])
    assert counted(report) == {rule: 1}
    assert report.rows_kept == ROWS
    assert {name: columns[name][0] for name in repaired} == repaired
    np.testing.assert_equal({name: before[name][0] for name in first}, first)


def test_a_dropped_row_is_counted_once():
    """Dropped rows add up: one that breaks several rules counts for the first of them."""
    _, report = clean([trips(fare_amount=-1.0, pickup_latitude=0.0, dropoff_latitude=99.0)])
    assert counted(report) == {"fare_too_low": 1}
    assert report.rows_read - report.rows_kept == 1


def test_the_report_tells_what_was_met():
    """The log names the rules that met a row, with count and share; the JSON holds them all."""
    _, report = clean([trips(fare_amount=300.0)])
    lines = report.lines()
    assert lines[0] == "Cleaning kept 199 of 200 rows"
    assert "  dropped 1 (0.500%): fare above 250 dollars" in lines
    assert len(lines) == 2
    content = json.loads(json.dumps(report.as_dict()))
    assert [count["rule"] for count in content["counts"]] == [rule.name for rule in RULES]


def test_too_few_rows_stop_the_job():
    """When hardly any row is left, the message tells how many each rule took."""
    columns = trips()
    columns["fare_amount"][:150] = 0.0
    with pytest.raises(
        DataError, match=r"50 of 200 rows are left .* at least 100\. .* 150 dropped: fare below"
    ):
        clean([columns])
    with pytest.raises(DataError, match=r"99 of 99 .* none was bad"):
        clean([{name: values[:99] for name, values in trips().items()}])


def test_a_split_takes_its_share_and_loses_nothing():
    """Every row lands on one side, validation gets about the fraction asked for."""
    columns = {name: np.tile(values, 50) for name, values in trips().items()}
    columns["pickup_datetime"] = columns["pickup_datetime"][0] + np.arange(50 * ROWS)
    training, validation = split(columns, 0.2, seed=3)
    assert 0.18 < len(validation["fare_amount"]) / (50 * ROWS) < 0.22
    times = np.concatenate([training["pickup_datetime"], validation["pickup_datetime"]])
    np.testing.assert_array_equal(np.sort(times), columns["pickup_datetime"])


def test_a_row_stays_on_its_side():
    """Neither the order of the rows nor what other rows there are moves a row."""
    columns = trips()
    _, validation = split(columns, 0.3, seed=3)
    fewer = {name: values[::-1][:150] for name, values in columns.items()}
    _, some = split(fewer, 0.3, seed=3)
    kept = np.isin(fewer["pickup_datetime"], validation["pickup_datetime"])
    np.testing.assert_array_equal(some["pickup_datetime"], fewer["pickup_datetime"][kept])


def test_trips_of_one_second_stay_together():
    """No pickup second appears on both sides."""
    columns = trips()
    columns["pickup_datetime"] = columns["pickup_datetime"][0] + np.arange(ROWS) // 4
    training, validation = split(columns, 0.3, seed=3)
    assert not set(training["pickup_datetime"]) & set(validation["pickup_datetime"])


def test_another_seed_splits_otherwise():
    """The seed decides which rows are held out."""
    first, second = (split(trips(), 0.3, seed)[1]["pickup_datetime"].tolist() for seed in (0, 1))
    assert first != second


def test_a_split_with_an_empty_side_is_refused():
    """Trips of one second cannot be split; the message says so."""
    columns = trips()
    columns["pickup_datetime"][:] = columns["pickup_datetime"][0]
    with pytest.raises(DataError, match=r"validation_fraction 0\.2 .* more different times"):
        split(columns, 0.2, seed=0)
