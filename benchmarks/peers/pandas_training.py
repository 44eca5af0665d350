"""
The training script that one writes with pandas and scikit-learn, or LightGBM.

    python pandas_training.py FOLDER read|scikit-learn|lightgbm

FOLDER holds training/trips.csv and validation/trips.csv.
"""

import sys
import tempfile

import fares
import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor


def main(folder: str, what: str) -> None:
    """
    Read and make features, or also fit, judge and save.
    """
    trips = pd.read_csv(f"{folder}/training/trips.csv")
    held_out = pd.read_csv(f"{folder}/validation/trips.csv")
    if what == "read":
        fares.features(trips)
        fares.features(held_out)
        return
    trips, held_out = fares.clean(trips), fares.clean(held_out)
    estimator = lightgbm(trips) if what == "lightgbm" else fares.fit(trips)
    error = fares.predict(estimator, held_out) - held_out["fare_amount"]
    print(f"validation:rmse={np.sqrt(np.mean(error**2))};")
    with tempfile.TemporaryFile() as model:
        joblib.dump(estimator, model)


def lightgbm(trips: pd.DataFrame) -> LGBMRegressor:
    """
    Fit LightGBM with the settings of fares.fit.
    """
    settings = fares.SETTINGS
    estimator = LGBMRegressor(
        n_estimators=settings["max_iter"],
        num_leaves=settings["max_leaf_nodes"],
        learning_rate=settings["learning_rate"],
        min_child_samples=settings["min_samples_leaf"],
        reg_lambda=settings["l2_regularization"],
        random_state=settings["random_state"],
        verbose=-1,
    )
    return estimator.fit(fares.features(trips), trips["fare_amount"])


if __name__ == "__main__":
    main(*sys.argv[1:])
