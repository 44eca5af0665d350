"""
Counts of a column's values per bin: all that is kept of them, and all that drift is measured by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

BINS = 10
# With so few different values, each is its own bin.
FEW_VALUES = 12
OTHER, MISSING = "other", "missing"


@dataclass(frozen=True)
class Bins:
    """
    Bins and how many values fell into each.

    Numbers: one bin up to each of ``edges``, which are values of the column, and one above, or one
    for each of ``values`` and one for others. Texts have ``values`` always. Behind them, in
    ``counts``, is the bin of what is missing.
    """

    counts: np.ndarray
    edges: tuple[float, ...] | None = None
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: np.ndarray) -> "Bins":
        """
        Choose bins by a column's values, an array of numbers or of texts, and count them.
        """
        known = column[~_missing(column)]
        values, times = np.unique(known, return_counts=True)
        if len(values) <= FEW_VALUES or column.dtype.kind == "O":
            most = np.sort(np.argsort(-times, kind="stable")[:FEW_VALUES])
            chosen = tuple(values[most].tolist())
            found = cls(np.zeros(len(chosen) + 2, np.int64), None, chosen)
        else:
            at = np.searchsorted(np.cumsum(times), np.arange(1, BINS) * len(known) / BINS)
            # A value in more rows than a bin has stands alone: if it were the largest one, with all
            # others in its bin, it could become rare without a trace.
            alone = np.flatnonzero(times * BINS > len(known))
            places = np.unique([*at, *alone, *(alone[alone > 0] - 1)])
            edges = values[places].astype(float).tolist()
            found = cls(np.zeros(len(edges) + 2, np.int64), tuple(edges))
        return cls(found.count(column), found.edges, found.values)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Bins":
        """
        Read what ``as_json`` returned; raises what a wrong content makes Python raise.
        """
        counts = np.array([int(each) for each in content["counts"]], np.int64)
        edges = tuple(map(float, content["edges"])) if "edges" in content else None
        values = tuple(content.get("values", ()))
        if len(counts) != len(values if edges is None else edges) + 2:
            raise ValueError(f"{len(counts)} counts do not belong to the bins")
        return cls(counts, edges, values)

    def as_json(self) -> dict[str, Any]:
        """
        Return plain values.
        """
        bins = {"values": self.values} if self.edges is None else {"edges": self.edges}
        return {**bins, "counts": self.counts.tolist()}

    def count(self, column: np.ndarray) -> np.ndarray:
        """
        Return how many values fall into each of the bins.
        """
        missing = _missing(column)
        known = column[~missing]
        if self.edges is not None:
            places = np.searchsorted(self.edges, known.astype(float))  # an edge belongs below
        elif column.dtype.kind == "O":
            number = {value: place for place, value in enumerate(self.values)}
            other = len(self.values)
            places = np.array([number.get(value, other) for value in known.tolist()], np.int64)
        else:
            places = np.full(len(known), len(self.values))
            for place, value in enumerate(self.values):
                places[known == value] = place
        counts = np.bincount(places, minlength=len(self.counts))
        counts[-1] = missing.sum()
        return counts

    @property
    def names(self) -> list[str]:
        """
        Return how a person calls each bin.
        """
        if self.edges is None:
            return [*_shown(self.values), OTHER, MISSING]
        shown = _shown(self.edges)
        inner = [f"{low} to {high}" for low, high in pairwise(shown)]
        return [f"up to {shown[0]}", *inner, f"above {shown[-1]}", MISSING]


def psi(expected: np.ndarray, found: np.ndarray) -> float:
    """
    Return the population stability index of counts in the same bins: 0 for equal shares, 0.1 to
    0.2 for a moderate difference. Half a value more in each bin keeps an empty one finite.
    """
    used = (expected + found) > 0
    first, second = expected[used] + 0.5, found[used] + 0.5
    first, second = first / first.sum(), second / second.sum()
    return float(np.sum((second - first) * np.log(second / first)))


def _missing(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "O":
        return np.array([value is None or value == "" for value in column.tolist()], bool)
    return ~np.isfinite(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)


def _shown(values: Sequence[Any]) -> list[str]:
    """
    Write values as briefly as tells them apart.
    """
    texts = [f"{each:g}" if isinstance(each, float) else str(each) for each in values]
    if len({*texts}) == len({*values}) and not any("e+" in text for text in texts):
        return texts
    return [f"{each:.15g}" if isinstance(each, float) else str(each) for each in values]
