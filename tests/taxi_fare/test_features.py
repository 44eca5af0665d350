"""
Geography, tariff and features: what a trip looks like to the model.
"""

import numpy as np
import pytest

from sagemaker_runtime.algorithm import Columns
from taxi_fare import features, geography, prediction, scalar, tariff
from taxi_fare.artifact import Model

TIMES_SQUARE = (-73.9855, 40.7580)
WALL_STREET = (-74.0090, 40.7060)
JFK_TERMINAL = (-73.7838, 40.6452)
LAGUARDIA_KERB = (-73.8709, 40.7731)
NEWARK_KERB = (-74.1776, 40.6933)
WILLIAMSBURG = (-73.9571, 40.7081)
ASTORIA = (-73.9235, 40.7644)

BEFORE, SINCE = "2012-09-03T23:59:59", "2012-09-04T00:00:00"
Place = tuple[float, float]


def trips(*ends: tuple[Place, Place], pickup: str = "2014-02-25T12:17:00") -> Columns:
    starts, stops = np.array(ends, dtype=np.float64).transpose(1, 2, 0)
    return {
        "pickup_datetime": np.full(len(ends), pickup, dtype="datetime64[s]"),
        "pickup_longitude": starts[0],
        "pickup_latitude": starts[1],
        "dropoff_longitude": stops[0],
        "dropoff_latitude": stops[1],
        "passenger_count": np.ones(len(ends)),
    }


def random_trips(rows: int, seed: int = 0) -> Columns:
    random = np.random.default_rng(seed)
    seconds = random.integers(1_230_768_000, 1_435_708_800, rows)  # 2009 to mid-2015
    columns: Columns = {
        "pickup_datetime": seconds.astype("datetime64[s]"),
        "passenger_count": random.integers(0, 7, rows).astype(np.float64),
    }
    for end in ("pickup", "dropoff"):
        columns[f"{end}_longitude"] = random.uniform(-74.2, -73.7, rows)
        columns[f"{end}_latitude"] = random.uniform(40.6, 40.9, rows)
    return columns


def feature(name: str, columns: Columns) -> np.ndarray:
    return features.build(columns)[:, features.FEATURES.index(name)]


def grid_step(along_km: float, across_km: float) -> Place:
    """
    The place that lies so far up and right of Times Square.
    """
    north = along_km * geography.GRID_COS - across_km * geography.GRID_SIN
    east = along_km * geography.GRID_SIN + across_km * geography.GRID_COS
    return (
        TIMES_SQUARE[0] + east / geography.KM_PER_DEGREE_LONGITUDE,
        TIMES_SQUARE[1] + north / geography.KM_PER_DEGREE_LATITUDE,
    )


@pytest.mark.parametrize(("along", "across"), [(3.0, 0.0), (0.0, 2.0), (3.0, 4.0), (-3.0, 4.0)])
def test_distances_on_the_grid(along: float, across: float) -> None:
    """
    A trip up an avenue and across a street is as long as both together, and its crow's flight
    is their hypotenuse.
    """
    trip = trips((TIMES_SQUARE, grid_step(along, across)))
    assert feature("grid_km", trip) == pytest.approx(abs(along) + abs(across))
    assert feature("straight_km", trip) == pytest.approx(np.hypot(along, across))
    assert feature("along_km", trip) == pytest.approx(along)
    assert feature("across_km", trip) == pytest.approx(across)


def test_distance_of_known_places() -> None:
    """
    Times Square to Wall Street is 6.1 km by the great circle too (haversine, 6371 km radius).
    """
    assert geography.trip_km(trips((TIMES_SQUARE, WALL_STREET))) == pytest.approx(6.1, abs=0.1)


def test_grid_distance_is_never_the_shorter() -> None:
    """
    The grid distance lies between the straight one and the square root of two times it.
    """
    columns = random_trips(1_000)
    grid, straight = feature("grid_km", columns), feature("straight_km", columns)
    assert (grid >= straight * (1 - 1e-12)).all()
    assert (grid <= straight * np.sqrt(2) * (1 + 1e-12)).all()


def test_swapped_coordinates_are_repaired() -> None:
    """
    Latitude and longitude swapped at either end are put back, and the columns handed in stay.
    """
    right = random_trips(100)
    for end in ("pickup", "dropoff"):
        longitude, latitude = f"{end}_longitude", f"{end}_latitude"
        wrong = {**right, longitude: right[latitude], latitude: right[longitude]}
        assert not geography.usable(wrong).any()
        repaired = geography.repair(wrong)
        for name in right:
            np.testing.assert_array_equal(repaired[name], right[name])
        assert wrong[longitude] is right[latitude]


def test_repair_leaves_good_coordinates_alone() -> None:
    """
    Coordinates that are not swapped come back unchanged, unusable ones too.
    """
    columns = random_trips(100)
    columns["pickup_longitude"][:3] = [0.0, np.nan, 401.08]
    repaired = geography.repair(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(repaired[name], values)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -300.0, 401.08])
@pytest.mark.parametrize("name", ["pickup_longitude", "dropoff_latitude"])
def test_unusable_coordinates(name: str, bad: float) -> None:
    """
    One coordinate that is zero, missing or outside the city makes its trip unusable, no other.
    """
    columns = random_trips(3)
    columns[name][1] = bad
    assert geography.usable(columns).tolist() == [True, False, True]


def test_manhattan() -> None:
    """
    Times Square and Wall Street lie in Manhattan; Brooklyn, Queens and the airports do not.
    """
    outside = (WILLIAMSBURG, ASTORIA, JFK_TERMINAL, LAGUARDIA_KERB, NEWARK_KERB)
    places = np.array((TIMES_SQUARE, WALL_STREET, *outside)).T
    found = geography.in_manhattan(geography.locate(*places))
    assert found.tolist() == [True, True] + [False] * len(outside)


@pytest.mark.parametrize(
    ("airport", "place", "name"),
    [
        (geography.JFK, JFK_TERMINAL, "jfk_km"),
        (geography.LAGUARDIA, LAGUARDIA_KERB, "laguardia_km"),
        (geography.NEWARK, NEWARK_KERB, "newark_km"),
    ],
)
def test_airports(airport: geography.Airport, place: Place, name: str) -> None:
    """
    A trip from or to an airport ends within its radius, and one in Manhattan does not.
    """
    columns = trips((place, TIMES_SQUARE), (TIMES_SQUARE, place), (TIMES_SQUARE, WALL_STREET))
    assert (feature(name, columns) <= airport.radius_km).tolist() == [True, True, False]


def test_rise_of_the_tariff() -> None:
    """
    The part of a fare above the flag fall grows by a quarter at midnight on 4 September 2012.
    """
    ends = (TIMES_SQUARE, WALL_STREET)
    # The same weekday and hour a year apart: only the tariff differs.
    before = feature("expected_fare", trips(ends, pickup="2012-08-28T12:00:00"))
    since = feature("expected_fare", trips(ends, pickup="2012-09-04T12:00:00"))
    assert (since - tariff.FLAG_FALL) / (before - tariff.FLAG_FALL) == pytest.approx(1.25)
    seconds = np.array([BEFORE, SINCE], dtype="datetime64[s]").astype(np.int64)
    assert tariff.at_the_time((1.0, 2.0), seconds).tolist() == [1.0, 2.0]


def test_a_trip_of_no_length_costs_the_flag_fall() -> None:
    """
    The expected fare of a trip that ends where it began is the flag fall.
    """
    assert feature("expected_fare", trips((TIMES_SQUARE, TIMES_SQUARE))) == tariff.FLAG_FALL


@pytest.mark.parametrize(("pickup", "fare"), [(BEFORE, 45.0), (SINCE, 52.0)])
def test_flat_fare_of_jfk(pickup: str, fare: float) -> None:
    """
    Between JFK and Manhattan the flat fare is expected either way; to Brooklyn the meter counts.
    """
    flat = trips((JFK_TERMINAL, TIMES_SQUARE), (WALL_STREET, JFK_TERMINAL), pickup=pickup)
    assert feature("expected_fare", flat).tolist() == [fare, fare]
    assert feature("expected_fare", trips((JFK_TERMINAL, WILLIAMSBURG), pickup=pickup)) != fare


def test_newark_surcharge() -> None:
    """
    Going to Newark costs 17.50 more than coming back, which yellow cabs may not charge for.
    """
    there, back = feature(
        "expected_fare", trips((WALL_STREET, NEWARK_KERB), (NEWARK_KERB, WALL_STREET))
    )
    assert there - back == pytest.approx(17.5)


@pytest.mark.parametrize(
    ("pickup", "toll"),
    [
        ("2009-01-01", 4.15),
        ("2010-12-29", 4.57),
        ("2010-12-30", 4.80),
        ("2014-01-01", 5.33),
        ("2015-03-22", 5.54),
    ],
)
def test_tolls(pickup: str, toll: float) -> None:
    """
    The expected toll is the price of a crossing that day times the share of trips that pay it.
    """
    columns = trips(
        (LAGUARDIA_KERB, TIMES_SQUARE), (TIMES_SQUARE, WILLIAMSBURG), (TIMES_SQUARE, WALL_STREET),
        pickup=pickup,
    )  # fmt: skip
    assert feature("expected_toll", columns) == pytest.approx([0.83 * toll, 0.06 * toll, 0.0])


def test_expected_minutes_follow_the_hour_and_grow_with_distance() -> None:
    """
    The same trip takes longer at noon than at four in the morning, and a longer one longer.
    """
    ends, farther = (TIMES_SQUARE, grid_step(-3, 0)), (TIMES_SQUARE, grid_step(-5, 0))
    noon = feature("expected_minutes", trips(ends, farther, pickup="2014-02-25T12:00:00"))
    night = feature("expected_minutes", trips(ends, farther, pickup="2014-02-25T04:00:00"))
    assert (noon > night).all()
    assert noon[0] < noon[1]


@pytest.mark.parametrize(
    ("pickup", "hour", "weekday", "days"),
    [
        ("2009-01-01T00:00:00", 0.0, 3, 0),
        ("2014-02-25T12:30:00", 12.5, 1, 1881),
        ("2015-06-28T23:59:59", 86399 / 3600, 6, 2369),
        ("1969-12-29T06:00:00", 6.0, 0, -14248),
    ],
)
def test_time(pickup: str, hour: float, weekday: int, days: int) -> None:
    """
    Hour of the day, weekday from Monday on and days since 2009 are those of the calendar.
    """
    trip = trips((TIMES_SQUARE, WALL_STREET), pickup=pickup)
    assert feature("hour", trip) == pytest.approx(hour)
    assert feature("weekday", trip) == weekday
    assert feature("days", trip) == days


def test_shape() -> None:
    """
    There is one row per trip, one column per name, all double precision and finite.
    """
    for rows in (0, 1, 1_000):
        matrix = features.build(random_trips(rows))
        assert matrix.shape == (rows, len(features.FEATURES))
        assert matrix.dtype == np.float64
        assert matrix.flags.c_contiguous
        assert np.isfinite(matrix).all()
    assert len(set(features.FEATURES)) == len(features.FEATURES)


def test_one_row_equals_many() -> None:
    """
    A trip has the same features to the last bit alone, in a batch and in another order.
    """
    columns = random_trips(501)
    columns["pickup_datetime"][7] = np.datetime64("NaT")
    columns["dropoff_latitude"][8] = np.nan
    many = features.build(columns)
    alone = [
        features.build({name: values[row : row + 1] for name, values in columns.items()})
        for row in range(501)
    ]
    np.testing.assert_array_equal(np.concatenate(alone), many)
    backwards = features.build({name: values[::-1] for name, values in columns.items()})
    np.testing.assert_array_equal(backwards[::-1], many)


@pytest.mark.parametrize("seed", range(20))
def test_numbers_give_the_bits_of_arrays(seed: int) -> None:
    """
    What is computed number by number for a few rows is what numpy computes for many.
    """
    columns = random_trips(2_000, seed)
    random = np.random.default_rng(seed)
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e308, 5e-324, 90.0, *TIMES_SQUARE]
    days = ["NaT", "0000-01-01", "2009-07-12", "2015-03-22"]
    moments = np.array([*days, BEFORE, SINCE, "1969-12-31T23:59:59"], "datetime64[s]")
    shores = np.array([*geography._WEST_SHORE, *geography._EAST_SHORE])
    for end in ("pickup", "dropoff"):
        names = [f"{end}_longitude", f"{end}_latitude"]
        at = random.choice(2_000, 200)
        columns[names[0]][at], columns[names[1]][at] = random.choice(shores, 200).T
        at = random.choice(2_000, 100)
        columns[names[0]][at], columns[names[1]][at] = columns[names[1]][at], columns[names[0]][at]
    for name, values in columns.items():
        at = random.choice(2_000, 100)
        values[at] = random.choice(moments if name == "pickup_datetime" else odd, 100)
    many = features.build(columns)
    places = [columns[name].tolist() for name in features.COLUMNS]
    rows = zip(features.seconds(columns).tolist(), *places, strict=True)
    few = np.array([features.compute(*row, xp=scalar) for row in rows])
    # NaN has many bits, which nobody looks at; zero has two signs.
    np.testing.assert_array_equal(few, many)
    np.testing.assert_array_equal(np.signbit(few[few == 0]), np.signbit(many[few == 0]))


@pytest.mark.parametrize("seed", range(5))
def test_few_rows_get_the_fares_of_many(seed: int) -> None:
    """
    A trip costs the same to the last bit alone and among others, odd and swapped ones included.
    """
    columns = random_trips(400, seed)
    random = np.random.default_rng(seed)
    for end in ("pickup", "dropoff"):
        longitude, latitude = columns[f"{end}_longitude"], columns[f"{end}_latitude"]
        longitude[:50], latitude[:50] = latitude[:50].copy(), longitude[:50].copy()
        columns["pickup_datetime"][::9] = np.datetime64("NaT")
        longitude[random.choice(400, 20)] = random.choice([np.nan, np.inf, 0.0, 1e300], 20)
    model = Model(SomeFares(), typical_fare=8.125)  # type: ignore[arg-type]
    many = prediction.predict(model, columns)
    for few in range(1, prediction.FEW_ROWS + 1):
        for start in range(0, 400, 40):
            rows = slice(start, start + few)
            alone = prediction.predict(model, {name: v[rows] for name, v in columns.items()})
            assert alone.tobytes() == many[rows].tobytes()


class SomeFares:
    """
    Stands in for trees: fares of all kinds, halves of a cent and below the flag fall among them.
    """

    def predict(self, features: np.ndarray) -> np.ndarray:
        fares = np.nan_to_num(features[:, 0], nan=2.675, posinf=4.0) * 1.37 - 4.0
        return np.where(features[:, 15] > 4, np.round(fares, 2) + 0.005, fares)


def test_missing_values_stay_missing() -> None:
    """
    A missing value makes only the features that need it NaN, silently, in its row alone.
    """
    columns = random_trips(10)
    columns["passenger_count"][0] = np.nan
    columns["pickup_datetime"][1] = np.datetime64("NaT")
    columns["pickup_longitude"][2] = np.nan
    missing = np.isnan(features.build(columns))
    names = [{n for n, m in zip(features.FEATURES, row, strict=True) if m} for row in missing]
    assert names[0] == {"passengers"}
    assert names[1] == {"hour", "weekday", "days", "day_of_year"}
    assert {"grid_km", "straight_km", "expected_fare", "pickup_along"} <= names[2]
    assert "dropoff_along" not in names[2]
    assert all(name == set() for name in names[3:])


def test_absurd_coordinates_raise_no_warning() -> None:
    """
    Coordinates nobody could have (the model's rules deal with them) still give features.
    """
    for rows in (3, 30):
        columns = random_trips(rows)
        columns["pickup_longitude"][:3] = [1e300, -1e9, np.inf]
        assert features.build(columns).shape == (rows, len(features.FEATURES))
