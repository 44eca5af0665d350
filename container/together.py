"""
Requests that wait while the model is busy are predicted in one call, and each gets its own rows.

There is no timer: an idle model is called at once. Dozens of rows take most models hardly longer
than one, so what has arrived when a call ends is the next one.
"""

import logging
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from answers import TimedOut
from company import Join, parts
from predictor import Predictor
from sagemaker_runtime.errors import RequestError, as_exception
from threads import in_thread, too_late
from turns import let_others_in

# Bytes of all the bodies of a call, at most.
JOINED_BYTES = 256 * 1024

Outcome = tuple[Any, Exception | None]

logger = logging.getLogger(__name__)


class Asked:
    """
    The rows of a request that waits for their predictions.
    """

    __slots__ = ("answer", "piece", "rows", "size")

    def __init__(self, piece: Any, rows: int, size: int) -> None:
        self.piece, self.rows, self.size = piece, rows, size
        self.answer: AsyncResult = AsyncResult()


class Together:
    """
    Asks a model for several requests at once, with at most ``most_rows`` rows unless one request
    has more. Use it on the event loop only.

    The model is called in the threads of ``pool``, in all of them at once. Without a pool it is
    called on the event loop, by the greenlet that finds it idle.
    """

    def __init__(
        self, predictor: Predictor, most_rows: int, timeout_s: float, pool: ThreadPool | None
    ) -> None:
        self._predictor, self._most_rows = predictor, most_rows
        self._timeout_s, self._pool = timeout_s, pool
        self._calls = 1 if pool is None else pool.maxsize
        # Only a reader that has it is asked to join.
        self._join: Join = predictor.algorithm.input.join  # type: ignore[attr-defined]
        self._running = 0
        self._waiting: list[Asked] = []
        self._told = False

    def predict(self, piece: Any, rows: int | None, size: int) -> Any:
        """
        Return the predictions for a piece of ``rows`` rows, out of a body of ``size`` bytes.

        Raises what predicting it alone raises, and TimedOut.
        """
        asked = Asked(piece, rows or 0, size)
        self._waiting.append(asked)
        try:
            self._start()
            if asked.answer.ready():
                return asked.answer.get()
            with gevent.Timeout(self._timeout_s, too_late(self._timeout_s)):
                return asked.answer.get()
        finally:
            if asked in self._waiting:  # nobody waits for it any more
                self._waiting.remove(asked)

    def _start(self) -> None:
        if not self._waiting or self._running >= self._calls:
            return
        self._running += 1
        if self._pool is not None:
            gevent.spawn(self._call)
        else:
            self._call()

    def _call(self) -> None:
        """
        Predict for those who wait, as many as go into one call.
        """
        try:
            let_others_in()
            if together := self._next():
                for asked, (prediction, error) in zip(
                    together, self._outcomes(together), strict=True
                ):
                    if error is None:
                        asked.answer.set(prediction)
                    else:
                        asked.answer.set_exception(error)
        finally:
            self._running -= 1
            if self._waiting:
                gevent.spawn(self._start)

    def _next(self) -> list[Asked]:
        """
        Take the request that has waited longest and all that fit into the same call: one that does
        not, such as one with many rows, is the first of a later call.
        """
        taken: list[Asked] = []
        left: list[Asked] = []
        rows = size = 0
        for asked in self._waiting:
            fits = rows + asked.rows <= self._most_rows and size + asked.size <= JOINED_BYTES
            if taken and not fits:
                left.append(asked)
                continue
            taken.append(asked)
            rows, size = rows + asked.rows, size + asked.size
        self._waiting[:] = left
        return taken

    def _outcomes(self, together: Sequence[Asked]) -> list[Outcome]:
        if self._pool is None:
            return self._predict(together)
        try:
            return in_thread(lambda: self._predict(together), self._timeout_s, self._pool)
        except Exception as error:  # noqa: BLE001 - too late, or no thread to be had
            return [(None, error)] * len(together)

    def _predict(self, together: Sequence[Asked]) -> list[Outcome]:
        """
        Predict in one call. When it fails the request whose row is refused is predicted by itself,
        or else each half, and so on, so that no request gets another's error.
        """
        try:
            rows = [asked.rows for asked in together]
            if len(together) == 1:
                return [(self._predictor.predict(together[0].piece, rows[0]), None)]
            piece = self._join([asked.piece for asked in together])
            return [(part, None) for part in parts(self._predictor.predict(piece, sum(rows)), rows)]
        except BaseException as error:  # noqa: BLE001 - whatever somebody's algorithm raises
            # gunicorn has this worker end where a call took too long: nothing is tried again.
            if len(together) == 1 or isinstance(error, TimedOut):
                return [(None, as_exception(error))] * len(together)
            cause = error
        if (at := _refused(cause, rows)) is not None:
            outcomes = self._predict([*together[:at], *together[at + 1 :]])
            outcomes.insert(at, *self._predict([together[at]]))
        else:
            middle = len(together) // 2
            outcomes = self._predict(together[:middle]) + self._predict(together[middle:])
        if not self._told and all(error is None for _, error in outcomes):
            self._told = True
            logger.info(
                "%s requests that failed together were answered one by one",
                len(together),
                exc_info=cause,
            )
        return outcomes


def _refused(error: BaseException, rows: Sequence[int]) -> int | None:
    """
    Return which of the requests of so many rows has the row that an error names, if any.
    """
    row = error.row if isinstance(error, RequestError) else None
    if row is None or not 0 < row <= sum(rows):
        return None
    return bisect_left(list(accumulate(rows)), row)
