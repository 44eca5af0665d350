"""
Labelled rows: read from a folder, cut into blocks, written as training data.
"""

import csv
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.errors import DataError
from sagemaker_runtime.formats.columns import count, join
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.table import Table

# How often new rows stand in a challenger's training data, so that few of them count against years:
# 500 trips after a rise of fares left a bias of 0.54 dollars when they stood there once, 0.32 so.
COPIES = 3


def require_table(reader: Any) -> tuple[Table, Column]:
    """
    Return an algorithm's INPUT and its label; raises DataError when it cannot be compared by rows.
    """
    if not isinstance(reader, Table) or reader.label is None:
        raise DataError(
            f"INPUT is {type(reader).__name__} without a label; models are compared on the rows "
            'of a Table that names one: Table(..., label=Column("price", "number", "9.5"))'
        )
    return reader, reader.label


def read(folder: Path, reader: Any) -> Columns:
    """
    Return the rows of all files, in the order of the files' names, that have a label and all that a
    request must have.

    Raises DataError for files that cannot be read and when no such row is left.
    """
    from sagemaker_runtime.training import tables  # pyarrow

    table, label = require_table(reader)
    found = join(tables.read(folder, table))
    needed = [label, *(column for column in table.features if not column.optional)]
    whole = np.logical_and.reduce([_present(column, found[column.name]) for column in needed])
    if left_out := int((~whole).sum()):
        print(f"{left_out} of {len(whole)} rows lack a value and are left out")
    if not whole.any():
        raise DataError(f"{folder.name} holds no row with {label.name}; expected labelled rows")
    return {name: values[whole] for name, values in found.items()}


def blocks(rows: int, number: int) -> list[slice]:
    """
    Return consecutive blocks of nearly equal size.
    """
    edges = np.linspace(0, rows, number + 1).astype(int).tolist()
    return [slice(*ends) for ends in pairwise(edges)]


def without(columns: Columns, left_out: slice) -> Columns:
    """
    Return all rows but a block.
    """
    stays = np.ones(count(columns), bool)
    stays[left_out] = False
    return {name: values[stays] for name, values in columns.items()}


def write(columns: Columns, table: Table, path: Path) -> None:
    """
    Write rows as a CSV file with a header, as a training channel takes them.
    """
    label = () if table.label is None else (table.label,)
    wanted = [column for column in (*label, *table.features) if column.name in columns]
    texts = [_texts(column, columns[column.name]) for column in wanted]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in wanted])
        writer.writerows(zip(*texts, strict=True))


def add(new: Columns, table: Table, folder: Path) -> None:
    """
    Add new rows to a training channel: COPIES files with the same rows.
    """
    for number in range(1, COPIES + 1):
        write(new, table, folder / f"new-{number}.csv")


def _present(column: Column, values: np.ndarray) -> np.ndarray:
    if column.kind == "timestamp":
        return ~np.isnat(values)
    if column.kind in ("text", "numbers"):
        return np.array([len(value) > 0 for value in values], bool)
    return ~np.isnan(values.astype(float))


def _texts(column: Column, values: np.ndarray) -> Sequence[str]:
    match column.kind:
        case "timestamp":
            return ["" if text == "NaT" else text for text in values.astype(str).tolist()]
        case "text":
            return list(values)
        case "numbers":
            return [json.dumps([None if v != v else v for v in each.tolist()]) for each in values]
        case "boolean":
            given = values.astype(float).tolist()
            return ["" if value != value else str(bool(value)).lower() for value in given]
    return ["" if value != value else repr(value) for value in values.tolist()]
