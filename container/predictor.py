"""
The model: loaded once, checked once, then asked for predictions. Knows no Flask.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from io import BytesIO
from math import inf
from pathlib import Path
from time import perf_counter, process_time
from typing import IO, Any

import company
from sagemaker_runtime.algorithm import Algorithm, Rows, usual
from sagemaker_runtime.errors import (
    AlgorithmError,
    NoServingCode,
    RequestError,
    as_exception,
    text_of,
)
from sagemaker_runtime.formats.columns import copied
from sagemaker_runtime.formats.table import Table, for_predict
from sagemaker_runtime.serving.metrics import recorder

# A faster model is never asked for several requests at once: that would take longer than it saves.
# A slower one is not asked for more rows than the self-test needs: the start waits for the trial.
WORTH_JOINING_S = 0.0003, 0.5

# Room for a cause in a ping's answer and in the list of a failed endpoint, in characters.
REASON_LENGTH = 500

Predict = Callable[[Any, int | None], Any]

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
        # Whether most of this time is spent waiting, for a database for one.
        self.waits = False
        # Whether several requests may be predicted in one call, known after the self-test.
        self.joins = False
        self._model: Any = None
        self._tested = False
        self._reason: str | None = None
        # What made the model fail.
        self.error: Exception | None = None
        began = perf_counter()
        try:
            self._model = algorithm.load(model_dir)
        except BaseException as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            self._fail("the model could not be loaded", as_exception(error))
        self.load_s = perf_counter() - began

    def health(self) -> str | None:
        """
        Return None when the model answers, otherwise why not, in one line.

        The first call predicts the example of the algorithm's input: first call it in the
        process that serves, since some libraries start threads that a fork would lose.
        """
        if not self._tested:
            with self._testing:
                if not self._tested:
                    self._test()
        return self._reason

    @cached_property
    def _testing(self) -> threading.Lock:
        # Made in the worker: one from before gevent's patches would keep the worker's only thread
        # from going on with a test that waits, for a feature store for one.
        return threading.Lock()

    def answer(
        self,
        body: IO[bytes],
        media_type: str,
        charset: str,
        answer_type: str,
        predict: Predict | None = None,
    ) -> tuple[int | None, bytes | Iterator[bytes]]:
        """
        Read a body, predict, by ``predict`` where it is given, and write the answer; return the
        number of rows, None when the body is not made of rows, and the answer.

        Raises RequestError for a body that the caller must change, AlgorithmError when the
        algorithm returned what cannot be written or raised what would end the process.
        """
        try:
            return self._answer(body, media_type, charset, answer_type, predict)
        except Exception:
            raise
        except BaseException as error:
            raise as_exception(error) from error

    def unload(self) -> None:
        """
        Forget the model, even if something still holds this object.
        """
        self._model = None

    def _answer(
        self,
        body: IO[bytes],
        media_type: str,
        charset: str,
        answer_type: str,
        predict: Predict | None,
    ) -> tuple[int | None, bytes | Iterator[bytes]]:
        predictions = list(self.predictions(body, media_type, charset, predict))
        counts = [rows for _, rows in predictions if rows is not None]
        done = sum(counts) if len(counts) == len(predictions) else None
        content = self.algorithm.output.write(predictions, answer_type)
        if not isinstance(content, (bytes, Iterator)):
            raise AlgorithmError(
                f"OUTPUT.write returned a value of type {type(content).__name__}; expected bytes, "
                "or an iterator of bytes that is sent as it comes"
            )
        return done, content

    def predictions(
        self, body: IO[bytes], media_type: str, charset: str, predict: Predict | None = None
    ) -> Iterator[tuple[Any, int | None]]:
        """
        Read a body and yield what ``predict`` returns for each piece, beside the piece's rows.
        """
        reader, done, predict = self.algorithm.input, 0, predict or self.predict
        for piece in reader.read(body, media_type, charset):
            rows = reader.count(piece)
            if rows == 0:  # many libraries refuse to predict for nothing
                continue
            try:
                prediction = predict(piece, rows)
            except RequestError as error:
                if error.row is not None and done:
                    error.row += done  # it counts from the piece's first
                raise
            yield prediction, rows
            done += rows or 0

    def predict(self, piece: Any, rows: int | None) -> Any:
        """
        Return what the algorithm does for a piece, whose values it may refuse by RequestError.
        """
        reader = self.algorithm.input
        # predict may change what it is given; the piece is counted, captured, and predicted again
        # when it was refused among others.
        own = copied(piece) if isinstance(reader, Table) else piece
        prediction = self.algorithm.predict(self._model, for_predict(reader, own))
        if self._tested:  # the self-test's examples are nobody's requests
            recorder.piece(piece, rows, prediction)
        return prediction

    def _test(self) -> None:
        try:
            if self.algorithm.input.example() is None:
                logger.info("no self-test: there is no example; the model was loaded")
                self.seconds = inf  # for all that is known
            else:
                self._predict_examples()
        except BaseException as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            self._fail("the self-test failed", as_exception(error))
        self._tested = True

    def _predict_examples(self) -> None:
        # The first may be slow for what it sets up, and either for other programs beside it.
        times = []
        for _ in range(2):
            started, computed = perf_counter(), process_time()
            rows = self._predict_example(1)
            times.append((perf_counter() - started, process_time() - computed))
        self.seconds, busy_s = min(times)
        self.waits = busy_s < self.seconds / 2
        if rows is not None:
            # A prediction of the wrong shape may happen to fit one row.
            self._predict_example(2)
            self.joins = self._may_join()

    def _may_join(self) -> bool:
        """
        Tell whether it is right and pays to predict for several requests at once.
        """
        reader = self.algorithm.input
        join = getattr(reader, "join", None)
        least, most = WORTH_JOINING_S
        example = reader.example(1)
        if join is None or example is None or not isinstance(self.algorithm.output, Rows):
            return False
        if not least < self.seconds < most:
            return False
        try:
            media_type, body = example
            [piece] = reader.read(BytesIO(body), media_type, "utf-8")
            why = company.objection(piece, join, self.predict)
        except Exception as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            why = f"{type(error).__name__}: {text_of(error)}"
        if why:
            logger.info("requests are predicted one by one, not together: %s", why)
        return not why

    def _predict_example(self, rows: int) -> int | None:
        """
        Answer the example of the algorithm's input in the output's usual type, to the end, and
        return how many rows it had, None when it is not made of rows.
        """
        example = self.algorithm.input.example(rows)
        if example is None:
            raise AlgorithmError(f"INPUT has an example of one row and none of {rows}")
        media_type, body = example
        answer_type = usual(self.algorithm.output.media_types)
        counted, content = self.answer(BytesIO(body), media_type, "utf-8", answer_type)
        if not isinstance(content, bytes):
            for _ in content:
                pass
        return counted

    def _fail(self, what: str, error: Exception) -> None:
        cause = " ".join(f"{what}: {type(error).__name__}: {text_of(error)}".split())
        self._tested = True
        self._reason, self.error = cause[:REASON_LENGTH], error
        logger.error(self._reason, exc_info=None if isinstance(error, NoServingCode) else error)
