"""
What happens to bad training rows, and which rows are kept for validation.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.errors import DataError
from sagemaker_runtime.parallel import in_order
from taxi_fare import blocks, geography, trips
from taxi_fare.blocks import Add
from taxi_fare.schema import FARE, INPUT
from taxi_fare.tariff import FLAG_FALL
from taxi_fare.trips import END_OF_PICKUPS, FIRST_PICKUP, MOST_PASSENGERS, USUAL_PASSENGERS

# Dollars. The longest trips within the map cost less, with tolls and waiting; what lies above is
# mistyped or paid for something else.
HIGHEST_FARE = 250.0

FEWEST_ROWS = 100  # with fewer, neither the trees nor the validation figures mean anything

COORDINATES = tuple(
    column.name for column in INPUT.features if column.name.endswith(("longitude", "latitude"))
)


@dataclass(frozen=True)
class Rule:
    """
    One kind of bad row: ``finds`` tells which rows are so, ``repairs`` repairs them; without it,
    they are dropped.
    """

    name: str
    description: str
    finds: Callable[[Columns], np.ndarray]
    repairs: Callable[[Columns], Columns] | None = None

    @property
    def action(self) -> Literal["repaired", "dropped"]:
        return "repaired" if self.repairs else "dropped"


@dataclass(frozen=True)
class Count:
    """
    How many rows a rule met.
    """

    rule: str
    action: Literal["repaired", "dropped"]
    rows: int
    description: str


@dataclass(frozen=True)
class Report:
    """
    What cleaning did. A dropped row is counted once, by the first rule that met it.
    """

    rows_read: int
    rows_kept: int
    counts: tuple[Count, ...]

    def as_dict(self) -> dict[str, Any]:
        """
        Return the report as plain values, ready for JSON.
        """
        return asdict(self)

    def lines(self) -> list[str]:
        """
        Return the report as lines for the log: the rules that met a row.
        """
        return [
            f"Cleaning kept {self.rows_kept:,} of {self.rows_read:,} rows",
            *(
                f"  {count.action} {count.rows:,} ({count.rows / self.rows_read:.3%}): "
                f"{count.description}"
                for count in self.counts
                if count.rows
            ),
        ]


def _swapped(columns: Columns) -> np.ndarray:
    repaired = geography.repair(columns)
    changed = np.zeros(len(columns[FARE.name]), dtype=bool)
    for name in COORDINATES:
        changed |= (repaired[name] != columns[name]) & ~np.isnan(columns[name])
    return changed


def _odd_passengers(columns: Columns) -> np.ndarray:
    passengers = columns["passenger_count"]
    return trips.usual_passengers(passengers) != passengers


def _usual_passengers(columns: Columns) -> Columns:
    usual = trips.usual_passengers(columns["passenger_count"])
    return {**columns, "passenger_count": usual}


def _no_coordinate(columns: Columns) -> np.ndarray:
    absent = np.zeros(len(columns[FARE.name]), dtype=bool)
    for name in COORDINATES:
        absent |= ~np.isfinite(columns[name]) | (columns[name] == 0)
    return absent


def _no_clock(columns: Columns) -> np.ndarray:
    return trips.has_no_clock(columns["pickup_datetime"].astype(np.int64))


# In order: repairs first. Rows that are merely implausible stay, such as 57 dollars for no
# distance at all: they are real (round trips, negotiated fares) and leaving them out makes
# predictions worse.
RULES = (
    Rule(
        "swapped_coordinates",
        "latitude and longitude swapped; put back",
        _swapped,
        geography.repair,
    ),
    Rule(
        "passenger_count",
        f"passenger count missing or outside 0 to {MOST_PASSENGERS}; set to "
        f"{USUAL_PASSENGERS:.0f}, the usual one, as fares do not depend on it",
        _odd_passengers,
        _usual_passengers,
    ),
    Rule(
        "fare_missing",
        "fare is missing or not a finite number",
        lambda columns: ~np.isfinite(columns[FARE.name]),
    ),
    Rule(
        "fare_too_low",
        f"fare below the flag fall of {FLAG_FALL:.2f} dollars",
        lambda columns: columns[FARE.name] < FLAG_FALL,
    ),
    Rule(
        "fare_too_high",
        f"fare above {HIGHEST_FARE:.0f} dollars",
        lambda columns: columns[FARE.name] > HIGHEST_FARE,
    ),
    Rule(
        "pickup_missing",
        "pickup time is missing",
        lambda columns: np.isnat(columns["pickup_datetime"]),
    ),
    Rule(
        "pickup_clock",
        f"pickup before {FIRST_PICKUP.item().year} or after {END_OF_PICKUPS.item().year - 1}: "
        "the recorder's clock was wrong",
        _no_clock,
    ),
    Rule("coordinate_missing", "a coordinate is zero or missing", _no_coordinate),
    Rule(
        "coordinate_outside",
        "a coordinate lies outside the city and its surroundings",
        lambda columns: ~geography.usable(columns),
    ),
)


def clean(batches: Iterable[Columns], add: Add = np.asarray) -> tuple[Columns, Report]:
    """
    Put batches together, bad rows repaired or dropped by RULES; the arrays handed in stay as they
    are.

    The report is on all rows of which ``add`` adds up the counts, such as those of several hosts.
    Raises DataError when fewer than 100 rows are left of them.
    """
    met = [0] * len(RULES)
    rows_read = 0

    def kept() -> Iterator[Columns]:
        nonlocal met, rows_read
        for rows, counts, cleaned in in_order(_clean, batches):
            rows_read += rows
            met = [sum(each) for each in zip(met, counts, strict=True)]
            yield cleaned

    cleaned = blocks.join(kept())
    rows_read, rows_kept, *met = add([rows_read, len(cleaned[FARE.name]), *met]).tolist()
    report = Report(
        rows_read=rows_read,
        rows_kept=rows_kept,
        counts=tuple(
            Count(rule.name, rule.action, rows, rule.description)
            for rule, rows in zip(RULES, met, strict=True)
        ),
    )
    if report.rows_kept < FEWEST_ROWS:
        bad = "; ".join(
            f"{count.rows} {count.action}: {count.description}"
            for count in report.counts
            if count.rows
        )
        raise DataError(
            f"{report.rows_kept} of {report.rows_read} rows are left after cleaning; expected at "
            f"least {FEWEST_ROWS}. Give more rows or fix these: {bad or 'none was bad'}."
        )
    return cleaned, report


def _clean(columns: Columns) -> tuple[int, list[int], Columns]:
    """
    Return how many rows there were, how many of them each of RULES met, and the rows that are left.
    """
    rows = len(columns[FARE.name])
    keep = np.ones(rows, dtype=bool)
    met = []
    for rule in RULES:
        found = rule.finds(columns)
        if rule.repairs:
            columns = rule.repairs(columns)
        else:
            found &= keep
            keep &= ~found
        met.append(int(found.sum()))
    return rows, met, {name: values[keep] for name, values in columns.items()}


def split(
    columns: Columns, validation_fraction: float, seed: int, add: Add = np.asarray
) -> tuple[Columns, Columns]:
    """
    Split rows into training and validation ones by a hash of the pickup second.

    A trip falls on the same side whatever other rows there are and in whatever order, and trips
    of the same second, which may be one trip twice, never fall on both. Raises DataError when a
    side would be empty, of all rows of which ``add`` adds up the counts.
    """
    share = _hash(columns["pickup_datetime"], seed) / 2.0**64
    validation = share < validation_fraction
    rows, held_out = add([len(validation), validation.sum()]).tolist()
    if held_out in (0, rows):
        raise DataError(
            f"No split of {rows} rows at validation_fraction {validation_fraction} "
            "leaves rows on both sides; expected trips at more different times. Give more rows "
            "or a validation channel."
        )
    return (
        {name: values[~validation] for name, values in columns.items()},
        {name: values[validation] for name, values in columns.items()},
    )


def _hash(times: np.ndarray, seed: int) -> np.ndarray:
    """
    Mix the bits of each time and the seed: uint64, evenly spread.
    """
    bits = times.astype("datetime64[s]").astype(np.int64).view(np.uint64)
    return mixed(bits + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64))


def mixed(bits: np.ndarray) -> np.ndarray:
    """
    Spread uint64 evenly over all values: the finalizer of SplitMix64.
    """
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
