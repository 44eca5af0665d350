"""
Timestamps in texts and numbers, to seconds of the wall clock.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from sagemaker_runtime.formats.messages import Number

# A zone or a fraction stands behind a time of day only.
TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?)"
    r"(?:(?<=:\d\d)(?:\.\d+)?(?: ?(?:UTC|Z|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)
DIGITS = re.compile(r"-?\d{1,15}", re.ASCII)
# Of the years 1 and 9999, which are what timestamps in text can say.
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999


def moments(texts: Sequence[Any]) -> np.ndarray | None:
    """
    Read texts that are all written like the first, six times as fast as one by one, to
    datetime64[s]; None when they are not.
    """
    found = TIMESTAMP.fullmatch(texts[0])
    if not found or set(map(len, texts)) != {len(texts[0])}:
        return None
    if not (joined := "".join(texts)).isascii():
        return None
    codes = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), -1)
    is_digit = codes[0] - ord("0") < 10
    if not (
        (codes[:, is_digit] - ord("0") < 10).all()
        and (codes[:, ~is_digit] == codes[0, ~is_digit]).all()
    ):
        return None
    # Not bytes: numpy casts more than 500 of them without Python's lock, and then one that is not a
    # moment ends the process.
    return np.array([text[: len(found[1])] for text in texts], "datetime64[s]")


def moment(value: object, unit: str | None) -> np.datetime64 | None:
    """
    Read one value, without blanks around it; None when it is not a timestamp.

    Raises ValueError for a day or a time that there is not.
    """
    if isinstance(value, str) and not isinstance(value, Number):
        if found := TIMESTAMP.fullmatch(value):
            return np.datetime64(found[1], "s")
        if unit == "ms" and DIGITS.fullmatch(value):
            return _since_1970(float(value))
    elif unit == "ms" and type(value) in (int, float, Number):
        return _since_1970(float(value))  # type: ignore[arg-type]
    return None


def _since_1970(milliseconds: float) -> np.datetime64 | None:
    if not EARLIEST_MS <= milliseconds <= LATEST_MS:
        return None
    return np.datetime64(int(milliseconds // 1000), "s")
