"""
What is compared of a table's columns: each column as it came, of a time its hour and weekday.

A date is never compared: it always changes.
"""

import numpy as np

from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

DAY = np.timedelta64(1, "D")
WEEK = 7 * DAY
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THURSDAY = 3  # 1970-01-01


def of(table: Table, columns: Columns) -> dict[str, np.ndarray]:
    """
    Return arrays of numbers and of texts by name. Hours are those of whole days only, back from the
    newest row, and weekdays those of whole weeks: of less than one there is nothing.
    """
    found: dict[str, np.ndarray] = {}
    for column in table.features:
        values = columns.get(column.name)
        if values is None or column.kind == "numbers":
            continue
        if column.kind == "timestamp":
            found |= _of_times(column.name, values)
        elif column.kind == "text":
            found[column.name] = values
        else:
            found[column.name] = values.astype(float)
    return found


def _of_times(name: str, times: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    if len(times := _whole(times, DAY)):
        hours = (times - times.astype("datetime64[D]")) // np.timedelta64(1, "h")
        found[f"{name} (hour)"] = hours.astype(float)
    if len(times := _whole(times, WEEK)):
        days = times.astype("datetime64[D]").astype(np.int64)
        names = np.array(WEEKDAYS, object)
        found[f"{name} (weekday)"] = names[(days + _THURSDAY) % 7]
    return found


def _whole(times: np.ndarray, period: np.timedelta64) -> np.ndarray:
    known = times[~np.isnat(times)]
    if not len(known):
        return known
    newest = known.max()
    periods = (newest - known.min()) // period
    return known[known > newest - periods * period]
