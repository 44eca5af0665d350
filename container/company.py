"""
Rows of several requests in one call: the predictions of each, and whether they are the same as
without the others.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import accumulate, pairwise
from time import perf_counter
from typing import Any

import numpy as np

from sagemaker_runtime.errors import AlgorithmError, text_of
from sagemaker_runtime.formats.predictions import checked

# A call for so many rows is tried; of a slow model for as many as take TRIAL_S one by one, so that
# the self-test does not hold up the start, but for FEWEST at least.
ROWS, FEWEST, TRIAL_S = 16, 4, 0.5
# It must take less than this part of the time that as many calls of one row take.
WORTH = 0.5

# Predictions that differ by less are the same: libraries add up in another order for more rows.
RELATIVE, ABSOLUTE = 1e-3, 1e-6

Predict = Callable[[Any, int], Any]
Join = Callable[[Sequence[Any]], Any]


def parts(prediction: Any, rows: Sequence[int]) -> list[Any]:
    """
    Cut what ``predict`` returned into the predictions for so many rows each, of the same type.

    Raises AlgorithmError when it is not one prediction per row.
    """
    if isinstance(prediction, Mapping):
        columns = {name: parts(values, rows) for name, values in prediction.items()}
        return [{name: cut[i] for name, cut in columns.items()} for i in range(len(rows))]
    if len(prediction) != sum(rows):
        raise AlgorithmError(
            f"predict returned {len(prediction)} predictions for {sum(rows)} rows; expected one "
            "per row, in order"
        )
    places = getattr(prediction, "iloc", prediction)
    return [places[start:end] for start, end in pairwise(accumulate(rows, initial=0))]


def objection(piece: Any, join: Join, predict: Predict) -> str | None:
    """
    Say why requests are better not predicted together, None when they are: try it for a piece of
    one row among others that differ from it, since copies would not show what a row takes from its
    company.
    """
    alone, alone_s = _timed(predict, piece, 1)
    rows = round(min(ROWS, max(FEWEST, TRIAL_S / alone_s)))
    names, refusal = _variable(piece, rows - 1, join, predict)
    if not names:
        return refusal
    others = [_varied(piece, step, names) for step in range(1, rows)]
    together, together_s = _timed(predict, join([piece, *others]), rows)
    if together_s > rows * alone_s * WORTH:
        return f"{rows} rows take {together_s / alone_s:.1f} times as long as one"
    if _never_differs(checked(together, rows, ())):
        return (
            f"{rows} rows that differ are all predicted {_shown(alone)}, so it cannot be seen "
            "whether a row is predicted as it is alone; another example in INPUT may help"
        )
    cut = parts(together, [1] * rows)
    for mine, without in ((cut[0], alone), (cut[-1], predict(deepcopy(others[-1]), 1))):
        if not _alike(checked(mine, 1, ()), checked(without, 1, ())):
            return f"a row is predicted {_shown(without)} alone and {_shown(mine)} among {rows}"
    return None


def _variable(piece: Any, last: int, join: Join, predict: Predict) -> tuple[list[str], str]:
    """
    Return the columns that may have other values, and why none may: all of them, or else all but
    texts, of which a model may know only some, or else those that it takes one by one.
    """
    columns = piece if isinstance(piece, dict) else {}
    able = [name for name, values in columns.items() if _differs(values, _other(values, 1))]
    if not able:
        return [], "the example has no value in whose place another could be tried"
    refusal = ""

    def takes(names: list[str]) -> bool:
        nonlocal refusal
        try:
            predict(join([_varied(piece, step, names) for step in (1, last)]), 2)
        except Exception as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            refusal = f"{type(error).__name__}: {text_of(error)}"
            return False
        return True

    others = [name for name in able if not isinstance(columns[name][0], str)]
    for names in (able, others):
        if names and takes(names):
            return names, ""
    until = perf_counter() + TRIAL_S
    return [name for name in able if perf_counter() < until and takes([name])], (
        "predict refuses whatever differs from the example, so it cannot be seen whether a row is "
        f"predicted as it is alone; have it take another value in one column at least. {refusal}"
    )


def _timed(predict: Predict, piece: Any, rows: int) -> tuple[Any, float]:
    times: list[float] = []
    # The first may be slow for what it sets up, and any for other programs beside it.
    while len(times) < 3 and sum(times) < TRIAL_S:
        given = deepcopy(piece)  # predict may change it
        started = perf_counter()
        prediction = predict(given, rows)
        times.append(perf_counter() - started)
    return prediction, min(times)


def _varied(piece: Any, step: int, names: Sequence[str]) -> Any:
    """
    Return columns with other values in those that are named.
    """
    return {n: _other(values, step) if n in names else values for n, values in piece.items()}


def _other(values: np.ndarray, step: int) -> np.ndarray:
    kind = values.dtype.kind
    if kind == "f":
        return values * (1 + step / ROWS) + step % 2
    if kind == "M":
        return values + np.timedelta64(step, "D")
    if kind == "b":
        return values ^ bool(step % 2)
    if kind in "iu":
        return values + step % 2
    other = values.copy()
    for at, value in enumerate(values):
        if isinstance(value, np.ndarray):
            other[at] = _other(value, step)
        elif isinstance(value, str) and step % 2:
            turned = value[::-1]
            other[at] = turned if turned != value else 2 * value
    return other


def _differs(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray):
        return bool(one != other)
    if one.dtype.kind == "O":
        return any(map(_differs, one, other))
    return bool(((one != other) & (one == one)).any())  # what is missing stays so


def _never_differs(block: Any) -> bool:
    """
    Tell whether a block's numbers are the same in all rows. Labels may be, and probabilities of 0
    and 1, which nothing has centred.
    """
    columns = block.values() if isinstance(block, dict) else [block]
    numbers = [
        each
        for each in columns
        if isinstance(each, np.ndarray)
        and each.dtype.kind == "f"
        and np.unique(each).tolist() != [0, 1]
    ]
    return bool(numbers) and all((each == each[0]).all() for each in numbers)


def _alike(one: Any, other: Any) -> bool:
    """
    Compare two blocks, or columns of them.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[n], other[n]) for n in one)
    try:
        return bool(np.allclose(one, other, RELATIVE, ABSOLUTE, equal_nan=True))
    except (TypeError, ValueError):  # texts, lists of several lengths
        return bool(list(one) == list(other))


def _shown(prediction: Any) -> str:
    return " ".join(str(prediction).split())[:60]
