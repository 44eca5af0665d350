"""
Answers with one prediction per row, as CSV, JSON or JSON Lines.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.codecs import MEDIA_TYPES, encode


class Rows:
    """
    An algorithm's OUTPUT that is one prediction per row.
    """

    media_types = tuple(MEDIA_TYPES)

    def write(self, predictions: Sequence[tuple[Any, int | None]], media_type: str) -> bytes:
        """
        Write what ``predict`` returned for each piece of a body, beside the piece's rows.

        Raises AlgorithmError for predictions that are not one finite number, text or list of
        either per row.
        """
        return encode([_checked(*piece) for piece in predictions], media_type)


def _checked(prediction: Any, rows: int | None) -> np.ndarray:
    predictions = np.asarray(prediction)
    if predictions.ndim not in (1, 2) or (rows is not None and len(predictions) != rows):
        raise AlgorithmError(
            f"predict returned shape {predictions.shape} for {rows} rows; "
            f"expected ({rows},) or ({rows}, outputs), one prediction per row in order"
        )
    if not _is_presentable(predictions):
        raise AlgorithmError(
            f"predict returned NaN, infinity or objects (dtype {predictions.dtype}); "
            "expected finite numbers or text"
        )
    return predictions


def _is_presentable(predictions: np.ndarray) -> bool:
    kind = predictions.dtype.kind
    if kind == "f":
        # A third of the time that all() takes for a single row.
        return np.count_nonzero(np.isfinite(predictions)) == predictions.size
    return kind in "biuU" or (kind == "O" and all(type(p) is str for p in predictions.flat))
