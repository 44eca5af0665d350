"""
Work in a real thread, while the worker goes on answering other requests: one call, or an answer
that comes piece by piece.
"""

import errno
import logging
import os
import signal
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, TypeVar, cast

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from answers import INTERNAL_ERROR, Call, TimedOut, log
from sagemaker_runtime.errors import AlgorithmError, RequestError, as_exception
from sagemaker_runtime.serving.metrics import recorder

# Threads for large bodies in a worker: more fight for Python's lock. Three bodies of 45 MB
# at once took 9 s with one thread, 15 s with two and 20 s with ten, and /ping waited 0.2 to 0.8 s.
THREADS = 1

# Work whose caller has been told that it took too long may go on for so long; a thread cannot be
# stopped, only its process.
OVERTIME_S = 30.0
# gunicorn's worker looks once a second whether it is to end.
LEAVE_S = 2.0

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def in_thread(
    work: Callable[[], Result], timeout_s: float, pool: ThreadPool | None = None
) -> Result:
    """
    Run work in a real thread, of ``pool`` or else of the one for large bodies, while this worker
    goes on answering other requests.

    Raises TimedOut; the thread then still runs until it reads on in the body, which is closed. One
    that does not end would hold up all later work: then this worker ends, and another comes.
    """

    def outcome() -> tuple[Result | None, Exception | None]:
        # Returned and not raised: gevent prints whatever a thread raises to stderr.
        try:
            return work(), None
        except BaseException as error:  # noqa: BLE001 - raised again below
            return None, as_exception(error)

    late = too_late(timeout_s)
    if pool is None:
        pool = gevent.get_hub().threadpool
        pool.maxsize = THREADS
    task = None
    try:
        with gevent.Timeout(timeout_s, late):
            task = pool.spawn(outcome)
            result, error = task.get()
    except TimedOut:
        if task is not None:
            gevent.spawn(_end_worker_unless_done, task, timeout_s)
        raise
    if error is not None:
        raise error
    return cast(Result, result)


def too_late(timeout_s: float) -> TimedOut:
    """
    Return the error for an answer that took longer than that.
    """
    return TimedOut(
        f"no answer within {timeout_s:g} s; send fewer rows at a time, or set MODEL_SERVER_TIMEOUT "
        "to more seconds"
    )


def end_worker() -> None:
    """
    End this process, for which gunicorn starts another: let nobody in any more, and give answers
    that are being sent a moment.
    """
    os.kill(os.getpid(), signal.SIGTERM)
    gevent.get_hub().loop.update_now()  # it may have stood still for long
    gevent.spawn_later(LEAVE_S, os._exit, 1)


def _end_worker_unless_done(task: AsyncResult, timeout_s: float) -> None:
    task.wait(OVERTIME_S)
    if not task.ready():
        logger.error(
            "a prediction still runs %g s after its time limit of %g s, and would hold up all "
            "others: this worker ends, another takes its place",
            OVERTIME_S,
            timeout_s,
        )
        end_worker()


class Stream:
    """
    An answer that is sent as it comes: an iterator of bytes for the server, which closes it.

    Each piece is made in a thread, so that pings are answered meanwhile, and may take
    ``timeout_s``. The first is made at once: what it raises, this raises, and the caller gets a
    proper error. What a later piece raises comes after the status: it is logged under the request
    id, and the connection is cut before the last chunk, by which the caller knows. The request's
    line is written at the end of all this; ``rows`` and ``size`` are what it says of the request.
    """

    def __init__(
        self,
        call: Call,
        pieces: Iterator[bytes],
        timeout_s: float,
        rows: int | None,
        size: int,
    ) -> None:
        self._call, self._pieces, self._timeout_s = call, pieces, timeout_s
        self._about: dict[str, Any] = {"rows": rows, "bytes": size}
        self._lock = Lock()
        self._sent = 0
        self._ended = False
        try:
            self._next = self._make_piece()
        except BaseException:
            self._close_pieces()
            raise
        recorder.in_flight += 1

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        try:
            piece = self._next or self._make_piece()
        except Exception as error:
            code = error.code if isinstance(error, RequestError) else INTERNAL_ERROR
            self._break_off(code, logging.ERROR, "the answer failed", error)
            # The one kind of exception at which gunicorn closes the connection without a second
            # line and a second traceback.
            raise ConnectionResetError(errno.ECONNRESET, "the answer failed half-way") from error
        self._next = b""
        if not piece:
            if not self._ended:
                self._end()
                log(self._call, 200, **self._about)
            raise StopIteration
        self._sent += len(piece)
        return piece

    def close(self) -> None:
        """
        Close the algorithm's iterator when the server stops before its end, as it does when the
        client has gone.
        """
        if not self._ended:
            self._break_off("client_disconnected", logging.WARNING, "the connection ended")

    def _make_piece(self) -> bytes:
        return b"" if self._ended else in_thread(self._make_piece_here, self._timeout_s)

    def _make_piece_here(self) -> bytes:
        with self._lock:
            for piece in self._pieces:
                if not isinstance(piece, bytes):
                    raise AlgorithmError(
                        f"OUTPUT's writer yielded a value of type {type(piece).__name__}; "
                        "expected bytes"
                    )
                if piece:  # an empty chunk would end the answer
                    return piece
        return b""

    def _break_off(self, code: str, level: int, what: str, cause: Exception | None = None) -> None:
        self._end()
        self._close_pieces()
        reason = f"{what} after {self._sent} bytes, before the answer was complete"
        log(self._call, 200, cause=cause, level=level, error=code, reason=reason, **self._about)

    def _end(self) -> None:
        self._ended = True
        recorder.in_flight -= 1

    def _close_pieces(self) -> None:
        """
        Have the iterator closed as soon as the piece that it may still be making is there.
        """
        close = getattr(self._pieces, "close", None)
        if close is None:
            return

        def close_here() -> None:
            try:
                with self._lock:
                    close()
            except BaseException as error:
                fields = {"request_id": self._call.id}
                logger.error(
                    "the algorithm's iterator failed while it was closed",
                    exc_info=error,
                    extra={"fields": fields},
                )

        # Not from here: with the thread taken, spawn waits, and the connection has to be cut.
        gevent.spawn(gevent.get_hub().threadpool.spawn, close_here)
