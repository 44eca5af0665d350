"""
Pieces of columns: how long they are, and put together.
"""

from collections.abc import Iterable
from copy import deepcopy

import numpy as np

from sagemaker_runtime.formats.schema import Columns


def count(columns: Columns) -> int:
    """
    Return the number of rows.
    """
    return len(next(iter(columns.values())))


def join(pieces: Iterable[Columns]) -> Columns:
    """
    Put pieces, at least one, together in order.
    """
    parts = list(pieces)
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def copied(columns: Columns) -> Columns:
    """
    Return the same columns for somebody who may change what they hold.
    """
    return {name: _copied(values) for name, values in columns.items()}


def _copied(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "O" and len(values) and isinstance(values[0], np.ndarray):
        return deepcopy(values)  # a column of numbers
    return values.copy()
