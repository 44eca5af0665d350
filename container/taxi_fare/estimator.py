"""
The estimator: any scikit-learn regressor does, and make_estimator is the one place to change it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor


def make_estimator(
    *,
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
    return HistGradientBoostingRegressor(
        max_iter=rounds,
        max_leaf_nodes=leaves,
        learning_rate=learning_rate,
        min_samples_leaf=min_leaf,
        l2_regularization=l2,
        early_stopping=False,  # the rows it would hold out depend on their order
        random_state=seed,
    )


def fit_in_steps(
    estimator: Any,
    features: np.ndarray,
    fares: np.ndarray,
    *,
    steps: int = 10,
    clip: float = np.inf,
) -> Iterator[int]:
    """
    Fit in steps and give the rounds done after each, when the estimator is valid as it stands.

    From the second step on, fares farther than ``clip`` dollars from what the model says so far
    count as that far: boosting with Huber's loss, which a mistyped fare hardly moves. An estimator
    that cannot continue its fit is fitted at once, unclipped, and gives 1.
    """
    parameters = estimator.get_params()
    if not {"warm_start", "max_iter"} <= parameters.keys():
        estimator.fit(features, fares)
        yield 1
        return
    rounds = parameters["max_iter"]
    targets = fares
    # A stopped fit leaves max_iter at the rounds done; a finished one leaves it as it was.
    for done in sorted({max(1, rounds * step // steps) for step in range(1, steps + 1)}):
        estimator.set_params(warm_start=True, max_iter=done).fit(features, targets)
        yield done
        if done < rounds and np.isfinite(clip):
            predicted = estimator.predict(features)
            targets = predicted + np.clip(fares - predicted, -clip, clip)
