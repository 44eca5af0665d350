"""
Bridges and tunnels: how far it is from one of New York's shores to another.

As in ``geography``, only operations that are exactly rounded are used.
"""

from typing import Any

import numpy as np

from taxi_fare.geography import (
    BRONX,
    LONG_ISLAND,
    MANHATTAN,
    NEW_JERSEY,
    Points,
    locate,
    straight_km,
)

# Off Manhattan streets run in all directions: km by road for a straight one.
ROAD_KM = 1.2
# Stands for a way that does not exist: longer than any trip.
NO_WAY_KM = 300.0


FREE, TOLLED = False, True

# Ends in degrees where the roads meet the streets, set by eye on a map; from New Jersey to Long
# Island through Manhattan.
_CROSSINGS = {
    (MANHATTAN, BRONX): (
        ("Willis Avenue Bridge", (-73.9310, 40.8030), (-73.9265, 40.8065), FREE),
        ("Third Avenue Bridge", (-73.9345, 40.8060), (-73.9310, 40.8090), FREE),
        ("Madison Avenue Bridge", (-73.9365, 40.8130), (-73.9310, 40.8150), FREE),
        ("145th Street Bridge", (-73.9355, 40.8200), (-73.9310, 40.8190), FREE),
        ("Macombs Dam Bridge", (-73.9365, 40.8280), (-73.9300, 40.8280), FREE),
        ("Washington Bridge", (-73.9320, 40.8475), (-73.9260, 40.8455), FREE),
        ("University Heights Bridge", (-73.9170, 40.8640), (-73.9130, 40.8620), FREE),
        ("Broadway Bridge", (-73.9125, 40.8720), (-73.9095, 40.8745), FREE),
        ("Henry Hudson Bridge", (-73.9245, 40.8765), (-73.9195, 40.8795), TOLLED),
        ("Triborough Bridge", (-73.9325, 40.8005), (-73.9200, 40.8040), TOLLED),
    ),
    (MANHATTAN, LONG_ISLAND): (
        ("Brooklyn Bridge", (-74.0035, 40.7120), (-73.9880, 40.6990), FREE),
        ("Manhattan Bridge", (-73.9950, 40.7150), (-73.9840, 40.6975), FREE),
        ("Williamsburg Bridge", (-73.9830, 40.7170), (-73.9595, 40.7105), FREE),
        ("Queensboro Bridge", (-73.9635, 40.7605), (-73.9415, 40.7500), FREE),
        ("Queens-Midtown Tunnel", (-73.9740, 40.7470), (-73.9525, 40.7420), TOLLED),
        ("Brooklyn-Battery Tunnel", (-74.0150, 40.7060), (-74.0040, 40.6830), TOLLED),
        ("Triborough Bridge", (-73.9325, 40.8005), (-73.9190, 40.7745), TOLLED),
    ),
    (MANHATTAN, NEW_JERSEY): (
        ("Lincoln Tunnel", (-73.9965, 40.7575), (-74.0235, 40.7660), TOLLED),
        ("Holland Tunnel", (-74.0080, 40.7255), (-74.0385, 40.7290), TOLLED),
        ("George Washington Bridge", (-73.9420, 40.8490), (-73.9640, 40.8535), TOLLED),
    ),
    (BRONX, LONG_ISLAND): (
        ("Triborough Bridge", (-73.9200, 40.8040), (-73.9190, 40.7745), TOLLED),
        ("Whitestone Bridge", (-73.8315, 40.8135), (-73.8265, 40.7915), TOLLED),
        ("Throgs Neck Bridge", (-73.7965, 40.8110), (-73.7895, 40.7905), TOLLED),
    ),
    (BRONX, NEW_JERSEY): (
        ("George Washington Bridge", (-73.9260, 40.8455), (-73.9640, 40.8535), TOLLED),
    ),
    (LONG_ISLAND, NEW_JERSEY): (
        ("Verrazzano-Narrows Bridge", (-74.0310, 40.6115), (-74.0620, 40.6035), TOLLED),
        ("Manhattan Bridge, Holland Tunnel", (-73.9840, 40.6975), (-74.0385, 40.7290), TOLLED),
        ("Queensboro Bridge, Lincoln Tunnel", (-73.9415, 40.7500), (-74.0235, 40.7660), TOLLED),
    ),
}  # fmt: skip


def route_km(
    start: Points, end: Points, start_shore: Any, end_shore: Any, xp: Any = np
) -> tuple[Any, Any]:
    """
    Return the km by road over the best crossing without a toll and over the best one with it,
    NO_WAY_KM where there is none; a trip that stays on its shore has the same km for both.
    """
    pair = start_shore * 4 + end_shore
    if xp is not np:
        return _crossed_km(start, end, pair, xp)
    free, tolled = np.empty(pair.shape), np.empty(pair.shape)
    for each in np.unique(pair).tolist():
        rows = np.flatnonzero(pair == each)
        here, there = (Points(points.along[rows], points.across[rows]) for points in (start, end))
        free[rows], tolled[rows] = _crossed_km(here, there, each, np)
    return free, tolled


def _crossed_km(start: Points, end: Points, pair: int, xp: Any) -> tuple[Any, Any]:
    """
    Do the same for trips that share a pair of shores.
    """
    start_shore, end_shore = divmod(pair, 4)
    if start_shore == end_shore:
        km = _street_km(start, end, start_shore, xp)
        return km, km
    best = [NO_WAY_KM, NO_WAY_KM]
    for leaves, reaches, over_km, tolled in _BY_PAIR[pair]:
        km = _street_km(start, leaves, start_shore, xp) + over_km
        best[tolled] = xp.minimum(best[tolled], km + _street_km(reaches, end, end_shore, xp))
    return best[FREE], best[TOLLED]


def _street_km(one: Points, other: Points, shore: int, xp: Any) -> Any:
    along, across = other[0] - one[0], other[1] - one[1]
    if shore == MANHATTAN:
        return abs(along) + abs(across)
    return ROAD_KM * xp.sqrt(along * along + across * across)


def _by_pair() -> dict[int, list[tuple[Points, Points, Any, bool]]]:
    """
    Return the crossings of each pair of shores, in both directions, with their km.
    """
    found: dict[int, list[tuple[Points, Points, Any, bool]]] = {}
    for (one, other), crossings in _CROSSINGS.items():
        for _, near, far, tolled in crossings:
            ends = locate(*near), locate(*far)
            km = straight_km(*ends)
            found.setdefault(one * 4 + other, []).append((*ends, km, tolled))
            found.setdefault(other * 4 + one, []).append((*ends[::-1], km, tolled))
    return found


_BY_PAIR = _by_pair()
