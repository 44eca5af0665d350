"""
What happens as a fit goes on: its progress is told, checkpoints are kept, and the job may be ended.
"""

import time
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import TrainingJob
from sagemaker_runtime.engines.trees import Trees
from taxi_fare import checkpoint, evaluation
from taxi_fare.metrics import RMSE

REPORTS = 10  # evaluations in the course of a fit


class Progress:
    """
    Called after rounds of a fit, with their number and the model so far; tells whether to end it.

    The model is judged by ``sample`` (rows, features) and ``fares`` of held-out trips. ``partial``
    says what there is of a model that was ended early.
    """

    def __init__(self, job: TrainingJob, sample: np.ndarray, fares: np.ndarray) -> None:
        self.partial = ""
        self._job = job
        self._sample = sample
        self._fares = fares
        self._asked: int = job.hyperparameters["rounds"]
        self._started = time.perf_counter()

    def __call__(self, rounds: int, model: Any) -> bool:
        stopping = self._job.stopping()
        if rounds < self._asked:
            if stopping:
                self.partial = f"{rounds} of {self._asked} rounds, as the job was asked to stop"
            self._job.checkpoints.keep(partial(checkpoint.write, model))
        if stopping or rounds % ceil(self._asked / REPORTS) == 0:
            error = evaluation.rmse(self._fares, Trees.from_estimator(model).predict(self._sample))
            print(f"{time.perf_counter() - self._started:5.1f} s  {rounds} rounds:")
            self._job.metric(RMSE, error)
        return stopping
