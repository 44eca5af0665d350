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

from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.predictions import checked

# A call for so many rows is tried.
ROWS = 16
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
    one row among others.
    """
    alone, alone_s = _timed(predict, piece, 1)
    others, together, together_s = _in_company(piece, join, predict)
    cut = parts(together, [1] * ROWS)
    for mine, without in ((cut[0], alone), (cut[-1], predict(deepcopy(others[-1]), 1))):
        if not _alike(checked(mine, 1, ()), checked(without, 1, ())):
            return f"a row is predicted {_shown(without)} alone and {_shown(mine)} among {ROWS}"
    if together_s > ROWS * alone_s * WORTH:
        return f"{ROWS} rows take {together_s / alone_s:.1f} times as long as one"
    return None


def _in_company(piece: Any, join: Join, predict: Predict) -> tuple[list[Any], Any, float]:
    """
    Return the other rows, the predictions for all and the seconds they took. The model need not
    know the made-up texts and numbers: then the rows are all the same.
    """
    for kinds in ("fMO", "fM", ""):
        others = [_varied(piece, step, kinds) for step in range(1, ROWS)]
        try:
            together, seconds = _timed(predict, join([piece, *others]), ROWS)
            predict(deepcopy(others[-1]), 1)
        except Exception:
            if not kinds:
                raise
            continue
        break
    return others, together, seconds


def _timed(predict: Predict, piece: Any, rows: int) -> tuple[Any, float]:
    times = []
    for _ in range(2):  # the first may be slow for what it sets up
        given = deepcopy(piece)  # predict may change it
        started = perf_counter()
        prediction = predict(given, rows)
        times.append(perf_counter() - started)
    return prediction, min(times)


def _varied(piece: Any, step: int, kinds: str) -> Any:
    """
    Return columns with other values, of the kinds of arrays that are named; all else as it is.
    """
    if not isinstance(piece, dict):
        return piece
    return {
        name: _other(values, step) if values.dtype.kind in kinds else values
        for name, values in piece.items()
    }


def _other(values: np.ndarray, step: int) -> np.ndarray:
    if values.dtype.kind == "f":
        return values * (1 + step / ROWS) + step % 2
    if values.dtype.kind == "M":
        return values + np.timedelta64(step, "D")
    other = values.copy()
    other[:] = [each[::-1] if step % 2 and isinstance(each, str) else each for each in values]
    return other


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
