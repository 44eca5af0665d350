"""
How good a model is, in figures.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.engines.trees import Trees
from taxi_fare import features, geography

# km as the crow flies. A trip of less than 50 m ends where it began: a round trip or a wrong
# drop-off, whose fare the coordinates cannot tell.
SAME_PLACE_KM = 0.05
BANDS_KM = (0.0, SAME_PLACE_KM, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, np.inf)

DENSITY_DOLLARS = 70  # side of the density; 0.5 % of trips cost more
CLOSE_DOLLARS = 1.0
CLOSE_SHARE = 0.10
NO_AIRPORT = "no airport"
SHUFFLES = 3  # of a feature, to measure its importance to two digits


def rmse(actual: np.ndarray, predicted: np.ndarray) -> float:
    """
    Return the root of the mean squared error, in the unit of the values.
    """
    return float(np.sqrt(np.mean(np.square(predicted - actual))))


def evaluate(actual: np.ndarray, predicted: np.ndarray, columns: Columns) -> dict[str, Any]:
    """
    Compare predicted with actual fares (dollars, one per row of ``columns``).

    Returns plain values, ready for JSON: errors in dollars, shares from 0 to 1, a list of groups
    by distance, hour, airport and year each, and the counts of the density chart. ``core`` leaves
    out trips that end where they began.
    """
    errors = predicted - actual
    km = geography.trip_km(columns)
    spread = float(np.sum(np.square(actual - actual.mean())))
    return {
        "rows": len(actual),
        **_errors(errors),
        "core": _errors(errors[km > SAME_PLACE_KM]),
        "r2": 1.0 - float(np.sum(np.square(errors))) / spread if spread else 0.0,
        "within_1_dollar": float(np.mean(np.abs(errors) <= CLOSE_DOLLARS)),
        "within_10_percent": float(np.mean(np.abs(errors) <= CLOSE_SHARE * actual)),
        "mean_fare": float(actual.mean()),
        "mae_of_mean_fare": float(np.mean(np.abs(actual - actual.mean()))),
        "by_distance": _by_distance(km, actual, errors),
        "by_hour": _by_hour(columns, actual, errors),
        "by_airport": _by_airport(columns, actual, errors),
        "by_year": _by_year(columns, actual, errors),
        "density": _density(actual, predicted),
    }


def importance(trees: Trees, matrix: np.ndarray, fares: np.ndarray, seed: int) -> dict[str, float]:
    """
    Return by how many dollars the RMSE grows when a feature's values are shuffled, on average.
    """
    random = np.random.default_rng(seed)
    error = rmse(fares, trees.predict(matrix))
    growths = {}
    for number, name in enumerate(features.FEATURES):
        shuffled, errors = matrix.copy(), []
        for _ in range(SHUFFLES):
            random.shuffle(shuffled[:, number])
            errors.append(rmse(fares, trees.predict(shuffled)))
        growths[name] = float(np.mean(errors)) - error
    return growths


def _errors(errors: np.ndarray) -> dict[str, float | None]:
    if not len(errors):
        return {"rmse": None, "mae": None, "bias": None}
    return {
        "rmse": float(np.sqrt(np.mean(np.square(errors)))),
        "mae": float(np.mean(np.abs(errors))),
        "bias": float(np.mean(errors)),
    }


def _group(name: str, rows: np.ndarray, actual: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    some = bool(rows.any())
    return {
        "name": name,
        "rows": int(rows.sum()),
        "mean_fare": float(actual[rows].mean()) if some else None,
        **_errors(errors[rows]),
    }


def _by_distance(km: np.ndarray, actual: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    band = np.searchsorted(BANDS_KM, km, side="right") - 1
    names = [
        f"{low:g}+" if high == np.inf else f"{low:g}-{high:g}" if low else f"<{high:g}"
        for low, high in pairwise(BANDS_KM)
    ]
    return [_group(name, band == place, actual, errors) for place, name in enumerate(names)]


def _by_hour(columns: Columns, actual: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    pickup = columns["pickup_datetime"]
    hour = (pickup - pickup.astype("datetime64[D]")).astype("timedelta64[h]").astype(int)
    return [_group(str(each), hour == each, actual, errors) for each in range(24)]


def _by_airport(columns: Columns, actual: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    """
    Group trips by the airport where either end lies; one between two airports counts in both.
    """
    start = geography.locate(columns["pickup_longitude"], columns["pickup_latitude"])
    end = geography.locate(columns["dropoff_longitude"], columns["dropoff_latitude"])
    groups = []
    none = np.ones(len(actual), dtype=bool)
    for airport in (geography.JFK, geography.LAGUARDIA, geography.NEWARK):
        there = (geography.km_to(airport, start) <= airport.radius_km) | (
            geography.km_to(airport, end) <= airport.radius_km
        )
        none &= ~there
        groups.append(_group(airport.name, there, actual, errors))
    return [_group(NO_AIRPORT, none, actual, errors), *groups]


def _by_year(columns: Columns, actual: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    years = columns["pickup_datetime"].astype("datetime64[Y]")
    return [_group(str(year), years == year, actual, errors) for year in np.unique(years)]


def _density(actual: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """
    Count trips per dollar of actual and of predicted fare: cells of (actual, predicted, count).
    """
    inside = (actual < DENSITY_DOLLARS) & (predicted < DENSITY_DOLLARS)
    inside &= (actual >= 0) & (predicted >= 0)
    cell = actual[inside].astype(int) * DENSITY_DOLLARS + predicted[inside].astype(int)
    counts = np.bincount(cell, minlength=DENSITY_DOLLARS**2)
    return {
        "dollars": DENSITY_DOLLARS,
        "outside": int((~inside).sum()),
        "cells": [
            (int(cell // DENSITY_DOLLARS), int(cell % DENSITY_DOLLARS), int(counts[cell]))
            for cell in np.flatnonzero(counts)
        ],
    }
