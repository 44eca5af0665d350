"""
What ``predict`` may return for rows: brought into one of three forms and checked.

A block is what one piece of a body became:

- an array of numbers or booleans, shape (n,) or (n, k), NaN where there is nothing,
- a list with one value per row, where that is text, mixed or of several lengths, or
- a dict from each name to one of these two: columns.

A value is a number, a text, a boolean, None or a list of values; never infinity.
"""

from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import Any

import numpy as np

from sagemaker_runtime.errors import AlgorithmError

Column = np.ndarray | list[Any]
Block = Column | dict[str, Column]

ALLOWED = (
    "an array of shape (n,) or (n, k), a list of n values, lists or dicts, or a dict or DataFrame "
    "of columns; values are finite numbers, texts, booleans, None or lists of these"
)

# What JSON has a word for as it is.
_PLAIN = {str, int, bool, type(None)}
# Of one such type, a list is as good as an array; of several, numpy would change some to others.
_NUMBERS = {float, int, bool, np.float64, np.float32, np.int64, np.int32, np.bool_}


class Unfit(Exception):
    """
    Says in a few words what ``predict`` returned, where that cannot be an answer.
    """


def checked(prediction: Any, rows: int | None, names: Sequence[str]) -> Block:
    """
    Return the block that a prediction for ``rows`` rows makes, None when nobody counted them; with
    ``names``, a dict of exactly these.

    Raises AlgorithmError that says what is allowed.
    """
    try:
        if type(prediction) is np.ndarray and not names:
            block: Block = _array(prediction)
        else:
            block = _block(prediction, names)
        if rows is not None and length(block) != rows:
            raise Unfit(_described(prediction))
    except Unfit as unfit:
        asked = "" if rows is None else f" for {rows} row{'' if rows == 1 else 's'}"
        by_name = f" named {', '.join(names)}" if names else ""
        raise AlgorithmError(
            f"predict returned {unfit}{asked}; expected one prediction{by_name} per row, in order: "
            + ALLOWED
        ) from None
    return block


def length(block: Block) -> int:
    """
    Return how many rows a block has.
    """
    return len(next(iter(block.values()))) if type(block) is dict else len(block)


def first(block: Block) -> np.ndarray:
    """
    Return one value per row: of several outputs the first.
    """
    column = next(iter(block.values())) if isinstance(block, dict) else block
    if isinstance(column, np.ndarray):
        return column if column.ndim == 1 else column[:, 0]
    array = np.empty(len(column), object)
    array[:] = [each[0] if isinstance(each, list) and each else each for each in column]
    return array


def _block(prediction: Any, names: Sequence[str]) -> Block:
    if hasattr(prediction, "columns"):
        if len(set(prediction.columns)) < len(prediction.columns):
            raise Unfit("a DataFrame with two columns of one name")
        prediction = {name: prediction[name] for name in prediction.columns}
    if isinstance(prediction, Mapping):
        return _columns(prediction, names)
    if (
        isinstance(prediction, list | tuple)
        and prediction
        and all(isinstance(row, Mapping) for row in prediction)
    ):
        keys = prediction[0].keys()
        if odd := next((row for row in prediction if row.keys() != keys), None):
            raise Unfit(f"dicts of different names ({_listed(keys)}; {_listed(odd)})")
        return _columns({key: [row[key] for row in prediction] for key in keys}, names)
    block = _column(prediction)
    return _named(block, names) if names else block


def _columns(given: Mapping[Any, Any], names: Sequence[str]) -> dict[str, Column]:
    columns = {str(name): values for name, values in given.items()}
    if len(columns) < len(given):
        raise Unfit(f"names that are the same as texts ({_listed(given)})")
    if not columns or (names and columns.keys() != set(names)):
        raise Unfit(f"the names {_listed(columns)}" if columns else "no columns")
    block = {name: _column(columns[name]) for name in names or columns}
    if len({len(column) for column in block.values()}) > 1:
        lengths = ", ".join(f"{name}: {len(column)}" for name, column in block.items())
        raise Unfit(f"columns of different lengths ({lengths})")
    return block


def _named(block: Column, names: Sequence[str]) -> dict[str, Column]:
    """
    Give the outputs of each row their names, in order.
    """
    if isinstance(block, np.ndarray):
        outputs = block.shape[1] if block.ndim == 2 else 1
        if outputs != len(names):
            raise Unfit(f"an array of shape {block.shape}")
        return dict(zip(names, block.reshape(len(block), outputs).T, strict=True))
    if len(names) == 1 and not all(isinstance(row, list) and len(row) == 1 for row in block):
        return {names[0]: block}
    for row in block:
        if not isinstance(row, list) or len(row) != len(names):
            raise Unfit(f"a row of {len(row) if isinstance(row, list) else 1} values")
    return {name: [row[i] for row in block] for i, name in enumerate(names)}


def _column(values: Any) -> Column:
    """
    Check one value per row.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = values.tolist()  # None where asarray would show what is masked
    if isinstance(values, list | tuple):
        types = set(map(type, values))
        if types == {str}:
            return list(values)
        if len(types) == 1 and types <= _NUMBERS:
            array = np.asarray(values)
            if array.dtype.kind in "fiub":  # no integers above 64 bits
                return _array(array)
        return [_value(value) for value in values]
    if hasattr(values, "__array__"):  # a Series, a tensor
        return _array(np.asarray(values))
    raise Unfit(_described(values))


def _array(array: np.ndarray) -> Column:
    if array.ndim not in (1, 2):
        raise Unfit(f"an array of shape {array.shape}")
    kind = array.dtype.kind
    if kind == "f":
        # A third of the time that all() takes for a single row.
        if np.count_nonzero(np.isfinite(array)) != array.size and np.isinf(array).any():
            raise Unfit("infinity")
        return array
    if kind in "biu":
        return array
    if kind in "OU":
        return [_value(value) for value in array.tolist()]
    raise Unfit(f"values of numpy's type {array.dtype}")


def _value(value: Any) -> Any:
    """
    Return a value as JSON takes it: None for NaN, a list for a tuple or an array.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, float | np.floating):
        if isfinite(value):
            return value
        if isnan(value):
            return None
        raise Unfit("infinity")
    if kind is list or kind is tuple:
        types = set(map(type, value))
        if types <= _PLAIN or (types == {float} and isfinite(sum(value))):
            return list(value)
        return [_value(each) for each in value]
    if isinstance(value, np.ndarray):
        return [_value(each) for each in value] if value.ndim else _value(value[()])
    if isinstance(value, np.bool_ | np.integer | np.str_):
        return value.item()
    if kind.__name__ in ("NAType", "NaTType"):  # pandas' words for nothing
        return None
    raise Unfit(_described(value))


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, dict | list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"


def _listed(names: Any) -> str:
    return ", ".join(str(name)[:40] for name in list(names)[:5])
