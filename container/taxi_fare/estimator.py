"""
The estimator: any regressor of trees does, and make_estimator is the one place to change it.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from sagemaker_runtime.engines.trees import Trees

# A rough model tells fares that the trip explains from those that it does not. Fifteen quick rounds
# were as good as fifty slow ones in cross-validation on 96,000 rows; with half the rows the final
# RMSE was 0.02 dollars higher.
ROUGH: dict[str, Any] = {
    "rounds": 15,
    "learning_rate": 0.3,
    "leaves": 63,
    "min_leaf": 60,
    "l2": 1.0,
}
ROUGH_ROWS = 200_000
ROWS_AT_ONCE = 1 << 18  # that it predicts: so its working memory does not grow with the rows
# Rounds that scikit-learn fits at a time: each time it sorts the features into bins again.
MOST_ROUNDS = 50
STEPS = 10


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
    from sklearn.ensemble import HistGradientBoostingRegressor

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
    return np.float32 if is_lightgbm(estimator) else np.float64


def pull_outliers(
    features: np.ndarray, fares: np.ndarray, *, estimator: str, clip: float, seed: int
) -> np.ndarray:
    """
    Return the fares, those farther than ``clip`` dollars from a rough model's pulled that near.

    So a mistyped fare hardly moves the model that is fitted next, as with Huber's loss.
    """
    step = ceil(len(fares) / ROUGH_ROWS)
    rough = rough_model(features[::step], fares[::step], estimator=estimator, seed=seed)
    return pull(rough, features, fares, clip=clip)


def rough_model(features: np.ndarray, fares: np.ndarray, *, estimator: str, seed: int) -> Trees:
    """
    Return a model that tells fares which the trip explains from those that it does not.
    """
    rough = make_estimator(estimator=estimator, seed=seed, **ROUGH)
    return Trees.from_estimator(rough.fit(features, fares))


def pull(rough: Trees, features: np.ndarray, fares: np.ndarray, *, clip: float) -> np.ndarray:
    """
    Return the fares, pulled to within ``clip`` dollars of what the rough model says.
    """
    pulled = np.empty_like(fares)
    for start in range(0, len(fares), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        expected = rough.predict(features[rows])
        pulled[rows] = expected + np.clip(fares[rows] - expected, -clip, clip)
    return pulled


def fit(
    estimator: Any,
    features: np.ndarray,
    fares: np.ndarray,
    stop: Callable[[int, Any], bool],
    begun: Any = None,
) -> None:
    """
    Fit the estimator until ``stop(rounds, model)`` says so, which is called as the fit goes on.

    LightGBM calls it after each round, scikit-learn's gradient boosting after a tenth of them, and
    an estimator without rounds is fitted at once. ``model`` is what Trees.from_estimator takes; the
    fit goes on from ``begun``, one of fewer rounds that was fitted on the same rows.
    """
    if is_lightgbm(estimator):
        _fit_rounds(estimator, features, fares, stop, begun)
    elif hasattr(estimator, "warm_start") and hasattr(estimator, "max_iter"):
        _fit_in_steps(estimator, features, fares, stop, begun)
    else:
        estimator.fit(features, fares)


def _fit_rounds(
    estimator: Any,
    features: np.ndarray,
    fares: np.ndarray,
    stop: Callable[[int, Any], bool],
    begun: Any,
) -> None:
    from lightgbm import EarlyStopException

    def after_round(state: Any) -> None:
        if stop(state.iteration + 1, state.model):
            raise EarlyStopException(state.iteration, [])

    asked = estimator.n_estimators
    if begun is not None:
        estimator.set_params(n_estimators=asked - begun.current_iteration())
    estimator.fit(features, fares, init_model=begun, callbacks=[after_round])
    estimator.set_params(n_estimators=asked)


def _fit_in_steps(
    estimator: Any,
    features: np.ndarray,
    fares: np.ndarray,
    stop: Callable[[int, Any], bool],
    begun: Any,
) -> None:
    asked = estimator.get_params()
    rounds = asked["max_iter"]
    step = min(MOST_ROUNDS, ceil(rounds / STEPS))
    first = step
    if begun is not None:
        vars(estimator).update(vars(begun))
        first += begun.n_iter_
    for done in (*range(first, rounds, step), rounds):
        estimator.set_params(warm_start=True, max_iter=done).fit(features, fares)
        if stop(done, estimator):
            break
    estimator.set_params(**asked)


def is_lightgbm(estimator: Any) -> bool:
    """
    Tell whether an estimator is one of LightGBM's.
    """
    return type(estimator).__module__ == "lightgbm.sklearn"
