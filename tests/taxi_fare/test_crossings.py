"""
Which shore a place stands on, the way over bridges and tunnels, and the city's border.
"""

import numpy as np
import pytest

from taxi_fare import crossings, geography, scalar
from taxi_fare.geography import BRONX, LONG_ISLAND, MANHATTAN, NEW_JERSEY, locate

PLACES = {
    "Times Square": ((-73.9855, 40.7580), MANHATTAN),
    "Battery": ((-74.0150, 40.7050), MANHATTAN),
    "Harlem": ((-73.9400, 40.8100), MANHATTAN),
    "Port Morris": ((-73.9100, 40.8050), BRONX),
    "Riverdale": ((-73.9100, 40.8900), BRONX),
    "Throgs Neck": ((-73.8000, 40.8150), BRONX),
    "New Rochelle": ((-73.7800, 40.9100), BRONX),
    "LaGuardia": ((-73.8720, 40.7750), LONG_ISLAND),
    "JFK": ((-73.7800, 40.6450), LONG_ISLAND),
    "Whitestone": ((-73.8100, 40.7950), LONG_ISLAND),
    "Red Hook": ((-74.0100, 40.6770), LONG_ISLAND),
    "Bay Ridge": ((-74.0300, 40.6250), LONG_ISLAND),
    "Great Neck": ((-73.7300, 40.8000), LONG_ISLAND),
    "Hoboken": ((-74.0320, 40.7450), NEW_JERSEY),
    "Newark": ((-74.1776, 40.6900), NEW_JERSEY),
    "St. George": ((-74.0800, 40.6400), NEW_JERSEY),
}
NAMES = dict(enumerate(("Manhattan", "Bronx", "Long Island", "New Jersey")))


def km(start: str, end: str) -> tuple[float, float]:
    """Free and tolled km between two of the places."""
    (one, from_shore), (other, to_shore) = PLACES[start], PLACES[end]
    return crossings.route_km(locate(*one), locate(*other), from_shore, to_shore, scalar)


@pytest.mark.parametrize("name", PLACES)
def test_a_place_stands_on_its_shore(name: str) -> None:
    """Places along all waters are found where they are, alone and in an array."""
    place, expected = PLACES[name]
    assert NAMES[geography.shore(locate(*place), scalar)] == NAMES[expected]
    many = geography.shore(locate(*np.array([place] * 2).T))
    assert many.tolist() == [expected] * 2


def test_a_missing_place_stands_on_long_island() -> None:
    """What is not known is none of the shores that change a fare."""
    assert geography.shore(locate(np.nan, 40.7), scalar) == LONG_ISLAND


def test_a_trip_on_one_shore_crosses_nothing() -> None:
    """In Manhattan it follows the grid, elsewhere the roads; with toll and without are the same."""
    free, tolled = km("Times Square", "Battery")
    ends = (locate(*PLACES[name][0]) for name in ("Times Square", "Battery"))
    assert free == tolled == geography.grid_km(*ends)
    free, tolled = km("JFK", "LaGuardia")
    ends = (locate(*PLACES[name][0]) for name in ("JFK", "LaGuardia"))
    assert free == tolled == crossings.ROAD_KM * geography.straight_km(*ends, scalar)


def test_a_toll_saves_a_detour() -> None:
    """From the Bronx to Queens there is no free bridge but by way of Manhattan, and none at all
    over the Hudson."""
    free, tolled = km("Throgs Neck", "Whitestone")
    assert tolled < 10 < crossings.NO_WAY_KM == free
    free, tolled = km("Times Square", "Hoboken")
    assert 5 < tolled < 12
    assert free == crossings.NO_WAY_KM
    free, tolled = km("Battery", "Red Hook")
    assert tolled < free < 15  # the tunnel, or round by the Brooklyn Bridge


def test_there_and_back_are_the_same_km() -> None:
    """Each crossing is as long in both directions, for each pair of shores."""
    for start in PLACES:
        for end in PLACES:
            assert km(start, end) == pytest.approx(km(end, start))


def test_many_trips_have_the_km_of_each_alone() -> None:
    """Arrays, whose trips are sorted by their shores, give the bits of numbers."""
    pairs = [(a, b) for a in PLACES for b in PLACES]
    starts = locate(*np.array([PLACES[a][0] for a, _ in pairs]).T)
    ends = locate(*np.array([PLACES[b][0] for _, b in pairs]).T)
    free, tolled = crossings.route_km(starts, ends, geography.shore(starts), geography.shore(ends))
    assert list(zip(free.tolist(), tolled.tolist(), strict=True)) == [km(a, b) for a, b in pairs]


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [
        ("New Rochelle", 2, 5),
        ("JFK", 0, 0),
        ("Riverdale", 0, 0),
        ("Newark", 0, 0),
        ("Times Square", 0, 0),
    ],
)
def test_km_beyond_the_border(place: str, low: float, high: float) -> None:
    """Only Nassau and Westchester lie beyond the city's border."""
    (longitude, latitude), shore = PLACES[place]
    assert low <= geography.km_beyond(longitude, latitude, shore, scalar) <= high


def test_garden_city_lies_in_nassau() -> None:
    """It is about 8 km east of the border."""
    assert geography.km_beyond(-73.634, 40.727, LONG_ISLAND, scalar) == pytest.approx(7.7, abs=0.5)
