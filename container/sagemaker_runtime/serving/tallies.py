"""
What is counted while a request is answered, by a few additions to lists and dictionaries: a queue
of values costs several times as much, since it pushes others out of the processor's cache.

For one thread only: an addition is not atomic.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from sagemaker_runtime.baseline.content import Ranges
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.serving.observed import UNNAMED, Counts

# Upper ends in seconds: a row takes less than the first, a batch may take an hour.
SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    3600,
)
# Paths that have a count; names of models and what scanners ask for must not become metrics.
ROUTES = ("/invocations", "/ping", "/metrics", "/execution-parameters")
OTHER = "(other)"


def _no_times() -> list[int]:
    return [0] * (len(SECONDS) + 1)


@dataclass
class Route:
    """
    Requests of one route: how many of each status, how many took up to each of SECONDS or longer,
    and the sum of these times.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    times: list[int] = field(default_factory=_no_times)
    seconds: float = 0.0


@dataclass
class Answered:
    """
    Requests that were answered: by route, and their bytes, rows and bad records.
    """

    routes: dict[str, Route] = field(default_factory=dict)
    bytes: int = 0
    rows: int = 0
    bad: int = 0

    def add(self, path: str, status: int, seconds: float, size: int, rows: int, bad: int) -> None:
        """
        Count a request.
        """
        if path not in ROUTES:
            path = "/models" if path.startswith("/models") else OTHER
        route = self.routes.get(path)
        if route is None:
            route = self.routes[path] = Route()
        route.statuses[status] += 1
        route.times[bisect_left(SECONDS, seconds)] += 1
        route.seconds += seconds
        self.bytes += size
        self.rows += rows
        self.bad += bad


class Singles:
    """
    Rows that come one by one, each with one number as its prediction: those with a value outside of
    the model's ranges, and predictions up to each of the steps.
    """

    def __init__(self, ranges: Ranges, steps: Sequence[float]) -> None:
        self._ends = [(name, low, high) for name, (low, high) in ranges.columns.items()]
        self._steps = list(steps)
        self._begin()

    def add(self, columns: Columns, predicted: float) -> None:
        """
        Count a row, or nothing of it: raises whatever a column raises that holds no number.
        """
        counts, outside = self._counts, []
        for name, low, high in self._ends:
            if name in columns:  # not taken out by predict
                value = columns[name].item()
                if value < low or value > high:  # what is missing is neither
                    outside.append(name)
        counts.rows += 1
        if outside:
            counts.outside += 1
            counts.outside_by_column.update(outside)
        if isfinite(predicted):
            self._predicted[bisect_left(self._steps, predicted)] += 1
            self._sum += predicted

    def take(self) -> Counts:
        """
        Return what was counted, and begin anew.
        """
        counts = self._counts
        if counts.rows:
            counts.predictions[UNNAMED] = np.array(self._predicted), self._sum
        if not self._ends:
            counts.rows = 0  # nothing was compared
        self._begin()
        return counts

    def _begin(self) -> None:
        self._counts = Counts()
        self._predicted, self._sum = [0] * (len(self._steps) + 1), 0.0
