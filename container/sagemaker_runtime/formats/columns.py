"""
Pieces of columns: how long they are, and put together.
"""

from collections.abc import Iterable

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
