"""The transformer that the pipeline unpickles."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class DaysSince(TransformerMixin, BaseEstimator):
    def __init__(self, day):
        self.day = day

    def fit(self, x, y=None):
        self.fitted_ = True
        return self

    def transform(self, x):
        return (x.to_numpy("M8[s]") - np.datetime64(self.day, "s")).astype("f8") / 86400
