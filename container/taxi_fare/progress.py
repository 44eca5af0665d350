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
from taxi_fare import checkpoint, several_hosts
from taxi_fare.metrics import RMSE

REPORTS = 10  # evaluations in the course of a fit


class Progress:
    """
    Called after rounds of a fit, with their number and the model so far; tells whether to end it.

    The model is judged by ``sample`` (rows, features) and ``fares`` of held-out trips. ``partial``
    says what there is of a model that was ended early. Each of several hosts calls it after the
    same rounds, also one without rows, which has no model.
    """

    def __init__(self, job: TrainingJob, sample: np.ndarray, fares: np.ndarray) -> None:
        self.partial = ""
        self._job = job
        self._sample = sample
        self._fares = fares
        self._asked: int = job.hyperparameters["rounds"]
        self._started = time.perf_counter()

    def __call__(self, rounds: int, model: Any) -> bool:
        cluster = self._job.cluster
        stopping = any(cluster.gather(self._job.stopping()))  # all hosts in the same round
        if rounds < self._asked:
            if stopping:
                self.partial = f"{rounds} of {self._asked} rounds, as the job was asked to stop"
            if model is not None and cluster.is_leader:
                self._job.checkpoints.keep(partial(checkpoint.write, model))
        if stopping or rounds % ceil(self._asked / REPORTS) == 0:
            error = self._error(model)
            print(f"{time.perf_counter() - self._started:5.1f} s  {rounds} rounds:")
            self._job.metric(RMSE, error)
        return stopping

    def _error(self, model: Any) -> float:
        """
        Return the error over the held-out rows of all hosts that have a model.
        """
        squares = np.empty(0)
        if model is not None:
            predicted = Trees.from_estimator(model).predict(self._sample)
            squares = np.square(predicted - self._fares)
        total, rows = several_hosts.added(self._job.cluster)([squares.sum(), len(squares)])
        return float(np.sqrt(total / rows)) if rows else float("nan")
