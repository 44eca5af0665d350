"""
Where a trip runs: distance on the street grid, airports, Manhattan, and repair of coordinates.

Only operations that IEEE 754 rounds exactly are used (no sine, no power of an array), so that a
row gives the same bits alone and among a million others. Where ``xp`` is taken, ``scalar`` in its
place makes the function one of numbers.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sagemaker_runtime.algorithm import Columns

# One degree at Manhattan's latitude, on a sphere of 6371 km radius. The flat map is off by less
# than 0.5 % within the city, far below what detours differ by.
KM_PER_DEGREE_LATITUDE = 111.195
KM_PER_DEGREE_LONGITUDE = KM_PER_DEGREE_LATITUDE * math.cos(math.radians(40.75))

KM_PER_MILE = 1.609344

# Degrees: Midtown, so that coordinates in km stay small.
ORIGIN_LONGITUDE, ORIGIN_LATITUDE = -73.98, 40.75

# Manhattan's avenues run 29 degrees east of north, and taxis with them.
GRID_DEGREES = 29.0
GRID_SIN = math.sin(math.radians(GRID_DEGREES))
GRID_COS = math.cos(math.radians(GRID_DEGREES))

# Degrees, both included: the five boroughs, Newark and the suburbs a yellow cab reaches. What
# lies outside is a fault of the recording, such as the frequent default -73.137, 41.366.
LONGITUDE_BOUNDS = (-74.5, -72.8)
LATITUDE_BOUNDS = (40.4, 41.3)

# Shores of Manhattan in degrees from south to north, sketched by hand and not surveyed: a rough
# outline is enough to tell where the meter's detour changes. The East River's islands are left out.
_WEST_SHORE = (
    (-74.019, 40.700), (-74.018, 40.718), (-74.012, 40.740), (-74.009, 40.755), (-73.996, 40.772),
    (-73.974, 40.800), (-73.957, 40.825), (-73.948, 40.850), (-73.930, 40.879),
)  # fmt: skip
_EAST_SHORE = (
    (-74.012, 40.699), (-73.997, 40.707), (-73.976, 40.710), (-73.971, 40.727), (-73.970, 40.743),
    (-73.958, 40.757), (-73.942, 40.775), (-73.928, 40.797), (-73.932, 40.812), (-73.933, 40.835),
    (-73.920, 40.856), (-73.908, 40.874),
)  # fmt: skip


class Points(NamedTuple):
    """
    Places on the map turned to Manhattan's grid.

    ``along`` is km up the avenues from the origin, ``across`` km to the right of them.
    """

    along: np.ndarray
    across: np.ndarray


@dataclass(frozen=True)
class Airport:
    """
    A circle around an airport's terminals: centre in degrees, radius in km.

    Centre and radius were set by eye where pick-ups and drop-offs cluster.
    """

    name: str
    longitude: float
    latitude: float
    radius_km: float


JFK = Airport("JFK", -73.7822, 40.6446, radius_km=2.5)
LAGUARDIA = Airport("LaGuardia", -73.8720, 40.7747, radius_km=1.5)
NEWARK = Airport("Newark", -74.1776, 40.6900, radius_km=2.5)


def locate(longitude: np.ndarray, latitude: np.ndarray) -> Points:
    """
    Turn degrees into km along and across Manhattan's avenues.
    """
    east = (longitude - ORIGIN_LONGITUDE) * KM_PER_DEGREE_LONGITUDE
    north = (latitude - ORIGIN_LATITUDE) * KM_PER_DEGREE_LATITUDE
    return Points(
        along=east * GRID_SIN + north * GRID_COS, across=east * GRID_COS - north * GRID_SIN
    )


def straight_km(start: Points, end: Points, xp: Any = np) -> np.ndarray:
    """
    Distance in km as the crow flies.
    """
    along, across = end.along - start.along, end.across - start.across
    return xp.sqrt(along * along + across * across)


def grid_km(start: Points, end: Points) -> np.ndarray:
    """
    Distance in km along the avenues and then across them.
    """
    return abs(end.along - start.along) + abs(end.across - start.across)


def km_to(airport: Airport, points: Points, xp: Any = np) -> np.ndarray:
    """
    Straight-line distance in km from each point to an airport's centre.
    """
    return straight_km(_CENTRES[airport.name], points, xp)


def in_manhattan(points: Points, xp: Any = np) -> np.ndarray:
    """
    Tell which points lie between Manhattan's shores; one with a missing coordinate does not.
    """
    west = xp.interp(points.along, _WEST.along, _WEST.across)
    east = xp.interp(points.along, _EAST.along, _EAST.across)
    return (
        (points.across >= west)
        & (points.across <= east)
        & (points.along >= _WEST.along[0])
        & (points.along <= _WEST.along[-1])
    )


def repair(columns: Columns) -> Columns:
    """
    Put swapped latitudes and longitudes back, each end of a trip by itself.

    Returns new columns and leaves those handed in as they are.
    """
    repaired = dict(columns)
    for end in ("pickup", "dropoff"):
        names = f"{end}_longitude", f"{end}_latitude"
        repaired.update(zip(names, put_right(*(columns[name] for name in names)), strict=True))
    return repaired


def put_right(
    longitude: np.ndarray, latitude: np.ndarray, xp: Any = np
) -> tuple[np.ndarray, np.ndarray]:
    """
    Swap coordinates that are only inside the bounds in each other's place.
    """
    swapped = inside(latitude, longitude)
    return xp.where(swapped, latitude, longitude), xp.where(swapped, longitude, latitude)


def usable(columns: Columns) -> np.ndarray:
    """
    Tell which trips have both ends inside the bounds; a missing coordinate is outside.
    """
    return inside(columns["pickup_longitude"], columns["pickup_latitude"]) & inside(
        columns["dropoff_longitude"], columns["dropoff_latitude"]
    )


def trip_km(columns: Columns) -> np.ndarray:
    """
    Straight-line length of each trip in km.
    """
    return straight_km(
        locate(columns["pickup_longitude"], columns["pickup_latitude"]),
        locate(columns["dropoff_longitude"], columns["dropoff_latitude"]),
    )


def inside(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """
    Tell which places lie inside the bounds.
    """
    return (
        (longitude >= LONGITUDE_BOUNDS[0])
        & (longitude <= LONGITUDE_BOUNDS[1])
        & (latitude >= LATITUDE_BOUNDS[0])
        & (latitude <= LATITUDE_BOUNDS[1])
    )


def _shore(places: tuple[tuple[float, float], ...]) -> Points:
    points = [locate(*place) for place in places]  # type: ignore[arg-type]  # numbers do, too
    return Points(along=tuple(p.along for p in points), across=tuple(p.across for p in points))  # type: ignore[arg-type]


_WEST = _shore(_WEST_SHORE)
_EAST = _shore(_EAST_SHORE)
_CENTRES = {
    airport.name: locate(airport.longitude, airport.latitude)  # type: ignore[arg-type]
    for airport in (JFK, LAGUARDIA, NEWARK)
}
