"""
From the columns of a request to the model's input: the one function to edit.
"""

import numpy as np

from sagemaker_runtime.algorithm import Columns


def transform(columns: Columns) -> np.ndarray:
    """
    Return what the model's first input takes; here all columns, float32, in their order.
    """
    return np.column_stack(list(columns.values())).astype(np.float32)
