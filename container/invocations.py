"""
A request for a prediction: the body in, the answer out; threads, the time limit.
"""

import zlib
from functools import cached_property, partial
from gzip import BadGzipFile, GzipFile
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import gevent
from gevent.threadpool import ThreadPool
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_content_length

import negotiation
from answers import Answer, Call, ModelUnavailable, NotArrived, complete, headers, log
from large_bodies import LargeBodies, Spooled
from predictor import Predict, Predictor
from sagemaker_runtime.errors import (
    Malformed,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from sagemaker_runtime.formats.messages import shown
from sagemaker_runtime.serving.capture import MOST_BYTES, capture
from sagemaker_runtime.serving.metrics import recorder
from sagemaker_runtime.serving.observed import Piece
from sagemaker_runtime.settings import Settings
from threads import Stream, in_thread
from together import Together
from turns import take_turns

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Bodies above this, about 900 rows or 5 ms of work, leave the event loop free for /ping; below it
# a thread costs more than it saves.
LARGE_BODY_BYTES = 64 * 1024

# Where bad records are marked: one takes up to fifty times as long as a good row.
LARGE_MARKED_BYTES = 2 * 1024

# Bodies above this wait on disk and are read in pieces; 10,000 rows of JSON stay below.
IN_MEMORY_BYTES = 2 * 1024 * 1024

# Where there is no nginx, a caller who sends no more of a body is given up after this time: before
# serve is, which waits for 25 s when it is told to end. As in nginx.conf.
BODY_TIMEOUT_S = 20.0

# A model that needs longer than this for one row never runs on the event loop: a ping waits for so
# long. A thread costs up to 0.7 ms.
SLOW_MODEL_SECONDS = 0.02
# Nor does one that needs longer than this and mostly waits: others are read and written meanwhile.
WAITING_MODEL_SECONDS = 0.001


class Invocations:
    """
    Answers requests for predictions of one model.
    """

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor, self._timeout_s = predictor, settings.timeout_s
        self._max_payload_mb = settings.max_payload_mb
        self._join_rows, self._threads = settings.join_rows, settings.threads
        self._large_bodies = LargeBodies(predictor, settings.bad_records == "mark")
        self._reads = tuple(predictor.algorithm.input.media_types)
        self._writes = tuple(predictor.algorithm.output.media_types)

    def invoke(self, call: Call) -> Answer:
        """
        Predict for a request.

        Raises RequestError and HTTPException for what is the caller's fault.
        """
        take_turns()
        recorder.in_flight += 1
        try:
            return self._invoke(call)
        finally:
            recorder.in_flight -= 1

    def _invoke(self, call: Call) -> Answer:
        # First, as a proxy takes an answer before the end of the body for a broken connection.
        size = _length(call.environ)
        with _file_for(size) as body:
            size = self._receive(call, body, size)
            encoding = call.environ.get("HTTP_CONTENT_ENCODING")
            if not encoding:
                return self._answer(call, body, size)
            with self._unpacked(body, encoding) as unpacked:
                size = unpacked.seek(0, 2)
                unpacked.seek(0)
                return self._answer(call, unpacked, size)

    def _answer(self, call: Call, body: IO[bytes], size: int) -> Answer:
        check_health(self._predictor)
        media_type, charset = negotiation.content_type(
            call.environ.get("CONTENT_TYPE", ""), self._reads
        )
        accept = call.environ.get("HTTP_ACCEPT", "")
        answer_type = negotiation.answer_type(accept, media_type, self._writes)
        written_as = negotiation.with_charset(answer_type, accept) if accept else answer_type

        is_large, bad = size > LARGE_BODY_BYTES, 0

        def work() -> tuple[int | None, Any]:
            nonlocal bad
            if not is_large and not self._large_bodies.marks_bad:
                return self._predictor.answer(body, media_type, charset, answer_type, predict)
            rows, content, bad = self._large_bodies.answer(
                body, media_type, charset, answer_type, predict
            )
            return rows, content

        takes_long = is_large or (self._large_bodies.marks_bad and size > LARGE_MARKED_BYTES)
        together = None if takes_long else self._together
        predict: Predict = self._predictor.predict
        if together:
            predict = partial(together.predict, size=size)
        captured: list[Piece] | None = [] if capture.wants() else None
        if captured is not None and size <= MOST_BYTES:
            predict = _keeping(predict, captured)
        if takes_long:
            rows, content = in_thread(work, self._timeout_s)
        elif together:
            rows, content = work()
        elif self._is_slow:
            rows, content = in_thread(work, self._timeout_s, self._pool)
        else:
            rows, content = work()
        if captured is not None and not isinstance(content, bytes):
            capture.leave_out("its answer is streamed, or above 2 MB")
        if isinstance(content, (bytes, Spooled)):
            more: dict[str, Any] = {"bad_records": bad} if bad else {}
            log(call, 200, rows=rows, bytes=size, **more)
            if isinstance(content, bytes):
                written_as = getattr(content, "media_type", written_as)
                if captured is not None:
                    capture.note_body(call.id, media_type, body, written_as, content)
                    recorder.captured(captured)
                return complete(call, content, written_as)
            return Answer(content, headers(call, written_as, content.size))
        stream = Stream(call, content, self._timeout_s, rows, size)
        return Answer(stream, headers(call, written_as, None))

    @property
    def _is_slow(self) -> bool:
        """
        Whether the model is better called in a thread, known after the self-test.
        """
        model = self._predictor
        waits = model.waits and self._threads > 1 and model.seconds > WAITING_MODEL_SECONDS
        return waits or model.seconds > SLOW_MODEL_SECONDS

    @cached_property
    def _pool(self) -> ThreadPool:
        # Besides the one for large bodies. Made in the worker, not before the fork.
        return ThreadPool(self._threads)

    @cached_property
    def _together(self) -> Together | None:
        """
        What predicts for several requests at once, None where each is predicted by itself.
        """
        if not self._predictor.joins or not self._join_rows or self._large_bodies.marks_bad:
            return None
        pool = self._pool if self._is_slow else None
        return Together(self._predictor, self._join_rows, self._timeout_s, pool)

    def _receive(self, call: Call, body: IO[bytes], size: int | None) -> int:
        """
        Copy the request's body of ``size`` bytes, None when not known, to a file, go to its start
        and return its length in bytes.
        """
        most = self._max_payload_mb * 1024**2
        if size is not None and size > most:
            raise self._too_large(f"the body has {size} bytes")
        # gevent.Timeout would set a timer each time, a seventh of what a row takes; the socket sets
        # one when it has to wait. gunicorn's stream ends with the body.
        connection = call.environ.get("gunicorn.socket")
        if connection:
            connection.settimeout(BODY_TIMEOUT_S)
        try:
            stream = call.environ["wsgi.input"]
            while piece := stream.read(LARGE_BODY_BYTES):
                body.write(piece)
                if (length := body.tell()) == size:
                    break
                if length > most:
                    raise self._too_large("the body is too large")
                gevent.sleep(0)  # a body that comes as fast as it is read would let nobody run
        except TimeoutError:
            raise NotArrived(
                f"nothing of the body came for {BODY_TIMEOUT_S:g} s; send all of it"
            ) from None
        finally:
            if connection:
                connection.settimeout(None)
        length = body.tell()
        if size is not None and length < size:
            raise ClientDisconnected()
        body.seek(0)
        return length

    def _unpacked(self, body: IO[bytes], encoding: str) -> IO[bytes]:
        """
        Return what a body with this Content-Encoding holds, at most as large as a body may be.
        """
        name = encoding.strip().lower()
        if name == "identity":
            return body
        if name not in ("gzip", "x-gzip"):
            raise UnsupportedMediaType(
                f"Content-Encoding is {shown(encoding)}; expected gzip, or a body that is not "
                "compressed and no such header"
            )
        unpacked = _file_for(None)
        try:
            with GzipFile(fileobj=body, mode="rb") as stream:
                while piece := stream.read(LARGE_BODY_BYTES):
                    if unpacked.tell() + len(piece) > self._max_payload_mb * 1024**2:
                        raise self._too_large("the body is too large once it is decompressed")
                    unpacked.write(piece)
                    gevent.sleep(0)
        except (BadGzipFile, EOFError, zlib.error) as error:
            unpacked.close()
            raise Malformed(
                f"Content-Encoding is gzip, which the body is not: {error}. Send what gzip writes, "
                "whole, or leave the header out"
            ) from None
        except BaseException:
            unpacked.close()
            raise
        return unpacked

    def _too_large(self, what: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"{what}; at most {self._max_payload_mb} MB are taken. Send fewer rows at a time, or "
            "set MODEL_SERVER_MAX_PAYLOAD_MB"
        )


def _keeping(predict: Predict, pieces: list[Piece]) -> Predict:
    """
    Return what predicts the same, and adds what it was given and has returned to ``pieces``.
    """

    def keep(piece: Any, rows: int | None) -> Any:
        predicted = predict(piece, rows)
        pieces.append((piece, predicted))
        return predicted

    return keep


class Checked(Protocol):
    """
    What knows whether it can answer.
    """

    def health(self) -> str | None:
        """
        Return None, or why not.
        """


def check_health(served: Checked) -> None:
    """
    Raise ModelUnavailable unless the model answers.
    """
    reason = served.health()
    if reason is not None:
        raise ModelUnavailable(reason)


def _length(environ: "WSGIEnvironment") -> int | None:
    length = environ.get("CONTENT_LENGTH", "")
    if "HTTP_TRANSFER_ENCODING" not in environ and length.isascii() and length.isdigit():
        return int(length)  # werkzeug's patterns take a twentieth of what a row takes
    return get_content_length(environ)


def _file_for(size: int | None) -> IO[bytes]:
    if size is not None and size <= LARGE_BODY_BYTES:
        return BytesIO()
    return cast(IO[bytes], SpooledTemporaryFile(IN_MEMORY_BYTES))
