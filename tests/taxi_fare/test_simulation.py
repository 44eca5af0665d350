"""
Simulated trips: repeatable, in Kaggle's format, and like real ones in what matters.
"""

import gzip
import re

import numpy as np
import pytest

from project import SAMPLE
from sagemaker_runtime.training import tables
from taxi_fare import blocks, geography
from taxi_fare.cleaning import clean
from taxi_fare.schema import INPUT
from taxi_fare.simulation import main, simulate

ROWS = 40_000
LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.000000\d+,-?\d+\.\d{1,2},\1 UTC"
    r"(,-?\d+\.\d+){4},[0-6]"
)


@pytest.fixture(scope="module")
def raw():
    return simulate(ROWS, seed=1)


@pytest.fixture(scope="module")
def trips(raw):
    return clean([raw])[0]


def test_a_file_says_what_simulate_returns(tmp_path):
    """1. a file is written from the command line 2. it is read. Result: the simulated columns."""
    for name in ("trips.csv", "trips.csv.gz"):
        folder = tmp_path / name
        folder.mkdir()
        main(["--rows", "3000", "--seed", "5", "--out", str(folder / name)])
        columns = blocks.join(tables.read(folder, INPUT))
        for column, values in simulate(3000, seed=5).items():
            np.testing.assert_array_equal(columns[column], values)


def test_the_format_is_kaggles(tmp_path):
    """Header, key, times and numbers look as in the competition's file."""
    main(["--rows", "2000", "--out", str(tmp_path / "trips.csv")])
    header, *lines = (tmp_path / "trips.csv").read_text().splitlines()
    assert header == (
        "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,"
        "dropoff_longitude,dropoff_latitude,passenger_count"
    )
    assert len(lines) == 2000
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    """Two runs give identical files, gzipped ones without a time; another seed gives others."""
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        main(["--rows", "500", "--seed", seed, "--out", str(tmp_path / f"{name}.csv.gz")])
    a, b, c = ((tmp_path / f"{name}.csv.gz").read_bytes() for name in "abc")
    assert a == b
    assert a[4:8] == bytes(4)  # where gzip keeps the time
    assert gzip.decompress(a) != gzip.decompress(c)


def test_blocks_differ():
    """More rows than are drawn at once do not repeat the first ones."""
    first, second = np.split(simulate(200_000, seed=1)["pickup_longitude"], 2)
    assert np.mean(first == second) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", "0", "--out", "a.csv"], "0 rows; expected 1 or more"),
        (["--out", "a.parquet"], "expected a name such as trips.csv"),
        ([], "--out"),
    ],
)
def test_bad_options_are_refused(capsys, options, message):
    """An option that cannot be met ends with a message and writes nothing."""
    with pytest.raises(SystemExit):
        main(options)
    assert message in capsys.readouterr().err


def test_dirty_rows_come_in_their_shares(raw):
    """Zero coordinates, swapped ones and odd fares are as frequent as in the real files."""
    _, report = clean([raw])
    share = {count.rule: count.rows / ROWS for count in report.counts}
    assert share["coordinate_missing"] == pytest.approx(0.0196, abs=0.003)
    assert share["coordinate_outside"] == pytest.approx(0.0008, abs=0.0006)
    assert 0 < share["swapped_coordinates"] < 0.001
    assert 0 < share["fare_too_low"] < 0.0006
    nowhere = [
        raw[f"{e}_{a}"] == 0 for e in ("pickup", "dropoff") for a in ("longitude", "latitude")
    ]
    assert np.mean(np.all(nowhere, axis=0)) == pytest.approx(0.0179, abs=0.003)
    assert np.mean(raw["passenger_count"] == 0) == pytest.approx(0.0034, abs=0.001)


def test_coordinates_have_the_digits_of_the_recorders(trips):
    """Six decimals, a few torn by arithmetic, and single precision since 2015."""
    degrees = trips["pickup_longitude"]
    late = trips["pickup_datetime"] >= np.datetime64("2015-01-01")
    assert (degrees == degrees.round(6))[~late].mean() == pytest.approx(0.976, abs=0.005)
    assert (degrees == degrees.round(5))[~late].mean() < 0.15
    assert (degrees == degrees.astype(np.float32))[late].all()


def test_distances_and_fares_are_real_ones(trips):
    """Quantiles lie near those of 121,793 real trips of 2009 to 2015."""
    shares = (0.25, 0.5, 0.75, 0.95)
    np.testing.assert_allclose(
        np.quantile(geography.trip_km(trips), shares), (1.26, 2.16, 3.93, 10.06), rtol=0.1
    )
    np.testing.assert_allclose(
        np.quantile(trips["fare_amount"], shares), (6.0, 8.5, 12.5, 30.1), rtol=0.12
    )


def test_fares_lie_on_the_meters_grid(trips):
    """Steps of 40 cents before the tariff rose and of 50 since, for most trips."""
    old = trips["pickup_datetime"] < np.datetime64("2012-09-04")
    steps = (trips["fare_amount"] - 2.5) / np.where(old, 0.4, 0.5)
    on_grid = np.isclose(steps, np.rint(steps))
    assert on_grid[old].mean() > 0.9
    assert on_grid[~old].mean() > 0.9


def test_jfk_costs_the_flat_fare(trips):
    """Between JFK and Manhattan most pay 45, later 52 dollars, with a toll or none."""
    start, end = (
        geography.locate(trips[f"{e}_longitude"], trips[f"{e}_latitude"])
        for e in ("pickup", "dropoff")
    )
    jfk = geography.JFK
    flat = (geography.km_to(jfk, start) <= jfk.radius_km) & geography.in_manhattan(end)
    fares = trips["fare_amount"][flat]
    expected = [flat + toll for flat in (45, 52) for toll in (0, 4.15, 4.57, 4.8, 5.33, 5.54)]
    assert flat.mean() > 0.005
    assert np.isclose(fares[:, None], expected).any(axis=1).mean() > 0.85


def test_times_follow_the_city(trips):
    """Six in the evening is busy, five in the morning is not; mid-2015 is the end."""
    times = trips["pickup_datetime"]
    hours = np.bincount(times.astype("datetime64[h]").astype(int) % 24) / len(times)
    assert hours[18] == pytest.approx(0.061, abs=0.01)
    assert hours[5] == pytest.approx(0.0105, abs=0.004)
    assert times.min() >= np.datetime64("2009-01-01")
    assert times.max() < np.datetime64("2015-07-01")
    assert (times.astype(int) % 60 == 0).mean() == pytest.approx(0.48, abs=0.03)


def test_the_sample_is_small_and_useful():
    """The files in the repository read and clean like any channel, and hold under 1.5 MB."""
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 1_500_000
    _, report = clean(tables.read(SAMPLE, INPUT))
    assert report.rows_read == 24_000
    assert report.rows_kept > 23_000
