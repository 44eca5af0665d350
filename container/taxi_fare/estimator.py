"""
The estimator: any scikit-learn regressor does, and make_estimator is the one place to change it.
"""

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from sagemaker_runtime.engines.trees import from_estimator

# A rough model tells fares that the trip explains from those that it does not. Fifteen quick rounds
# were as good as fifty slow ones in cross-validation on 96,000 rows; with half the rows the final
# RMSE was 0.02 dollars higher.
ROUGH = {
    "max_iter": 15,
    "learning_rate": 0.3,
    "max_leaf_nodes": 63,
    "min_samples_leaf": 60,
    "l2_regularization": 1.0,
}
ROUGH_ROWS = 200_000
ROWS_AT_ONCE = 1 << 18  # that it predicts: so its working memory does not grow with the rows


def make_estimator(
    *,
    estimator: str,
    rounds: int,
    leaves: int,
    learning_rate: float,
    min_leaf: int,
    l2: float,
    seed: int,
) -> Any:
    """
    Return the unfitted regressor that the hyperparameters describe; their defaults stand with them.
    """
    if estimator == "lightgbm":
        from lightgbm import LGBMRegressor

        return LGBMRegressor(
            n_estimators=rounds,
            num_leaves=leaves,
            learning_rate=learning_rate,
            min_child_samples=min_leaf,
            reg_lambda=l2,
            random_state=seed,
            deterministic=True,
            force_col_wise=True,  # otherwise the quicker way in a trial is taken, today's or not
            verbose=-1,
        )
    return HistGradientBoostingRegressor(
        max_iter=rounds,
        max_leaf_nodes=leaves,
        learning_rate=learning_rate,
        min_samples_leaf=min_leaf,
        l2_regularization=l2,
        early_stopping=False,  # the rows it would hold out depend on their order
        random_state=seed,
    )


def precision(estimator: Any) -> type[np.floating]:
    """
    Return the floating-point type in which the estimator takes features without a copy.

    LightGBM reads single precision too, in half the memory, and only to find its thresholds.
    """
    return np.float32 if _is_lightgbm(estimator) else np.float64


def pull_outliers(features: np.ndarray, fares: np.ndarray, *, clip: float, seed: int) -> np.ndarray:
    """
    Return the fares, those farther than ``clip`` dollars from a rough model's pulled that near.

    So a mistyped fare hardly moves the model that is fitted next, as with Huber's loss.
    """
    step = ceil(len(fares) / ROUGH_ROWS)
    rough = HistGradientBoostingRegressor(**ROUGH, early_stopping=False, random_state=seed)
    rough.fit(features[::step], fares[::step])
    trees = from_estimator(rough)
    pulled = np.empty_like(fares)
    for start in range(0, len(fares), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        expected = trees.predict(features[rows])
        pulled[rows] = expected + np.clip(fares[rows] - expected, -clip, clip)
    return pulled


def fit(
    estimator: Any,
    features: np.ndarray,
    fares: np.ndarray,
    stop: Callable[[int, Any], bool],
) -> None:
    """
    Fit the estimator until ``stop(rounds, model)``, called after each round, says so.

    ``model`` is what trees.from_estimator takes: its trees so far. An estimator that knows no
    rounds is fitted at once.
    """
    if isinstance(estimator, HistGradientBoostingRegressor):
        # The one hook that it has. The sample of rows on which it asks for a score stays unused.
        asked = estimator.get_params()
        estimator.set_params(
            early_stopping=True,
            validation_fraction=None,
            n_iter_no_change=1,
            tol=0.0,
            scoring=partial(_score, stop),
        )
        estimator.fit(features, fares)
        estimator.set_params(**asked)
        del estimator._scorer  # it would go into the model's file
    elif _is_lightgbm(estimator):
        estimator.fit(features, fares, callbacks=[partial(_after_round, stop)])
    else:
        estimator.fit(features, fares)


def _score(stop: Callable[[int, Any], bool], estimator: Any, *sample: Any) -> float:
    """
    Return a score that gets better with each round until there is to be no other.
    """
    rounds: int = estimator.n_iter_
    return rounds - 1 if rounds and stop(rounds, estimator) else rounds


def _after_round(stop: Callable[[int, Any], bool], state: Any) -> None:
    from lightgbm import EarlyStopException

    if stop(state.iteration + 1, state.model):
        raise EarlyStopException(state.iteration, [])


def _is_lightgbm(estimator: Any) -> bool:
    return type(estimator).__module__ == "lightgbm.sklearn"
