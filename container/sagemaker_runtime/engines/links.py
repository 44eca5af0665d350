"""
Link functions: from the scores of an ensemble to what its library predicts.

Each takes scores and returns values, float64 (rows, outputs).
"""

from collections.abc import Callable

import numpy as np

Link = Callable[[np.ndarray], np.ndarray]


def _identity(scores: np.ndarray) -> np.ndarray:
    return scores


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # 1 / infinity is 0
        return 1.0 / (1.0 + np.exp(-scores))


def _exponential(scores: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.exp(scores)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _softplus(scores: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, scores)


def _signed_square(scores: np.ndarray) -> np.ndarray:
    return np.copysign(np.square(scores), scores)


def _step(scores: np.ndarray) -> np.ndarray:
    return (scores > 0).astype(np.float64)


# The names that treelite gives them, which stand in the file.
LINKS: dict[str, Link] = {
    "identity": _identity,
    "sigmoid": _sigmoid,
    "multiclass_ova": _sigmoid,
    "softmax": _softmax,
    "exponential": _exponential,
    "logarithm_one_plus_exp": _softplus,
    "signed_square": _signed_square,
    "hinge": _step,
}
