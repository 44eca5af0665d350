"""
How good a model is, in figures.
"""

import math
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.engines.trees import Trees
from taxi_fare import features, geography
from taxi_fare.blocks import Add
from taxi_fare.groups import SAME_PLACE_KM, by_airport, by_distance, hours
from taxi_fare.trips import END_OF_PICKUPS, FIRST_PICKUP

DENSITY_DOLLARS = 70  # side of the density; 0.5 % of trips cost more
CLOSE_DOLLARS = 1.0
CLOSE_SHARE = 0.10
SHUFFLES = 3  # of a feature, to measure its importance to two digits


def rmse(actual: np.ndarray, predicted: np.ndarray) -> float:
    """
    Return the root of the mean squared error, in the unit of the values.
    """
    return float(np.sqrt(np.mean(np.square(predicted - actual))))


def evaluate(
    actual: np.ndarray, predicted: np.ndarray, columns: Columns, add: Add = np.asarray
) -> dict[str, Any]:
    """
    Compare predicted with actual fares (dollars, one per row of ``columns``).

    Returns plain values, ready for JSON: errors in dollars, shares from 0 to 1, a list of groups
    by distance, hour, airport and year each, and the counts of the density chart. ``core`` leaves
    out trips that end where they began. They are of all rows of which ``add`` adds up sums and
    counts, such as those of several hosts.
    """
    errors = predicted - actual
    km = geography.trip_km(columns)
    groups = {"all": {"": np.ones(len(actual), dtype=bool)}, "core": {"": km > SAME_PLACE_KM}}
    groups |= {
        "by_distance": by_distance(columns),
        "by_hour": _by_hour(columns),
        "by_airport": by_airport(columns),
        "by_year": _by_year(columns),
    }
    sums = [_sums(actual[rows], errors[rows]) for each in groups.values() for rows in each.values()]
    results = iter(add(sums).tolist())
    figures = {
        group: [_figures(name, next(results)) for name in members]
        for group, members in groups.items()
    }
    (overall,), (core,) = figures.pop("all"), figures.pop("core")
    figures["by_year"] = [year for year in figures["by_year"] if year["rows"]]
    mean = overall["mean_fare"] or 0.0
    spread, distance, squares, within_dollar, within_tenth = add(
        [
            np.sum(np.square(actual - mean)),
            np.sum(np.abs(actual - mean)),
            np.sum(np.square(errors)),
            np.sum(np.abs(errors) <= CLOSE_DOLLARS),
            np.sum(np.abs(errors) <= CLOSE_SHARE * actual),
        ]
    ).tolist()
    rows = max(overall["rows"], 1)
    return {
        "rows": overall["rows"],
        **{name: overall[name] for name in ("rmse", "mae", "bias")},
        "core": {name: core[name] for name in ("rmse", "mae", "bias")},
        "r2": 1.0 - squares / spread if spread else 0.0,
        "within_1_dollar": within_dollar / rows,
        "within_10_percent": within_tenth / rows,
        "mean_fare": mean,
        "mae_of_mean_fare": distance / rows,
        **figures,
        "density": _density(actual, predicted, add),
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


def _sums(actual: np.ndarray, errors: np.ndarray) -> tuple[float, ...]:
    """
    Return what the figures of some rows are made of, and what may be added up over parts of them.
    """
    return (
        len(actual),
        np.sum(actual),
        np.sum(np.square(errors)),
        np.sum(np.abs(errors)),
        np.sum(errors),
    )


def _figures(name: str, sums: list[float]) -> dict[str, Any]:
    rows, fares, squares, absolute, signed = sums
    none = dict.fromkeys(("mean_fare", "rmse", "mae", "bias"))
    if not rows:
        return {"name": name, "rows": 0, **none}
    return {
        "name": name,
        "rows": int(rows),
        "mean_fare": fares / rows,
        "rmse": math.sqrt(squares / rows),
        "mae": absolute / rows,
        "bias": signed / rows,
    }


def _by_hour(columns: Columns) -> dict[str, np.ndarray]:
    hour = hours(columns)
    return {str(each): hour == each for each in range(24)}


def _by_year(columns: Columns) -> dict[str, np.ndarray]:
    years = columns["pickup_datetime"].astype("datetime64[Y]")
    possible = np.arange(FIRST_PICKUP, END_OF_PICKUPS, dtype="datetime64[Y]")
    return {str(year): years == year for year in possible}


def _density(actual: np.ndarray, predicted: np.ndarray, add: Add) -> dict[str, Any]:
    """
    Count trips per dollar of actual and of predicted fare: cells of (actual, predicted, count).
    """
    inside = (actual < DENSITY_DOLLARS) & (predicted < DENSITY_DOLLARS)
    inside &= (actual >= 0) & (predicted >= 0)
    cell = actual[inside].astype(int) * DENSITY_DOLLARS + predicted[inside].astype(int)
    counts = np.bincount(cell, minlength=DENSITY_DOLLARS**2)
    *counts, outside = add([*counts, (~inside).sum()]).tolist()
    return {
        "dollars": DENSITY_DOLLARS,
        "outside": outside,
        "cells": [
            (int(cell // DENSITY_DOLLARS), int(cell % DENSITY_DOLLARS), counts[cell])
            for cell in np.flatnonzero(counts)
        ],
    }
