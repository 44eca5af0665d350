"""
The hyperparameters of the fare model.
"""

from sagemaker_runtime.algorithm import Hyperparameter

# The names after the first two are those of estimator.make_estimator.
HYPERPARAMETERS = (
    Hyperparameter(
        "validation_fraction",
        0.2,
        "Share of the training rows held out for validation when there is no validation channel.",
        minimum=0.01,
        maximum=0.5,
    ),
    Hyperparameter(
        "clip",
        7.0,
        "Dollars by which a fare may differ from what a rough first model says before it counts "
        "as an outlier and is pulled to that distance.",
        minimum=1.0,
    ),
    Hyperparameter(
        "estimator",
        "lightgbm",
        "Library that fits the trees; lightgbm takes half the memory and stops after any round.",
        choices=("lightgbm", "scikit-learn"),
    ),
    Hyperparameter("rounds", 150, "Boosting rounds, one tree each.", minimum=1, maximum=10_000),
    Hyperparameter("leaves", 63, "Leaves of a tree.", minimum=2, maximum=1_024),
    Hyperparameter(
        "learning_rate", 0.1, "Share of each tree's correction.", minimum=0.0001, maximum=1
    ),
    Hyperparameter("min_leaf", 60, "Fewest training rows in a leaf.", minimum=1, maximum=1_000_000),
    Hyperparameter("l2", 1.0, "L2 regularisation of the leaves' values.", minimum=0),
    Hyperparameter("seed", 0, "Seed of everything random.", minimum=0, maximum=2**32 - 1),
)
