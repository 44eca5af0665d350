"""
Functions of numpy for a single number: the same bits in a tenth of the time.

What computes with arrays takes this module as ``xp`` in numpy's place and numbers in the arrays',
and so has one implementation for a row and for a million of them.
"""

import builtins
from bisect import bisect_right
from collections.abc import Sequence
from math import floor as _floor
from math import sqrt

__all__ = [
    "floor",
    "interp",
    "intp",
    "isnan",
    "maximum",
    "minimum",
    "round",
    "sqrt",
    "take",
    "where",
]

intp = int


def where(condition: bool, chosen: float, other: float) -> float:
    return chosen if condition else other


def isnan(value: float) -> bool:
    return value != value


def floor(value: float) -> float:
    return value if value != value else float(_floor(value))


def minimum(one: float, other: float) -> float:
    return one if one < other or one != one else other


def maximum(one: float, other: float) -> float:
    return one if one > other or one != one else other


def round(value: float, decimals: int) -> float:
    # As numpy does it; Python's rounds the decimal number that was meant.
    return builtins.round(value * 10.0**decimals) / 10.0**decimals


def take(values: Sequence[float], index: int) -> float:
    return values[index]


def interp(at: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    if at != at:
        return at
    if at <= xs[0]:
        return ys[0]
    if at >= xs[-1]:
        return ys[-1]
    i = bisect_right(xs, at) - 1
    return (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) * (at - xs[i]) + ys[i]
