"""
Work on many rows: block by block, on all processors, so that the working arrays stay small.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.parallel import in_order
from taxi_fare import features

# Adds up sums and counts of this host and of others; on one host there is nothing to add.
Add = Callable[[ArrayLike], np.ndarray]

# Of a block: enough to spread the cost of a call, few enough that the allocator keeps the memory of
# its arrays for the next one.
ROWS = 1 << 14


def cut(columns: Columns) -> Iterator[Columns]:
    """
    Give the columns in blocks of ROWS rows, at least one; nothing is copied.
    """
    rows = count(columns)
    for start in range(0, max(rows, 1), ROWS):
        yield {name: values[start : start + ROWS] for name, values in columns.items()}


def join(parts: Iterable[Columns]) -> Columns:
    """
    Put blocks, at least one, together as they come.
    """
    parts = iter(parts)
    whole = {name: values.copy() for name, values in next(parts).items()}
    for part in parts:
        for name, values in part.items():
            # Lengthened in place, not joined at the end: nothing is in memory twice.
            rows = len(whole[name])
            whole[name].resize(rows + len(values), refcheck=False)
            whole[name][rows:] = values
    return whole


def matrix(columns: Columns, precision: Any = np.float64, last_day: float = math.inf) -> np.ndarray:
    """
    Return ``features.build`` of many rows, rounded to ``precision``.
    """
    rows = len(columns["pickup_datetime"])
    built = np.empty((rows, len(features.FEATURES)), precision)

    def fill(block: tuple[np.ndarray, Columns]) -> None:
        place, trips = block
        features.build(trips, place, last_day)

    # Written by the threads, as memory that is new takes longer to write than to compute.
    places = (built[start : start + ROWS] for start in range(0, max(rows, 1), ROWS))
    for _ in in_order(fill, zip(places, cut(columns), strict=True)):
        pass
    return built
