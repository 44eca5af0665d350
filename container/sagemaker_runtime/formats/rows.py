"""
Answers with one prediction per row, as CSV, JSON or JSON Lines.
"""

import csv
import json
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

import numpy as np
import orjson

from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES, MEDIA_TYPES


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


def encode(predictions: Sequence[np.ndarray], media_type: str) -> bytes:
    """
    Write the predictions of a body's pieces, each of shape (n,) or (n, k), finite numbers or text,
    as ``media_type`` says.

    Numbers are written with the fewest digits that read back as the same number.
    """
    return WRITERS[MEDIA_TYPES[media_type]]([piece for piece in predictions if len(piece)])


def _elements(predictions: np.ndarray) -> bytes:
    """
    Write predictions as JSON does the elements of a list, without the brackets around them.
    """
    if predictions.dtype.kind in "OU":
        return json.dumps(predictions.tolist())[1:-1].encode()
    return orjson.dumps(np.ascontiguousarray(predictions), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def _write_csv(pieces: list[np.ndarray]) -> bytes:
    return b"".join(map(_csv, pieces))


def _csv(predictions: np.ndarray) -> bytes:
    if predictions.dtype.kind in "OU":
        out, rows = StringIO(), predictions.tolist()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(rows if predictions.ndim == 2 else zip(rows, strict=True))
        return out.getvalue().encode()
    elements = _elements(predictions)
    if predictions.ndim == 1:
        return elements.replace(b",", b"\n") + b"\n"
    return elements[1:-1].replace(b"],[", b"\n") + b"\n"


def _write_json(pieces: list[np.ndarray]) -> bytes:
    return b'{"predictions": [' + b",".join(map(_elements, pieces)) + b"]}"


def _write_json_lines(pieces: list[np.ndarray]) -> bytes:
    return b"".join(map(_json_lines, pieces))


def _json_lines(predictions: np.ndarray) -> bytes:
    before, behind = b'{"prediction": ', b"}\n"
    if predictions.dtype.kind in "OU":
        rows = predictions.tolist()
        return b"".join(before + json.dumps(row).encode() + behind for row in rows)
    comma = b"," if predictions.ndim == 1 else b"],["
    lines = _elements(predictions).replace(comma, comma.replace(b",", behind + before))
    return before + lines + behind


WRITERS: dict[str, Callable[[list[np.ndarray]], bytes]] = {
    CSV: _write_csv,
    JSON: _write_json,
    JSON_LINES: _write_json_lines,
}
