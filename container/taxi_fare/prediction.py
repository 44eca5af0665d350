"""
From the columns of a request to fares, and the business rules that every fare obeys.

1. A fare is never below the flag fall, 2.50 dollars: the meter starts there.
2. Latitude and longitude given in each other's place are put right, as in training.
3. A number of passengers that is missing or impossible counts as the usual one, as in training. A
   time at which no recorder's clock was right is refused: training leaves such trips out.
4. A trip without usable coordinates (missing, zero, outside the city) gets the typical fare,
   the median of the training rows: every row that is asked for gets an answer.
5. Fares are in whole cents.
"""

from math import nan
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.serving.metrics import count_repaired
from taxi_fare import features, geography, scalar, trips
from taxi_fare.artifact import Model
from taxi_fare.tariff import FLAG_FALL

# Up to this many rows are quicker one by one than with numpy, whose calls cost more than they do.
FEW_ROWS = 6


def predict(model: Model, columns: Columns) -> np.ndarray:
    """
    Return the fares in dollars, shape (rows,), in the order of the rows.

    Raises InvalidValue for a time of pick-up that cannot be right.
    """
    seconds = columns["pickup_datetime"].astype(np.int64)
    if 0 < len(seconds) <= FEW_ROWS:
        return _predict_few(model, columns, seconds.tolist())
    wrong = trips.has_no_clock(seconds)
    if wrong.any():
        raise _no_clock(columns, int(wrong.argmax()))
    repaired = _repaired(columns)
    for rule, rows in _changed(columns, repaired).items():
        count_repaired(rule, int(rows.sum()))
    fares = model.trees.predict(features.build(repaired, last_day=model.last_day))
    return obey_rules(fares, geography.usable(repaired), model.typical_fare)


def repairs(columns: Columns) -> dict[str, np.ndarray]:
    """
    Tell which rows rules 2 and 3 put right.
    """
    return _changed(columns, _repaired(columns))


def _repaired(columns: Columns) -> Columns:
    passengers = trips.usual_passengers(columns["passenger_count"])
    return geography.repair(columns | {"passenger_count": passengers})


def _changed(columns: Columns, repaired: Columns) -> dict[str, np.ndarray]:
    # A place that is put right has another latitude; a missing one differs from itself.
    swapped = [
        (repaired[name] != columns[name]) & (columns[name] == columns[name])
        for name in ("pickup_latitude", "dropoff_latitude")
    ]
    return {
        "passengers": repaired["passenger_count"] != columns["passenger_count"],
        "coordinates": swapped[0] | swapped[1],
    }


def _no_clock(columns: Columns, row: int) -> InvalidValue:
    return InvalidValue(
        f"pickup_datetime is {columns['pickup_datetime'][row]}; expected a time from "
        f"{trips.FIRST_PICKUP.item().year} to {trips.END_OF_PICKUPS.item().year - 1}, such as "
        "2014-02-25 12:17:00",
        row + 1,
        "pickup_datetime",
    )


def obey_rules(fares: Any, usable: Any, typical_fare: float, xp: Any = np) -> Any:
    """
    Apply rules 1, 4 and 5 to the fares of trips, ``usable`` telling which have coordinates.
    """
    fares = xp.where(usable, fares, typical_fare)
    return xp.round(xp.maximum(fares, FLAG_FALL), 2)


def _predict_few(model: Model, columns: Columns, times: list[int]) -> np.ndarray:
    """
    Do the same with numbers in place of arrays; ``times`` are in seconds since 1970.
    """
    places = [columns[name].tolist() for name in features.COLUMNS]
    built, usable = [], []
    swapped = changed = 0
    for row, (time, start_x, start_y, end_x, end_y, asked) in enumerate(
        zip(times, *places, strict=True)
    ):
        if trips.has_no_clock(time):
            raise _no_clock(columns, row)
        seconds = nan if time == trips.NAT else time
        start = geography.put_right(start_x, start_y, scalar)
        end = geography.put_right(end_x, end_y, scalar)
        passengers = trips.usual_passengers(asked, scalar)
        swapped += start[0] == start_y != start_x or end[0] == end_y != end_x
        changed += passengers != asked
        built.append(
            features.compute(seconds, *start, *end, passengers, xp=scalar, last_day=model.last_day)
        )
        usable.append(geography.inside(*start) & geography.inside(*end))
    count_repaired("coordinates", swapped)
    count_repaired("passengers", changed)
    fares = model.trees.predict(np.array(built)).tolist()
    return np.array(
        [
            obey_rules(fare, is_usable, model.typical_fare, scalar)
            for fare, is_usable in zip(fares, usable, strict=True)
        ]
    )
