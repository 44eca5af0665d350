"""A helper module: what training and inference share."""

import numpy as np


class AddRatio:
    """Appends the first column divided by the second."""

    def fit(self, x, y=None):
        return self

    def transform(self, x):
        return np.column_stack([x, x[:, 0] / x[:, 1]])
