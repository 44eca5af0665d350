"""
Requests and answers, kept for monitoring in the form of SageMaker's data capture.

While a request is answered it only leaves a line in a queue. Once a second a thread writes them.
Where that takes longer than requests come in, events are left out and counted: no request waits.
"""

import base64
import logging
import os
import random
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import IO

import orjson

from sagemaker_runtime.formats.media_types import CSV, MEDIA_TYPES
from sagemaker_runtime.serving.metrics import recorder

STDOUT = "stdout"
# Of a request and its answer together: CloudWatch cuts a line of the log at 256 kB, and base64 and
# JSON make it longer.
MOST_BYTES = 128 * 1024
# Of what waits to be written: a second of a busy worker.
MOST_WAITING = 32 * 1024**2
# What a pipe takes in one piece: lines of several workers do not mix within it.
PIECE = 4096
HOUR_S = 3600

logger = logging.getLogger(__name__)


# The hour since 1970 and the event's line.
Line = tuple[int, bytes]


class Capture:
    """
    Keeps events of this process; nothing before ``begin``.
    """

    def __init__(self) -> None:
        self.percent = 0
        self._to = STDOUT
        self._queue: deque[Line] = deque()
        self._waiting = 0
        self._told = self._told_of_left_out = False

    def begin(self, percent: int, to: str) -> None:
        """
        Capture so many of a hundred requests, to stdout or below a folder.
        """
        self.percent, self._to = percent, to

    def wants(self) -> bool:
        """
        Tell whether a request is among those to capture.
        """
        return self.percent > 0 and random.random() * 100 < self.percent  # noqa: S311 - no secret

    def note_body(
        self,
        name: str,
        given_type: str,
        given: IO[bytes],
        answered_type: str,
        answered: bytes,
    ) -> None:
        """
        Queue an event of a body, unless its reader has closed it.
        """
        if given.closed:
            self.leave_out("its reader has closed the body")
            return
        given.seek(0)
        self.note(name, given_type, given.read(MOST_BYTES + 1), answered_type, answered)

    def note(
        self, name: str, given_type: str, given: bytes, answered_type: str, answered: bytes
    ) -> None:
        """
        Queue an event; what is too large, or more than can be written, is left out.
        """
        size = len(given) + len(answered)
        if size > MOST_BYTES:
            self.leave_out(f"body and answer have more than {MOST_BYTES // 1024} kB")
            return
        if self._waiting + size > MOST_WAITING:
            self.leave_out("more come than can be written")
            return
        self._waiting += size
        moment = int(time.time())
        # Made here, where the bodies are still in the processor's cache and no thread wants
        # Python's lock: a thread that does it takes several times as long off the requests.
        made = line(
            moment,
            name,
            _side(given_type, "INPUT", given),
            _side(answered_type, "OUTPUT", answered),
        )
        self._queue.append((moment // HOUR_S, made))

    def leave_out(self, why: str) -> None:
        """
        Count a request that was to be captured and is not; the log tells of the first.
        """
        recorder.left_out(1)
        if not self._told_of_left_out:
            self._told_of_left_out = True
            logger.info(
                "a request was not captured: %s; model_server_captures_left_out_total counts all",
                why,
            )

    def take(self) -> list[Line]:
        """
        Take what is queued; call it where ``note`` is called.
        """
        events = [self._queue.popleft() for _ in range(len(self._queue))]
        self._waiting = 0
        return events

    def write(self, lines: Sequence[Line]) -> None:
        """
        Write lines; from any thread. Never raises.
        """
        try:
            if self._to == STDOUT:
                _write_pieces(made for _, made in lines)
            else:
                _append(Path(self._to), lines)
        except Exception:
            recorder.left_out(len(lines))
            if not self._told:
                self._told = True
                logger.exception(
                    "captured requests could not be written to %s; make the folder writable for "
                    "the server's account, or set MODEL_SERVER_CAPTURE_TO",
                    self._to,
                )


def line(moment: int, name: str, given: bytes, answered: bytes) -> bytes:
    """
    Return an event as SageMaker's data capture writes it, of a second since 1970.
    """
    return (
        b'{"captureData":{"endpointInput":%b,"endpointOutput":%b},"eventMetadata":{"eventId":%b,'
        b'"inferenceTime":"%b"},"eventVersion":"0"}\n'
        % (given, answered, orjson.dumps(name), _moment(moment))
    )


@lru_cache(maxsize=2)
def _moment(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


@lru_cache(maxsize=64)
def _beginning(media_type: str, mode: str, encoding: str) -> bytes:
    about = {"observedContentType": media_type, "mode": mode, "encoding": encoding}
    return orjson.dumps(about)[:-1]


@lru_cache(maxsize=64)
def _encoding(media_type: str) -> str:
    kind = MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    return {None: "BASE64", CSV: "CSV"}.get(kind, "JSON")


def _side(media_type: str, mode: str, body: bytes) -> bytes:
    encoding = _encoding(media_type)
    if encoding != "BASE64":
        try:
            data = body.decode()
        except UnicodeDecodeError:
            encoding = "BASE64"
    if encoding == "BASE64":
        data = base64.b64encode(body).decode()
    return b'%b,"data":%b}' % (_beginning(media_type, mode, encoding), orjson.dumps(data))


def _write_pieces(lines: Iterable[bytes]) -> None:
    piece = b""
    for each in lines:
        if len(piece) + len(each) > PIECE:
            _write(piece)
            piece = b""
        piece += each
    _write(piece)


def _write(piece: bytes) -> None:
    while piece:
        piece = piece[os.write(1, piece) :]


def _append(folder: Path, lines: Iterable[Line]) -> None:
    """
    Add lines to this process's file of their hour.
    """
    for number, of_hour in groupby(lines, lambda each: each[0]):
        hour = datetime.fromtimestamp(HOUR_S * number, UTC).strftime("%Y/%m/%d/%H")
        (folder / hour).mkdir(parents=True, exist_ok=True)
        with (folder / hour / f"{socket.gethostname()}-{os.getpid()}.jsonl").open("ab") as file:
            file.write(b"".join(made for _, made in of_hour))


capture = Capture()
