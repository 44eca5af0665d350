"""
The features of a trip, the same for training and serving.
"""

from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from taxi_fare import geography, tariff

FEATURES: tuple[str, ...] = (
    "expected_fare",
    "expected_toll",
    "expected_minutes",
    "grid_km",
    "straight_km",
    "along_km",
    "across_km",
    "pickup_along",
    "pickup_across",
    "dropoff_along",
    "dropoff_across",
    "hour",
    "weekday",
    "days",
    "day_of_year",
    "passengers",
    "jfk_km",
    "laguardia_km",
    "newark_km",
)

_SECONDS_PER_DAY = 86_400.0
# Days from 1970-01-01, a Thursday, to 2009-01-01, where the records begin.
_FIRST_DAY = 14_245.0
_THURSDAY = 3.0


COLUMNS = (
    "pickup_longitude",
    "pickup_latitude",
    "dropoff_longitude",
    "dropoff_latitude",
    "passenger_count",
)


# Absurd coordinates in a request may overflow; the model's rules deal with such trips.
@np.errstate(over="ignore", invalid="ignore")
def build(columns: Columns, out: np.ndarray | None = None) -> np.ndarray:
    """
    Turn trips with repaired coordinates into features, one row per trip in order.

    Needs pickup_datetime (datetime64[s], New York time), {pickup,dropoff}_{longitude,latitude}
    (degrees) and passenger_count. Returns float64 of shape (rows, len(FEATURES)); what cannot be
    computed from a missing value is NaN. ``out`` is filled and returned instead where given; it may
    be float32.
    """
    made = compute(seconds(columns), *(columns[name] for name in COLUMNS))
    return np.stack(made, axis=1, out=out)


def seconds(columns: Columns) -> np.ndarray:
    """
    Return the times of pick-up in seconds since 1970, NaN where unknown.
    """
    pickup = columns["pickup_datetime"].astype("datetime64[s]", copy=False)
    return np.where(np.isnat(pickup), np.nan, pickup.astype(np.int64))


def compute(
    seconds: Any,
    pickup_longitude: Any,
    pickup_latitude: Any,
    dropoff_longitude: Any,
    dropoff_latitude: Any,
    passengers: Any,
    xp: Any = np,
) -> tuple[Any, ...]:
    """
    Compute the features of many trips from arrays, of one from numbers with ``scalar`` as ``xp``.
    """
    start = geography.locate(pickup_longitude, pickup_latitude)
    end = geography.locate(dropoff_longitude, dropoff_latitude)
    jfk_km, laguardia_km = (
        xp.minimum(geography.km_to(airport, start, xp), geography.km_to(airport, end, xp))
        for airport in (geography.JFK, geography.LAGUARDIA)
    )
    to_newark_km = geography.km_to(geography.NEWARK, end, xp)
    newark_km = xp.minimum(geography.km_to(geography.NEWARK, start, xp), to_newark_km)
    route = tariff.Route(
        jfk=jfk_km <= geography.JFK.radius_km,
        laguardia=laguardia_km <= geography.LAGUARDIA.radius_km,
        to_newark=to_newark_km <= geography.NEWARK.radius_km,
        manhattan_ends=xp.where(geography.in_manhattan(start, xp), 1, 0)
        + xp.where(geography.in_manhattan(end, xp), 1, 0),
    )

    day = xp.floor(seconds / _SECONDS_PER_DAY)
    hour = (seconds - day * _SECONDS_PER_DAY) / 3600.0
    weekday = day + _THURSDAY - 7.0 * xp.floor((day + _THURSDAY) / 7.0)
    grid_km = geography.grid_km(start, end)
    miles = tariff.expected_miles(grid_km, route, xp)
    minutes = tariff.expected_minutes(miles, weekday * 24.0 + xp.floor(hour), xp)
    return (
        tariff.expected_fare(miles, minutes, seconds, route, xp),
        tariff.expected_toll(seconds, route, xp),
        minutes,
        grid_km,
        geography.straight_km(start, end, xp),
        end.along - start.along,
        end.across - start.across,
        start.along,
        start.across,
        end.along,
        end.across,
        hour,
        weekday,
        day - _FIRST_DAY,
        (day - _FIRST_DAY) % 365.25,
        passengers,
        jfk_km,
        laguardia_km,
        newark_km,
    )
