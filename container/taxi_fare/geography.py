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

# What water parts: Manhattan, the Bronx with what lies north of it, Brooklyn and Queens with what
# lies east of them, New Jersey with Staten Island.
MANHATTAN, BRONX, LONG_ISLAND, NEW_JERSEY = range(4)

# Lines in degrees, sketched by hand and not surveyed: a rough outline is enough to tell where the
# meter's detour changes. The East River's islands are left out. From south to north, the
# outermost of each line's places lie beyond Manhattan: Brooklyn's shore of the harbour, Manhattan's
# of the Hudson, and the Hudson's farther up; then Manhattan's eastern shore.
_WEST_SHORE = (
    (-74.090, 40.500), (-74.040, 40.605), (-74.037, 40.640), (-74.024, 40.685),
    (-74.019, 40.700), (-74.018, 40.718), (-74.012, 40.740), (-74.009, 40.755), (-73.996, 40.772),
    (-73.974, 40.800), (-73.957, 40.825), (-73.948, 40.850), (-73.930, 40.879),
    (-73.915, 40.915), (-73.895, 40.960), (-73.870, 41.050), (-73.950, 41.300),
)  # fmt: skip
_EAST_SHORE = (
    (-74.012, 40.699), (-73.997, 40.707), (-73.976, 40.710), (-73.971, 40.727), (-73.970, 40.743),
    (-73.958, 40.757), (-73.942, 40.775), (-73.928, 40.797), (-73.932, 40.812), (-73.933, 40.835),
    (-73.920, 40.856), (-73.908, 40.874),
)  # fmt: skip
_SOUTHERN_TIP, _NORTHERN_TIP = (-74.019, 40.700), (-73.930, 40.879)
# Across the grid: half of the Hudson's breadth, in which recorders on its banks err.
_HALF_HUDSON_KM = 0.5
# km on the grid: up to Throgs Neck the East River parts the Bronx from Queens and runs about
# straight; what lies farther right is Long Island.
_RIVER_ALONG, _RIVER_SLOPE, _THROGS_NECK_ACROSS = 5.4, 0.68, 11.5

# Degrees: the city ends about this meridian, and in the north at a line which falls eastwards.
NASSAU_LONGITUDE = -73.725
WESTCHESTER_LATITUDE, WESTCHESTER_LONGITUDE, WESTCHESTER_SLOPE = 40.915, -73.92, -0.25


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


def locate(longitude: Any, latitude: Any) -> Points:
    """
    Turn degrees into km along and across Manhattan's avenues.
    """
    east = (longitude - ORIGIN_LONGITUDE) * KM_PER_DEGREE_LONGITUDE
    north = (latitude - ORIGIN_LATITUDE) * KM_PER_DEGREE_LATITUDE
    return Points(east * GRID_SIN + north * GRID_COS, east * GRID_COS - north * GRID_SIN)


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


def shore(points: Points, xp: Any = np) -> Any:
    """
    Return where each point stands: MANHATTAN, BRONX, LONG_ISLAND or NEW_JERSEY; LONG_ISLAND where a
    coordinate is missing.
    """
    along, across = points
    west = xp.interp(along, _WEST.along, _WEST.across)
    east = xp.interp(along, _EAST.along, _EAST.across)
    north = (along > _RIVER_ALONG + _RIVER_SLOPE * across) & (across < _THROGS_NECK_ACROSS)
    found = xp.where(north, BRONX, LONG_ISLAND)
    found = xp.where(across < west - _HALF_HUDSON_KM, NEW_JERSEY, found)
    is_between = (across >= west) & (across <= east) & (along >= _SOUTH) & (along <= _NORTH)
    return xp.where(is_between, MANHATTAN, found)


def in_manhattan(points: Points) -> np.ndarray:
    """
    Tell which points lie between Manhattan's shores; one with a missing coordinate does not.
    """
    return shore(points) == MANHATTAN


def km_beyond(longitude: Any, latitude: Any, shores: Any, xp: Any = np) -> Any:
    """
    Return how many km north or east of the city's border each place lies, 0 within it and in New
    Jersey.
    """
    border = WESTCHESTER_LATITUDE + WESTCHESTER_SLOPE * (longitude - WESTCHESTER_LONGITUDE)
    north = xp.where(shores == BRONX, (latitude - border) * KM_PER_DEGREE_LATITUDE, 0.0)
    east = (longitude - NASSAU_LONGITUDE) * KM_PER_DEGREE_LONGITUDE
    return xp.maximum(xp.where(shores == LONG_ISLAND, east, north), 0.0)


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


def _line(places: tuple[tuple[float, float], ...]) -> Points:
    points = [locate(*place) for place in places]
    return Points(along=tuple(p.along for p in points), across=tuple(p.across for p in points))  # type: ignore[arg-type]


_WEST = _line(_WEST_SHORE)
_EAST = _line(_EAST_SHORE)
_SOUTH = locate(*_SOUTHERN_TIP).along
_NORTH = locate(*_NORTHERN_TIP).along
_CENTRES = {
    airport.name: locate(airport.longitude, airport.latitude)
    for airport in (JFK, LAGUARDIA, NEWARK)
}
