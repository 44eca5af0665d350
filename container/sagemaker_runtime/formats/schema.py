"""
Columns: what a table consists of, in requests and in training data.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

# Arrays of equal length by column name, see Column for what they hold.
Columns = dict[str, np.ndarray]
Kind = Literal["number", "boolean", "timestamp", "text", "numbers"]


@dataclass(frozen=True)
class Column:
    """
    One column; ``example`` is written as in a CSV file, quoted in error messages and, for a
    feature, predicted by the self-test.

    By kind an array holds, and for a missing value:

    - number: float64, NaN
    - boolean: bool; float64 of 1 and 0 in an optional column, NaN
    - timestamp: datetime64[s], NaT; the wall-clock time without fraction and zone
    - text: object, str, ""
    - numbers: object, one-dimensional float64 arrays of any length, an empty one

    A value may be missing in an ``optional`` column only; only an ``omittable`` one may be left
    out of a request altogether. With ``unit="ms"`` a timestamp may also be a number: milliseconds
    since 1970, as pandas writes them.
    """

    name: str
    kind: Kind
    example: str
    optional: bool = False
    omittable: bool = False
    unit: Literal["ms"] | None = None

    def __post_init__(self) -> None:
        if self.unit is not None and self.kind != "timestamp":
            raise ValueError(f"{self.name} has a unit; expected one for timestamps only")
        if self.omittable and not self.optional:
            raise ValueError(f"{self.name} is omittable; expected optional=True beside it")
