"""
The smallest algorithm for tests of serving: it remembers what it was given.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns, Hyperparameter, Schema, TrainingJob
from taxi_fare.schema import SCHEMA


def latitude(columns: Columns) -> np.ndarray:
    """
    Predict something that tells one taxi row from the next.
    """
    return columns["pickup_latitude"]


class FakeAlgorithm:
    """
    Obeys the seam; ``answer`` turns columns into predictions, ``calls`` holds what it was asked.
    """

    HYPERPARAMETERS: Sequence[Hyperparameter] = ()

    def __init__(
        self, answer: Callable[[Columns], Any] = latitude, schema: Schema = SCHEMA
    ) -> None:
        self.SCHEMA = schema
        self.answer = answer
        self.calls: list[Columns] = []

    def train(self, job: TrainingJob) -> None:
        raise NotImplementedError

    def load(self, model_dir: Path) -> Any:
        return "the model"

    def predict(self, model: Any, columns: Columns) -> Any:
        assert model == "the model"
        self.calls.append(columns)
        return self.answer(columns)
