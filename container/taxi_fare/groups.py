"""
Groups of trips by which errors are told apart: by distance, hour and airport.
"""

from itertools import pairwise

import numpy as np

from sagemaker_runtime.formats.schema import Columns
from taxi_fare import geography

# km as the crow flies. A trip of less than 50 m ends where it began: a round trip or a wrong
# drop-off, whose fare the coordinates cannot tell.
SAME_PLACE_KM = 0.05
BANDS_KM = (0.0, SAME_PLACE_KM, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, np.inf)
NO_AIRPORT = "no airport"
# Hours in which traffic is alike.
HOURS = {"night": (0, 6), "morning": (6, 10), "midday": (10, 16), "evening": (16, 24)}


def segments(columns: Columns) -> dict[str, dict[str, np.ndarray]]:
    """
    Tell for each segment which trips belong to it.
    """
    repaired = geography.repair(columns)
    hour = hours(columns)
    return {
        "distance": {f"{name} km": rows for name, rows in by_distance(repaired).items()},
        "hour": {
            f"{name} ({first}-{last} h)": (hour >= first) & (hour < last)
            for name, (first, last) in HOURS.items()
        },
        "airport": by_airport(repaired),
    }


def hours(columns: Columns) -> np.ndarray:
    """
    Return the hour of each pick-up.
    """
    pickup = columns["pickup_datetime"]
    return (pickup - pickup.astype("datetime64[D]")).astype("timedelta64[h]").astype(int)


def by_distance(columns: Columns) -> dict[str, np.ndarray]:
    """
    Group trips by their length.
    """
    band = np.searchsorted(BANDS_KM, geography.trip_km(columns), side="right") - 1
    names = [
        f"{low:g}+" if high == np.inf else f"{low:g}-{high:g}" if low else f"<{high:g}"
        for low, high in pairwise(BANDS_KM)
    ]
    return {name: band == place for place, name in enumerate(names)}


def by_airport(columns: Columns) -> dict[str, np.ndarray]:
    """
    Group trips by the airport where either end lies; one between two airports counts in both.
    """
    start = geography.locate(columns["pickup_longitude"], columns["pickup_latitude"])
    end = geography.locate(columns["dropoff_longitude"], columns["dropoff_latitude"])
    groups = {NO_AIRPORT: np.ones(len(start.along), dtype=bool)}
    for airport in (geography.JFK, geography.LAGUARDIA, geography.NEWARK):
        there = (geography.km_to(airport, start) <= airport.radius_km) | (
            geography.km_to(airport, end) <= airport.radius_km
        )
        groups[NO_AIRPORT] &= ~there
        groups[airport.name] = there
    return groups
