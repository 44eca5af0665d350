"""
Columns: what a table consists of, in requests and in training data.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

# Arrays of equal length by column name, see Column for what they hold.
Columns = dict[str, np.ndarray]
Kind = Literal["number", "timestamp", "text"]


@dataclass(frozen=True)
class Column:
    """
    One column; ``example`` is written as in a CSV file, quoted in error messages and, for a
    feature, predicted by the self-test.

    By kind an array holds: number: float64, NaN for a missing value; timestamp: datetime64[s],
    NaT; text: object, str, "". A value may be missing in an ``optional`` column only.
    """

    name: str
    kind: Kind
    example: str
    optional: bool = False
