"""
What reads, predicts and writes where ``inference.py`` does not: CSV, JSON, npy and npz, as in
AWS's scikit-learn container.

Two things differ on purpose: nothing is unpickled, and a CSV of one column is a column.
"""

import csv
import json
import math
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import orjson

from sagemaker_runtime.errors import Malformed, NotAcceptable, UnsupportedMediaType
from sagemaker_runtime.formats.media_types import CSV, JSON
from sagemaker_runtime.formats.npy import NPY

NPZ = "application/x-npz"


def input_fn(content: str | bytes, content_type: str) -> Any:
    """
    Return a float32 array of at least two dimensions from CSV or JSON, the array of an npy file,
    the sparse matrix of an npz file.

    Raises UnsupportedMediaType for other types, Malformed for what cannot be read.
    """
    try:
        if isinstance(content, str):
            values = json.loads(content) if content_type == JSON else _csv_values(content)
            array = np.atleast_2d(np.array(values, np.float32))
            if not array.size:
                raise ValueError("it holds no values")
            return array
        if content_type == NPY:
            return np.atleast_2d(np.load(BytesIO(content), allow_pickle=False))
        if content_type == NPZ:
            from scipy import sparse  # 0.1 s, for a type that few send

            return sparse.load_npz(BytesIO(content))
    except (ValueError, TypeError, OSError, EOFError, KeyError) as error:
        raise Malformed(
            f"the body is not {content_type} that can be read: {error}; expected numbers in rows "
            "of equal length without a header, such as 1.5,2 or [[1.5, 2]]. Write an input_fn in "
            "inference.py to read anything else."
        ) from error
    raise UnsupportedMediaType(
        f"Content-Type is {content_type!r}; expected one of {CSV}, {JSON}, {NPY}, {NPZ}. "
        "Write an input_fn in inference.py to read anything else."
    )


def predict_fn(data: Any, model: Any) -> Any:
    """
    Return what the model's ``predict`` makes of what ``input_fn`` read.
    """
    return model.predict(data)


def output_fn(prediction: Any, accept: str) -> bytes:
    """
    Write an array, a list or a number as JSON, CSV or npy; raises NotAcceptable for other types.
    """
    if accept == JSON:
        return orjson.dumps(prediction, _plain, orjson.OPT_SERIALIZE_NUMPY)
    if accept == CSV:
        text = StringIO()
        np.savetxt(text, np.atleast_1d(prediction), delimiter=",", fmt="%s")
        return text.getvalue().encode()
    if accept == NPY:
        file = BytesIO()
        np.save(file, prediction, allow_pickle=False)
        return file.getvalue()
    raise NotAcceptable(
        f"Accept is {accept!r}; expected one of {JSON}, {CSV}, {NPY}. "
        "Write an output_fn in inference.py to produce anything else."
    )


def _csv_values(text: str) -> list[list[float]]:
    return [
        [float(field) if field.strip() else math.nan for field in row]
        for row in csv.reader(StringIO(text))
        if row
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
