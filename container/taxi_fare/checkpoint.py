"""
A fit that was begun, in a folder: the trees so far, in the form from which their library goes on.
"""

from pathlib import Path
from typing import Any

from taxi_fare.estimator import is_lightgbm

BOOSTER = "booster.txt"
ESTIMATOR = "estimator.skops"
# skops makes objects of these and of scikit-learn's public estimators, of nothing else in a file.
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


def write(model: Any, folder: Path) -> None:
    """
    Write LightGBM's Booster, or an estimator of scikit-learn.
    """
    if hasattr(model, "save_model"):
        model.save_model(folder / BOOSTER)
        return
    import skops.io

    skops.io.dump(model, folder / ESTIMATOR)


def read(folder: Path, estimator: Any) -> Any:
    """
    Return what ``write`` was given, to continue the fit of ``estimator``; None, and a line in the
    log, when it cannot be read.
    """
    try:
        if is_lightgbm(estimator):
            from lightgbm import Booster

            return Booster(model_file=folder / BOOSTER)
        import skops.io

        return skops.io.load(folder / ESTIMATOR, trusted=TRUSTED)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise
        print(f"the checkpoint {folder.name} cannot be read, training starts anew: {error}")
        return None
