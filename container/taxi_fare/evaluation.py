"""
How good a model is: the figures, and a page that shows them.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from taxi_fare import charts, geography
from taxi_fare.cleaning import Report

# km as the crow flies. A trip of less than 50 m ends where it began: a round trip or a wrong
# drop-off, whose fare the coordinates cannot tell.
SAME_PLACE_KM = 0.05
BANDS_KM = (0.0, SAME_PLACE_KM, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, np.inf)

DENSITY_DOLLARS = 70  # side of the density; 0.5 % of trips cost more
CLOSE_DOLLARS = 1.0
CLOSE_SHARE = 0.10
NO_AIRPORT = "no airport"
FEWEST_TRIPS = 30  # a group of fewer is drawn, but not called best or worst
MOST_FEATURES = 15  # bars in the chart of importance


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


def page(
    evaluation: Mapping[str, Any],
    importance: Mapping[str, float],
    cleaning: Report,
    hyperparameters: Mapping[str, Any],
    facts: Mapping[str, object],
) -> str:
    """
    Return one HTML page that shows an evaluation and needs nothing else to be displayed.

    ``importance`` is, per feature, the dollars by which RMSE grows when its values are shuffled;
    ``facts`` are further lines on where the model comes from, such as a fingerprint of the data.
    """
    template = Template(Path(__file__).with_suffix(".html").read_text("utf-8"))
    return template.substitute(
        summary=_summary(evaluation),
        figures=_figures(evaluation),
        density=_density_section(evaluation),
        groups="".join(
            _group_section(evaluation[f"by_{group}"], *words) for group, words in _GROUPS.items()
        ),
        importance=_importance_section(importance),
        cleaning=_cleaning_section(cleaning),
        hyperparameters=_table(
            ("Name", "Value"),
            [(name, str(value)) for name, value in hyperparameters.items()],
        ),
        facts=_table(("Name", "Value"), [(name, str(value)) for name, value in facts.items()]),
    )


# Title, label of the axis, what the chart says.
_GROUPS = {
    "distance": (
        "By distance",
        "kilometres from pickup to drop-off as the crow flies",
        "Long trips cost more, so a miss costs more. Those that end where they began are another "
        "matter: the fare was made on the way, and the coordinates do not tell where.",
    ),
    "hour": (
        "By hour",
        "hour of the pickup",
        "The meter counts minutes in traffic as well as distance; how bad traffic was, the model "
        "can only guess from the hour.",
    ),
    "airport": (
        "By airport",
        "airport at either end of the trip",
        "JFK has a flat fare to Manhattan, the way from LaGuardia often a toll, Newark a "
        "surcharge and the longest roads.",
    ),
    "year": (
        "By year",
        "year of the pickup",
        "The tariff rose in September 2012: a miss by the same distance costs more since.",
    ),
}


def _dollars(value: float | None) -> str:
    return "-" if value is None else f"${value:,.2f}"


def _share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


def _summary(evaluation: Mapping[str, Any]) -> str:
    # Without the first: trips that end where they began have a paragraph of their own.
    groups = [group for group in evaluation["by_distance"][1:] if group["rows"] >= FEWEST_TRIPS]
    words = (
        f"On <b>{evaluation['rows']:,} trips</b> that it had not seen, the model missed the fare "
        f"by <b>{_dollars(evaluation['mae'])}</b> on average. "
        f"{_share(evaluation['within_1_dollar'])} of its answers were within one dollar and "
        f"{_share(evaluation['within_10_percent'])} within a tenth of the fare. Always answering "
        f"the average fare, {_dollars(evaluation['mean_fare'])}, would have missed by "
        f"{_dollars(evaluation['mae_of_mean_fare'])}."
    )
    if len(groups) > 1:
        best = min(groups, key=lambda group: group["mae"])
        worst = max(groups, key=lambda group: group["mae"])
        words += (
            f" It knows trips of {best['name']} km best (off by {_dollars(best['mae'])}), "
            f"those of {worst['name']} km least ({_dollars(worst['mae'])})."
        )
    return words


def _figures(evaluation: Mapping[str, Any]) -> str:
    figures = (
        (_dollars(evaluation["mae"]), "mean absolute error", "a typical miss"),
        (_dollars(evaluation["rmse"]), "RMSE", "large misses count more"),
        (f"{evaluation['r2']:.3f}", "R²", "1 is perfect, 0 the average fare"),
        (_share(evaluation["within_1_dollar"]), "within $1", "of the actual fare"),
        (_share(evaluation["within_10_percent"]), "within 10 %", "of the actual fare"),
    )
    return "".join(
        f"<li><strong>{escape(value)}</strong><span>{escape(name)}</span>"
        f"<small>{escape(meaning)}</small></li>"
        for value, name, meaning in figures
    )


def _density_section(evaluation: Mapping[str, Any]) -> str:
    density = evaluation["density"]
    return charts.density(
        "Predicted against actual fare",
        f"Counts of trips per dollar of actual and of predicted fare up to "
        f"{density['dollars']} dollars; most lie along the diagonal.",
        density["cells"],
        density["dollars"],
        "actual fare in dollars",
        "predicted fare in dollars",
        lambda value: f"{value:g}",
    ) + (
        f"<p>Every square is one dollar by one dollar; its shade tells how many trips it holds. On "
        f"the dashed line the prediction is exact, above it too high, below it too low. Upright "
        f"stripes are fares that many trips share, such as the flat fare between JFK and "
        f"Manhattan, 45 dollars until September 2012 and 52 since. "
        f"{density['outside']:,} trips beyond {density['dollars']} dollars are left out here."
        "</p>"
    )


def _group_section(groups: Sequence[Mapping[str, Any]], title: str, axis: str, words: str) -> str:
    chart = charts.columns(
        f"Mean absolute error {title.lower()}",
        "; ".join(f"{group['name']}: {_dollars(group['mae'])}" for group in groups),
        [
            charts.Bar(
                group["name"],
                group["mae"],
                f"{group['name']}: {_dollars(group['mae'])} on {group['rows']:,} trips",
            )
            for group in groups
        ],
        axis,
        "mean absolute error",
        lambda value: f"${value:g}" if value == int(value) else f"${value:.2f}",
    )
    table = _table(
        (title.removeprefix("By ").capitalize(), "Trips", "Mean fare", "MAE", "RMSE", "Bias"),
        [
            (
                group["name"],
                f"{group['rows']:,}",
                *(_dollars(group[name]) for name in ("mean_fare", "mae", "rmse")),
                "-" if group["bias"] is None else f"{group['bias']:+.2f}",
            )
            for group in groups
        ],
    )
    return (
        f"<section><h3>{escape(title)}</h3>{chart}<p>{escape(words)}</p>"
        f"<details><summary>The figures</summary>{table}</details></section>"
    )


def _importance_section(importance: Mapping[str, float]) -> str:
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    chart = charts.rows(
        "Importance of each feature",
        "; ".join(f"{name}: {_dollars(value)}" for name, value in ranked[:MOST_FEATURES]),
        [
            charts.Bar(name.replace("_", " "), value, f"{name}: RMSE grows by {_dollars(value)}")
            for name, value in ranked[:MOST_FEATURES]
        ],
        "growth of RMSE in dollars",
        lambda value: f"{value:.2f}",
    )
    left_out = len(ranked) - MOST_FEATURES
    return chart + (
        "<p>A feature's values are shuffled among the trips and the error is measured again: the "
        "more it grows, the more the model relies on that feature. Features that tell the same "
        "story share the credit."
        + (f" The {left_out} least important are left out." if left_out > 0 else "")
        + "</p>"
    )


def _cleaning_section(cleaning: Report) -> str:
    return (
        f"<p>Of {cleaning.rows_read:,} rows in the training files, {cleaning.rows_kept:,} were "
        f"kept.</p>"
    ) + _table(
        ("What was found", "Rows", "Share", "Done"),
        [
            (
                count.description,
                f"{count.rows:,}",
                f"{count.rows / cleaning.rows_read:.3%}",
                count.action,
            )
            for count in cleaning.counts
        ],
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    def row(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return (
        f'<div class="wide"><table><thead>{row("th", head)}</thead>'
        f"<tbody>{''.join(row('td', cells) for cells in body)}</tbody></table></div>"
    )
