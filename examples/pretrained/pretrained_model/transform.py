"""
From the columns of a request to what the model takes: edit these when yours wants something else.
"""

from typing import TYPE_CHECKING

import numpy as np

from sagemaker_runtime.algorithm import Columns

if TYPE_CHECKING:
    import pandas as pd


def array(columns: Columns) -> np.ndarray:
    """
    Return what a model of numbers takes: all columns in their order, shape (rows, columns).
    """
    return np.column_stack([column.astype(np.float64) for column in columns.values()])


def frame(columns: Columns) -> "pd.DataFrame":
    """
    Return what an estimator that was fitted on a DataFrame takes: its columns by name, a missing
    text being NaN as after ``read_csv``.
    """
    import pandas as pd  # half a second and 40 MB, for such estimators only

    table = pd.DataFrame(columns)
    texts = table.columns[[column.dtype == object for column in columns.values()]]
    return table.assign(**{name: table[name].replace("", np.nan) for name in texts})
