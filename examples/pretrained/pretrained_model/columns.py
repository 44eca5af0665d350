"""
The columns that ``example.csv`` shows.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from sagemaker_runtime.algorithm import Column
from sagemaker_runtime.formats.kinds import column_of


def columns_of(file: Path) -> Iterator[Column]:
    """
    Yield a column for each name in the first line; one with an empty field is optional.
    """
    with file.open(newline="", encoding="utf-8-sig") as opened:
        names, *rows = csv.reader(opened)
    for name, *values in zip(names, *rows, strict=True):
        yield column_of(name, values)
