"""
Bodies of many rows: read, predicted and written piece by piece, while the answer waits on disk.

Nothing is sent before all of it is there, so what is wrong with the last row still has a status.
"""

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from predictor import Predict, Predictor
from sagemaker_runtime.errors import RequestError, as_exception
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.records import BadRecord
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

# Answers above this wait on disk.
IN_MEMORY_BYTES = 2 * 1024 * 1024
# Bytes that are sent at a time.
PIECE = 256 * 1024

Predictions = Iterator[tuple[Any, int | None] | BadRecord]


class Spooled:
    """
    A finished answer, sent from disk: an iterator of bytes, ``size`` of them, that the server
    closes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.tell()
        file.seek(0)

    def __iter__(self) -> "Spooled":
        return self

    def __next__(self) -> bytes:
        if not self._file.closed and (piece := self._file.read(PIECE)):
            return piece
        self.close()
        raise StopIteration

    def close(self) -> None:
        """
        Remove the file.
        """
        self._file.close()


class LargeBodies:
    """
    Answers from a predictor; with ``marks_bad``, a bad record gets an error in its place.
    """

    def __init__(self, predictor: Predictor, marks_bad: bool) -> None:
        self._predictor = predictor
        reader, writer = predictor.algorithm.input, predictor.algorithm.output
        is_able = marks_bad and hasattr(writer, "write_parts")
        self._table = reader if is_able and isinstance(reader, Table) else None

    @property
    def marks_bad(self) -> bool:
        """
        Whether bad records are marked: not where it was not asked for, nor other than in tables.
        """
        return self._table is not None

    def answer(
        self, body: IO[bytes], media_type: str, charset: str, answer_type: str, predict: Predict
    ) -> tuple[int | None, Any, int]:
        """
        Return what ``Predictor.answer`` does, or a Spooled answer, and how many records were bad.
        """
        write_parts = getattr(self._predictor.algorithm.output, "write_parts", None)
        if write_parts is None:
            return *self._predictor.answer(body, media_type, charset, answer_type, predict), 0
        rows: int | None = 0
        bad = 0

        def counted() -> Predictions:
            nonlocal rows, bad
            for each in self._predictions(body, media_type, charset, predict):
                is_bad = isinstance(each, BadRecord)
                more = 1 if isinstance(each, BadRecord) else each[1]
                rows = None if rows is None or more is None else rows + more
                bad += is_bad
                yield each

        file = cast(IO[bytes], SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115 - Spooled's
        try:
            for piece in write_parts(counted(), answer_type):
                file.write(piece)
        except BaseException as error:
            file.close()
            if isinstance(error, Exception):
                raise
            raise as_exception(error) from error
        if file.tell() > IN_MEMORY_BYTES:
            return rows, Spooled(file), bad
        file.seek(0)
        with file:
            return rows, file.read(), bad

    def _predictions(
        self, body: IO[bytes], media_type: str, charset: str, predict: Predict
    ) -> Predictions:
        if self._table is None:
            yield from self._predictor.predictions(body, media_type, charset, predict)
            return
        row = 1
        for part in self._table.read_records(body, media_type, charset):
            if isinstance(part, BadRecord):
                yield part
                row += 1
            elif rows := count(part):
                yield from _halved(part, row, predict)
                row += rows


def _halved(columns: Columns, row: int, predict: Predict) -> Predictions:
    """
    Predict for rows, the first of them ``row``: halved until what is refused stands alone.
    """
    rows = count(columns)
    try:
        yield predict(columns, rows), rows
    except RequestError as error:
        if rows == 1:
            yield BadRecord(row, error)
            return
        middle = rows // 2
        for cut, first in ((slice(middle), row), (slice(middle, None), row + middle)):
            yield from _halved({n: v[cut] for n, v in columns.items()}, first, predict)
