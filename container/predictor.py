"""
The model: loaded once, checked once, then asked for predictions. Knows no Flask.
"""

import logging
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Algorithm, Columns
from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.values import examples

# Room for a cause in a ping's answer and in the list of a failed endpoint, in characters.
REASON_LENGTH = 500

_NONE = np.empty(0)

logger = logging.getLogger(__name__)


class Predictor:
    """
    An algorithm with its model.

    Make it before the workers fork, so that they share the model's memory; a model that cannot be
    loaded makes ``health`` say why instead of ending the server, which the platform would only
    start again.
    """

    def __init__(self, algorithm: Algorithm, model_dir: Path) -> None:
        self.algorithm = algorithm
        # Seconds that one row takes, known after the self-test.
        self.seconds = 0.0
        self._model: Any = None
        self._tested = False
        self._testing = Lock()
        self._reason: str | None = None
        try:
            self._model = algorithm.load(model_dir)
        except Exception as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            self._fail("the model could not be loaded", error)

    def health(self) -> str | None:
        """
        Return None when the model answers, otherwise why not, in one line.

        The first call predicts one row made of the schema's examples: first call it in the
        process that serves, since some libraries start threads that a fork would lose.
        """
        if not self._tested:
            with self._testing:
                if not self._tested:
                    self._test()
        return self._reason

    def predict(self, columns: Columns) -> np.ndarray:
        """
        Return one prediction per row, shape (n,) or (n, outputs): finite numbers or text.

        Raises AlgorithmError when the algorithm returned something else.
        """
        rows = len(next(iter(columns.values())))
        if rows == 0:
            return _NONE
        predictions = np.asarray(self.algorithm.predict(self._model, columns))
        if predictions.ndim not in (1, 2) or len(predictions) != rows:
            raise AlgorithmError(
                f"predict returned shape {predictions.shape} for {rows} rows; "
                f"expected ({rows},) or ({rows}, outputs), one prediction per row in order"
            )
        if not _is_presentable(predictions):
            raise AlgorithmError(
                f"predict returned NaN, infinity or objects (dtype {predictions.dtype}); "
                "expected finite numbers or text"
            )
        return predictions

    def _test(self) -> None:
        try:
            for _ in range(2):  # the first prediction may be slow for what it sets up
                started = perf_counter()
                self.predict(examples(self.algorithm.SCHEMA))
                self.seconds = perf_counter() - started
        except Exception as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            self._fail("the self-test failed", error)
        self._tested = True

    def _fail(self, what: str, error: Exception) -> None:
        cause = " ".join(f"{what}: {type(error).__name__}: {error}".split())
        self._tested = True
        self._reason = cause[:REASON_LENGTH]
        logger.error(self._reason, exc_info=error)


def _is_presentable(predictions: np.ndarray) -> bool:
    kind = predictions.dtype.kind
    if kind == "f":
        # A third of the time that all() takes for a single row.
        return np.count_nonzero(np.isfinite(predictions)) == predictions.size
    return kind in "biuU" or (kind == "O" and all(type(p) is str for p in predictions.flat))
