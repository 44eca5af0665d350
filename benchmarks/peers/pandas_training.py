"""
The training script that one writes with pandas and scikit-learn.

    python pandas_training.py read|train trips.csv
"""

import sys
import tempfile

import fares
import joblib
import numpy as np
import pandas as pd


def main(what: str, file: str) -> None:
    """
    Read and make features, or also split, fit, judge and save.
    """
    trips = pd.read_csv(file)
    if what == "read":
        fares.features(trips)
        return
    trips = fares.clean(trips)
    held_out = trips.sample(frac=0.2, random_state=0)
    estimator = fares.fit(trips.drop(held_out.index))
    error = fares.predict(estimator, held_out) - held_out["fare_amount"]
    print(f"validation:rmse={np.sqrt(np.mean(error**2))};")
    with tempfile.TemporaryFile() as model:
        joblib.dump(estimator, model)


if __name__ == "__main__":
    main(*sys.argv[1:])
