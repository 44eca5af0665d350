"""
The features of a trip, the same for training and serving.
"""

import math
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from taxi_fare import crossings, geography, tariff

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
    "free_km",
    "tolled_km",
    "toll_saves_km",
    "shores",
    "route_fare",
    "pickup_beyond_km",
    "dropoff_beyond_km",
    "outskirts",
    "outskirts_fare",
    "middle_along",
    "middle_across",
)

_SECONDS_PER_DAY = 86_400.0
# Days from 1970-01-01, a Thursday, to 2009-01-01, where the records begin.
_FIRST_DAY = 14_245.0
_THURSDAY = 3.0
_LAST_QUARTER = 90.0


COLUMNS = (
    "pickup_longitude",
    "pickup_latitude",
    "dropoff_longitude",
    "dropoff_latitude",
    "passenger_count",
)


# Absurd coordinates in a request may overflow; the model's rules deal with such trips.
@np.errstate(over="ignore", invalid="ignore")
def build(
    columns: Columns, out: np.ndarray | None = None, last_day: float = math.inf
) -> np.ndarray:
    """
    Turn trips with repaired coordinates into features, one row per trip in order.

    Needs pickup_datetime (datetime64[s], New York time), {pickup,dropoff}_{longitude,latitude}
    (degrees) and passenger_count. Returns float64 of shape (rows, len(FEATURES)); what cannot be
    computed from a missing value is NaN. ``out`` is filled and returned instead where given; it may
    be float32. ``last_day`` is explained at ``last_day``.
    """
    trips = seconds(columns), *(columns[name] for name in COLUMNS)
    made = compute(*trips, last_day=last_day)
    return np.stack(made, axis=1, out=out)


def last_day(columns: Columns) -> float:
    """
    Return where the feature ``days`` stops for a model that is trained on these rows.

    Beyond the last training rows the trees know no trend: a trip of next year is to them one of
    their last leaf, which holds the few weeks that chance put there. Stopped 90 days before the
    last row, the leaf has a quarter in it; on trips of the half-year after training this is 0.02
    dollars of MAE better (benchmarks/accuracy.py).
    """
    days = columns["pickup_datetime"].astype("datetime64[D]").astype(np.int64)
    return float(days.max(initial=0)) - _FIRST_DAY - _LAST_QUARTER


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
    *,
    xp: Any = np,
    last_day: float = math.inf,
) -> tuple[Any, ...]:
    """
    Compute the features of many trips from arrays, of one from numbers with ``scalar`` as ``xp``.
    """
    start = geography.locate(pickup_longitude, pickup_latitude)
    end = geography.locate(dropoff_longitude, dropoff_latitude)
    start_shore, end_shore = geography.shore(start, xp), geography.shore(end, xp)
    jfk_km, laguardia_km = (
        xp.minimum(geography.km_to(airport, start, xp), geography.km_to(airport, end, xp))
        for airport in (geography.JFK, geography.LAGUARDIA)
    )
    to_newark_km = geography.km_to(geography.NEWARK, end, xp)
    newark_km = xp.minimum(geography.km_to(geography.NEWARK, start, xp), to_newark_km)
    in_manhattan = start_shore == geography.MANHATTAN, end_shore == geography.MANHATTAN
    route = tariff.Route(
        jfk_km <= geography.JFK.radius_km,
        laguardia_km <= geography.LAGUARDIA.radius_km,
        to_newark_km <= geography.NEWARK.radius_km,
        1 * in_manhattan[0] + 1 * in_manhattan[1],
    )

    day = xp.floor(seconds / _SECONDS_PER_DAY)
    hour = (seconds - day * _SECONDS_PER_DAY) / 3600.0
    weekday = day + _THURSDAY - 7.0 * xp.floor((day + _THURSDAY) / 7.0)
    grid_km = geography.grid_km(start, end)
    miles = tariff.expected_miles(grid_km, route, xp)
    hour_of_week = weekday * 24.0 + xp.floor(hour)
    minutes = tariff.expected_minutes(miles, hour_of_week, xp)
    fare = tariff.expected_fare(miles, minutes, seconds, route, xp)
    free_km, tolled_km = crossings.route_km(start, end, start_shore, end_shore, xp)
    route_km = xp.minimum(free_km, tolled_km)
    route_miles = route_km / geography.KM_PER_MILE * tariff.DETOUR_MANHATTAN
    route_minutes = tariff.expected_minutes(route_miles, hour_of_week, xp)
    start_beyond = geography.km_beyond(pickup_longitude, pickup_latitude, start_shore, xp)
    end_beyond = geography.km_beyond(dropoff_longitude, dropoff_latitude, end_shore, xp)
    return (
        fare,
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
        xp.minimum(day - _FIRST_DAY, last_day),
        (day - _FIRST_DAY) % 365.25,
        passengers,
        jfk_km,
        laguardia_km,
        newark_km,
        free_km,
        tolled_km,
        free_km - tolled_km,
        xp.minimum(start_shore, end_shore) * 4 + xp.maximum(start_shore, end_shore),
        tariff.expected_fare(route_miles, route_minutes, seconds, route, xp),
        start_beyond,
        end_beyond,
        xp.where(end_beyond > 0, end_shore, 0) + xp.where(end_shore == geography.NEW_JERSEY, 3, 0),
        fare + tariff.beyond_fare(end_beyond, seconds, xp),
        (start.along + end.along) / 2.0,
        (start.across + end.across) / 2.0,
    )
