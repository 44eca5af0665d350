"""
How simulated trips are recorded: coordinates as recorders write them, and rows that are wrong.
"""

import numpy as np

from sagemaker_runtime.algorithm import Columns
from taxi_fare import tariff

ENDS, AXES = ("pickup", "dropoff"), ("longitude", "latitude")

# Shares of trips.
SAME_PLACE = 0.0106  # drop-off recorded where the trip began
CALLED_OFF = 0.2  # of those: nobody went anywhere, and the flag fall is paid
TORN_DIGITS = 0.024  # coordinates that went through arithmetic: 40.725516999999996

# Shares of rows that are wrong.
NEGATIVE_FARE = 0.00007
ZERO_FARE = 0.00006
LOW_FARE = 0.00002  # below the flag fall
HIGH_FARE = 0.0002  # 100 dollars and more, besides those of real trips
BEYOND_HIGH_FARE = 30.0  # dollars, mean
NO_COORDINATES = 0.01786  # all four zero
NO_DROPOFF = 0.00169
SWAPPED = 0.00043
OUTSIDE = 0.0008

# Degrees: where a recorder without a signal believes to be.
RECORDER_DEFAULT = {"longitude": -73.137393, "latitude": 41.366138}

PRECISION_FELL = np.datetime64("2015-01-01", "s")  # coordinates are single precision since


def some(rows: int, share: float, random: np.random.Generator) -> np.ndarray:
    """
    Choose about so large a share of the rows at random.
    """
    chosen: np.ndarray = random.random(rows) < share
    return chosen


def recorded(
    pickup: np.ndarray, places: Columns, fare: np.ndarray, random: np.random.Generator
) -> Columns:
    """
    Return coordinates as a recorder writes them; ``fare`` is changed where a trip was called off.
    """
    rows = len(pickup)
    same = some(rows, SAME_PLACE, random)
    fare[same & some(rows, CALLED_OFF, random)] = tariff.FLAG_FALL
    for axis in AXES:
        places[f"dropoff_{axis}"][same] = places[f"pickup_{axis}"][same]
    for name, degrees in places.items():
        degrees = degrees.round(6)
        torn = np.nextafter(degrees, 0.0)
        degrees = np.where(some(rows, TORN_DIGITS, random) & ~same, torn, degrees)
        single = degrees.astype(np.float32).astype(float)
        places[name] = np.where(pickup >= PRECISION_FELL, single, degrees)

    swapped = some(rows, SWAPPED, random)
    for end in ENDS:
        longitude, latitude = places[f"{end}_longitude"], places[f"{end}_latitude"]
        places[f"{end}_longitude"] = np.where(swapped, latitude, longitude)
        places[f"{end}_latitude"] = np.where(swapped, longitude, latitude)
    outside = some(rows, OUTSIDE, random)
    nowhere, no_dropoff = (some(rows, share, random) for share in (NO_COORDINATES, NO_DROPOFF))
    for axis in AXES:
        places[f"dropoff_{axis}"][outside] = RECORDER_DEFAULT[axis]
        places[f"dropoff_{axis}"][nowhere | no_dropoff] = 0
        places[f"pickup_{axis}"][nowhere] = 0
    return places


def mistyped(fare: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """
    Return fares with those among them that no trip can have.
    """
    rows = len(fare)
    fare = np.where(some(rows, NEGATIVE_FARE, random), -fare, fare)
    fare = np.where(some(rows, ZERO_FARE, random), 0, fare)
    fare = np.where(some(rows, LOW_FARE, random), random.integers(1, 250, rows) / 100, fare)
    high = (100 + random.exponential(BEYOND_HIGH_FARE, rows)).round(2)
    return np.where(some(rows, HIGH_FARE, random), high, fare)
