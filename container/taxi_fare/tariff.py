"""
The tariff of a yellow medallion cab, and the fare it leads one to expect for a trip.

Sources: the tariff and the tolls as published by the TLC, the MTA and the Port Authority; speeds,
detours, toll shares and the meter's slope were fitted to the TLC's trip records of 2009 to 2016.

Times are seconds since 1970 on New York's clocks, NaN where unknown: those count as today. Where
``xp`` is taken, ``scalar`` in its place makes the function one of numbers.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from taxi_fare.geography import KM_PER_MILE

# Dollars. Night, peak-hour and other surcharges, tax and tip come on top and are not in the label.
FLAG_FALL = 2.50


def _seconds(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


# The tariff's rise.
RISE = _seconds("2012-09-04")

# Dollars before and since the rise: per unit of 1/5 mile, or of 60 s below 12 mph; for any trip
# between JFK and Manhattan, tolls on top; added to the meter for a trip to Newark, tolls on top.
UNIT = (0.40, 0.50)
JFK_FLAT = (45.0, 52.0)
NEWARK_SURCHARGE = (15.0, 17.5)

# Dollars for a major bridge or tunnel, each from its date on and the first before them all. The
# dates of 2009 and 2013 are approximate: mid-July and about March.
FIRST_TOLL = 4.15
TOLL_RISES = (
    (_seconds("2009-07-12"), 4.57),
    (_seconds("2010-12-30"), 4.80),
    (_seconds("2013-03-03"), 5.33),
    (_seconds("2015-03-22"), 5.54),
)

# Share of trips that pay a toll; within Manhattan it is 0.001, and left out.
TOLL_SHARE_LAGUARDIA = 0.83
TOLL_SHARE_JFK = 0.79
TOLL_SHARE_NEWARK = 0.85
TOLL_SHARE_RIVER = 0.06

# Metered miles over grid miles.
DETOUR_MANHATTAN = 1.02
DETOUR_RIVER = 1.07
DETOUR_BOROUGHS = 1.11
DETOUR_LAGUARDIA = 1.29
DETOUR_JFK = 1.22

# Speed in mph of a trip of two miles, hours 0 to 23. Speed grows as miles ** 0.25 (fitted: 0.27,
# but two square roots are exact and fast).
WEEKDAY_MPH = (
    14.9, 15.5, 15.2, 16.4, 17.7, 15.7, 15.2, 12.5, 9.9, 10.0, 9.5, 10.0,
    8.9, 10.3, 10.1, 10.7, 10.8, 10.9, 10.1, 12.3, 12.3, 13.0, 12.6, 13.4,
)  # fmt: skip
WEEKEND_MPH = (
    11.9, 14.1, 14.5, 14.8, 15.2, 20.6, 18.1, 15.8, 15.6, 14.0, 12.8, 12.2,
    10.8, 11.3, 10.8, 11.2, 12.4, 12.9, 12.4, 10.9, 12.1, 15.1, 12.7, 14.9,
)  # fmt: skip
MEAN_MPH = 11.5  # about the middle of the figures above, for an unknown time
MPH_MILES = 2.0

# Units on the meter: waiting in traffic counts as well as distance.
UNITS_AT_START = -0.714
UNITS_PER_MILE = 3.780
UNITS_PER_MINUTE = 0.702

# By hour of the week from Monday on; the last place is for an unknown time.
_MPH = WEEKDAY_MPH * 5 + WEEKEND_MPH * 2 + (MEAN_MPH,)


class Route(NamedTuple):
    """
    What the tariff asks of where a trip runs: one flag per trip each.

    ``jfk`` and ``laguardia`` mean that an end lies there, ``to_newark`` that the drop-off does;
    ``manhattan_ends`` counts the ends in Manhattan, 0 to 2.
    """

    jfk: np.ndarray
    laguardia: np.ndarray
    to_newark: np.ndarray
    manhattan_ends: np.ndarray


def expected_minutes(miles: np.ndarray, hour_of_week: np.ndarray, xp: Any = np) -> np.ndarray:
    """
    Expected length of trips in minutes; ``hour_of_week`` is NaN where the time is unknown.
    """
    hour = xp.intp(xp.where(xp.isnan(hour_of_week), len(_MPH) - 1, hour_of_week))
    return 60.0 * miles / (xp.take(_MPH, hour) * xp.sqrt(xp.sqrt(miles / MPH_MILES + 1e-9)))


def expected_miles(grid_km: np.ndarray, route: Route, xp: Any = np) -> np.ndarray:
    """
    Expected miles on the meter of trips of the given distance on the grid.
    """
    detour = xp.where(route.manhattan_ends == 1, DETOUR_RIVER, DETOUR_BOROUGHS)
    detour = xp.where(route.manhattan_ends == 2, DETOUR_MANHATTAN, detour)
    detour = xp.where(route.laguardia, DETOUR_LAGUARDIA, detour)
    detour = xp.where(route.jfk, DETOUR_JFK, detour)
    return grid_km / KM_PER_MILE * detour


def toll(seconds: np.ndarray, xp: Any = np) -> np.ndarray:
    """
    Dollars for one crossing of a major bridge or tunnel.
    """
    price: Any = FIRST_TOLL
    for rise, dollars in TOLL_RISES:
        price = xp.where(seconds < rise, price, dollars)
    return price


def expected_toll(seconds: np.ndarray, route: Route, xp: Any = np) -> np.ndarray:
    """
    Expected dollars of tolls: what a crossing costs times the share of such trips that pay it.
    """
    one_end = route.manhattan_ends == 1
    share = xp.where(one_end, TOLL_SHARE_RIVER, 0.0)
    share = xp.where(one_end & route.laguardia, TOLL_SHARE_LAGUARDIA, share)
    share = xp.where(one_end & route.jfk, TOLL_SHARE_JFK, share)
    share = xp.where(route.to_newark, TOLL_SHARE_NEWARK, share)
    return share * toll(seconds, xp)


def expected_fare(
    miles: np.ndarray, minutes: np.ndarray, seconds: np.ndarray, route: Route, xp: Any = np
) -> np.ndarray:
    """
    Expected fare in dollars without tolls; NaN where the distance is unknown.
    """
    units = UNITS_AT_START + UNITS_PER_MILE * miles + UNITS_PER_MINUTE * minutes
    fare = FLAG_FALL + at_the_time(UNIT, seconds, xp) * xp.maximum(units, 0.0)
    fare = fare + xp.where(route.to_newark, at_the_time(NEWARK_SURCHARGE, seconds, xp), 0.0)
    flat = route.jfk & (route.manhattan_ends == 1)
    return xp.where(flat, at_the_time(JFK_FLAT, seconds, xp), fare)


def beyond_fare(km: np.ndarray, seconds: np.ndarray, xp: Any = np) -> np.ndarray:
    """
    Dollars that the last ``km`` of a trip cost more beyond the city's border: the meter again.
    """
    units = UNITS_PER_MILE * DETOUR_BOROUGHS / KM_PER_MILE * km
    return at_the_time(UNIT, seconds, xp) * units


def at_the_time(prices: tuple[float, float], seconds: np.ndarray, xp: Any = np) -> np.ndarray:
    """
    Choose between the prices before and since the tariff's rise.
    """
    return xp.where(seconds < RISE, *prices)
