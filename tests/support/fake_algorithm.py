"""
The smallest algorithm for tests of serving: it remembers what it was given.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rides import INPUT
from sagemaker_runtime.algorithm import (
    Columns,
    Hyperparameter,
    Reader,
    Rows,
    TrainingJob,
    Writer,
)


def latitude(columns: Columns) -> np.ndarray:
    """
    Predict something that tells one taxi row from the next.
    """
    return columns["pickup_latitude"]


class FakeAlgorithm:
    """
    ``answer`` turns columns into predictions, ``calls`` holds what it was asked.
    """

    name = "fake"
    hyperparameters: Sequence[Hyperparameter] = ()

    def __init__(
        self,
        answer: Callable[[Columns], Any] = latitude,
        input: Reader = INPUT,
        output: Writer | None = None,
    ) -> None:
        self.input, self.output = input, output or Rows()
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
