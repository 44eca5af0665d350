"""
Predictions out of captured answers: one value per row, whatever the format, as it was written.
"""

import csv
from io import StringIO
from typing import Any

import orjson

from monitoring.events import Side
from sagemaker_runtime.formats.media_types import CSV, JSON, MEDIA_TYPES


def read(answered: Side) -> list[Any]:
    """
    Return the predictions of an answer, None for a row that got none; of several outputs the first.

    Raises ValueError for what is not one prediction per row.
    """
    kind = MEDIA_TYPES.get(answered.media_type)
    if kind == CSV:
        return _of_csv(answered.body.decode())
    if kind == JSON:
        content = orjson.loads(answered.body)
        if isinstance(content, dict):
            content = content.get("predictions", [content])
        return [_first(each) for each in content if isinstance(content, list)]
    return [_first(orjson.loads(line)) for line in answered.body.splitlines() if line.strip()]


def _of_csv(text: str) -> list[Any]:
    if '"' not in text:
        fields = [line.partition(",")[0] for line in text.splitlines()]
    else:
        fields = [row[0] if row else "" for row in csv.reader(StringIO(text, newline=""))]
    # The server writes the error of a bad record into the place of its prediction.
    return [None if not each.strip() or each.startswith('{"error"') else each for each in fields]


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return None if "error" in value else _first(next(iter(value.values()), None))
    if isinstance(value, list):
        return _first(value[0]) if value else None
    return value
