"""
Simulated taxi trips in Kaggle's format, dirty rows included: sample data that anyone may share.

Run from the folder above: ``python -m taxi_fare.simulation --rows 20000 --seed 1 --out FILE``.
The sample in local_test/test_dir holds 4,000, 10,000 and 10,000 rows of seeds 1, 2 and 3.
The figures here and in simulation.json were fitted to public TLC trip records of 2009 to 2016.
"""

import argparse
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.formats.columns import join
from taxi_fare import geography, tariff
from taxi_fare.recording import AXES, ENDS, mistyped, recorded, some
from taxi_fare.schema import FARE, INPUT, KEY

BLOCK = 100_000  # rows drawn at once, each block from its own seed
FIRST_DAY, LAST_DAY = np.datetime64("2009-01-01"), np.datetime64("2015-06-30")

# Spread of what the tariff's means leave open: the standard deviation of a logarithm (miles,
# speed), or of dollars (the meter).
SPREAD_MILES = 0.14
SPREAD_SPEED = 0.33
SPREAD_METER = 0.72

# Shares of trips.
WHOLE_MINUTES = 0.48  # picked up by a vendor whose recorder has no seconds
TO_NEWARK = 0.0014
FLAT_FARE = 0.97  # of the trips between JFK and Manhattan; for the rest the meter was left on
OFF_GRID = 0.04  # beside the meter's steps: a mistyped digit, a surcharge
NEGOTIATED = 0.0012  # far above what the trip explains
UNDERSTATED = 0.0008  # far below
WITH_STOP = 0.015  # goes somewhere else first

MILES_OF_STOP = 2.5  # mean

# The way to LaGuardia is this much of the tariff's mean, which a few long detours push up.
LAGUARDIA_MILES = 0.88

NEWARK_SPREAD_KM = 0.5

# People ride to near places more often than to far ones of the same hot spot: in the city, a trip
# is this much as long as between independently drawn places. Tells in km what is in the city.
NEARER = 0.88
CITY_TRIP_KM = 8.0

_FITTED: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))


def simulate(rows: int, seed: int) -> Columns:
    """
    Return trips as ``job.rows`` does, in one piece: the fare and the features, dirty rows
    included.

    The same rows and seed give the same trips.
    """
    return join(_blocks(rows, seed))


def write(path: Path, rows: int, seed: int) -> None:
    """
    Write the trips of ``simulate`` as CSV with a header, gzipped where the name ends in .gz.
    """
    names = (KEY.name, FARE.name, *(column.name for column in INPUT.features))
    with ExitStack() as files:
        file = files.enter_context(path.open("wb"))
        out: IO[bytes] | gzip.GzipFile = file
        if path.name.endswith(".gz"):
            # Without a name and a time inside, the same trips give the same file.
            out = files.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        out.write((",".join(names) + "\n").encode())
        for trips in _blocks(rows, seed):
            out.write(_csv(trips).encode())


def _blocks(rows: int, seed: int) -> Iterator[Columns]:
    for block, start in enumerate(range(0, rows, BLOCK)):
        yield _trips(min(BLOCK, rows - start), np.random.default_rng((seed, block)))


def _trips(rows: int, random: np.random.Generator) -> Columns:
    pickup = _pickup_times(rows, random)
    places = _places(rows, random)
    fare = _fares(pickup, places, random)
    places = recorded(pickup, places, fare, random)
    return {
        FARE.name: mistyped(fare, random),
        "pickup_datetime": pickup,
        **places,
        "passenger_count": random.choice(7, size=rows, p=_shares("passengers")).astype(float),
    }


def _pickup_times(rows: int, random: np.random.Generator) -> np.ndarray:
    days = np.arange(FIRST_DAY, LAST_DAY + 1)
    year = days.astype("datetime64[Y]").astype(int) + 1970
    month = days.astype("datetime64[M]").astype(int) % 12
    weekday = (days.astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    weight = np.array(_FITTED["months"])[month] * np.array(_FITTED["weekdays"])[weekday]
    for each, share in _FITTED["years"].items():
        in_year = year == int(each)
        weight[in_year] *= share / weight[in_year].sum()
    day = random.choice(len(days), size=rows, p=weight / weight.sum())
    hour = np.where(
        weekday[day] < 5,
        random.choice(24, size=rows, p=_shares("hours_weekday")),
        random.choice(24, size=rows, p=_shares("hours_weekend")),
    )
    second = random.integers(3600, size=rows)
    second -= np.where(some(rows, WHOLE_MINUTES, random), second % 60, 0)
    times: np.ndarray = days[day].astype("datetime64[s]") + (hour * 3600 + second)
    return times


def _shares(name: str) -> np.ndarray:
    weights = np.array(_FITTED[name])
    shares: np.ndarray = weights / weights.sum()
    return shares


def _places(rows: int, random: np.random.Generator) -> Columns:
    """
    Draw where trips really begin and end, in degrees.
    """
    spots = _FITTED["places"]
    pickups = np.array([spot["pickups"] for spot in spots])
    chances = np.cumsum([spot["dropoffs"] for spot in spots], axis=1)
    chances /= chances[:, -1:]
    start = random.choice(len(spots), size=rows, p=pickups / pickups.sum())
    end = (random.random((rows, 1)) > chances[start]).sum(axis=1)
    places = _around(start, "pickup", random) | _around(end, "dropoff", random)
    nearer = np.where(geography.trip_km(places) < CITY_TRIP_KM, NEARER, 1.0)
    for axis in AXES:
        begun = places[f"pickup_{axis}"]
        places[f"dropoff_{axis}"] = begun + nearer * (places[f"dropoff_{axis}"] - begun)
    newark = some(rows, TO_NEWARK, random)
    for axis, centre, km_per_degree in (
        ("longitude", geography.NEWARK.longitude, geography.KM_PER_DEGREE_LONGITUDE),
        ("latitude", geography.NEWARK.latitude, geography.KM_PER_DEGREE_LATITUDE),
    ):
        there = centre + random.normal(0, NEWARK_SPREAD_KM, rows) / km_per_degree
        places[f"dropoff_{axis}"] = np.where(newark, there, places[f"dropoff_{axis}"])
    return places


def _around(spot: np.ndarray, end: str, random: np.random.Generator) -> Columns:
    fitted = {
        name: np.array([each[name] for each in _FITTED["places"]])[spot]
        for name in ("longitude", "latitude", "east_km", "north_km", "correlation")
    }
    east, other = random.normal(size=(2, len(spot)))
    tilt = fitted["correlation"]
    north = tilt * east + np.sqrt(1 - tilt * tilt) * other
    east_degrees = fitted["east_km"] * east / geography.KM_PER_DEGREE_LONGITUDE
    north_degrees = fitted["north_km"] * north / geography.KM_PER_DEGREE_LATITUDE
    return {
        f"{end}_longitude": fitted["longitude"] + east_degrees,
        f"{end}_latitude": fitted["latitude"] + north_degrees,
    }


def _fares(pickup: np.ndarray, places: Columns, random: np.random.Generator) -> np.ndarray:
    """
    Drive the trips and read the meter; tolls and a few fares that no meter made come on top.
    """
    rows = len(pickup)
    start, end = (
        geography.locate(places[f"{end}_longitude"], places[f"{end}_latitude"]) for end in ENDS
    )
    route = _route(start, end)
    miles = tariff.expected_miles(geography.grid_km(start, end), route)
    miles *= np.where(route.laguardia, LAGUARDIA_MILES, 1.0)
    miles *= np.exp(random.normal(0, SPREAD_MILES, rows))
    stop = random.exponential(MILES_OF_STOP, rows)
    miles += np.where(some(rows, WITH_STOP, random), stop, 0)
    hours = pickup.astype("datetime64[h]").astype(int)
    minutes = tariff.expected_minutes(miles, (hours + 3 * 24) % (7 * 24))
    minutes *= np.exp(random.normal(0, SPREAD_SPEED, rows))

    seconds = pickup.astype("datetime64[s]").astype(np.int64)
    unit = tariff.at_the_time(tariff.UNIT, seconds)
    units = (
        tariff.UNITS_AT_START
        + tariff.UNITS_PER_MILE * miles
        + tariff.UNITS_PER_MINUTE * minutes
        + random.normal(0, SPREAD_METER, rows) / unit
    )
    fare = tariff.FLAG_FALL + unit * np.maximum(np.rint(units), 0)
    fare += np.where(route.to_newark, tariff.at_the_time(tariff.NEWARK_SURCHARGE, seconds), 0)
    flat = route.jfk & (route.manhattan_ends == 1) & some(rows, FLAT_FARE, random)
    fare = np.where(flat, tariff.at_the_time(tariff.JFK_FLAT, seconds), fare)
    toll = tariff.toll(seconds)
    fare += np.where(random.random(rows) < tariff.expected_toll(seconds, route) / toll, toll, 0)

    fare += np.where(some(rows, OFF_GRID, random), random.integers(1, 10, rows) / 10, 0)
    extra = 25 + random.exponential(15, rows)
    fare += np.where(some(rows, NEGOTIATED, random), extra, 0)
    # A fare can only be 25 dollars too low where it should be 30: one trip in fifteen.
    low = (fare > 30) & some(rows, 15 * UNDERSTATED, random)
    fare = np.where(low, tariff.FLAG_FALL + random.integers(5, size=rows), fare)
    rounded: np.ndarray = np.round(fare, 2)
    return rounded


def _route(start: geography.Points, end: geography.Points) -> tariff.Route:
    def touches(airport: geography.Airport) -> np.ndarray:
        km = np.minimum(geography.km_to(airport, start), geography.km_to(airport, end))
        return km <= airport.radius_km

    return tariff.Route(
        jfk=touches(geography.JFK),
        laguardia=touches(geography.LAGUARDIA),
        to_newark=geography.km_to(geography.NEWARK, end) <= geography.NEWARK.radius_km,
        manhattan_ends=geography.in_manhattan(start).astype(int) + geography.in_manhattan(end),
    )


def _csv(trips: Columns) -> str:
    times = np.char.replace(np.datetime_as_string(trips["pickup_datetime"]), "T", " ").tolist()
    fare, *degrees = (
        trips[name].tolist() for name in (FARE.name, *(f"{e}_{a}" for e in ENDS for a in AXES))
    )
    passengers = trips["passenger_count"].astype(int).tolist()
    return "".join(
        f"{time}.000000{row % 200 + 1},{fare!r},{time} UTC,{a!r},{b!r},{c!r},{d!r},{count}\n"
        for row, (time, fare, a, b, c, d, count) in enumerate(
            zip(times, fare, *degrees, passengers, strict=True)
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Write a file of simulated trips.
    """
    parser = argparse.ArgumentParser(
        prog="python -m taxi_fare.simulation",
        description="Write simulated taxi trips, dirty rows included, as CSV.",
    )
    parser.add_argument("--rows", type=_positive, default=20_000, help="trips; default 20000")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same trips; default 1")
    parser.add_argument("--out", type=Path, required=True, help="a .csv or .csv.gz file")
    options = parser.parse_args(arguments)
    if not options.out.name.endswith((".csv", ".csv.gz")):
        parser.error(f"--out is {options.out}; expected a name such as trips.csv or trips.csv.gz")
    write(options.out, options.rows, options.seed)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} rows; expected 1 or more")
    return number


if __name__ == "__main__":
    main()
