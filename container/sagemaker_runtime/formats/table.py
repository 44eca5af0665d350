"""
Tables: rows of declared columns, as CSV, JSON or JSON Lines.
"""

import csv
from collections.abc import Iterator, Sequence
from functools import cached_property
from io import StringIO
from typing import IO, TYPE_CHECKING, Any

from sagemaker_runtime.formats import columns, json_schema, records
from sagemaker_runtime.formats import csv as csv_rows
from sagemaker_runtime.formats import json as json_rows
from sagemaker_runtime.formats.layout import Wanted
from sagemaker_runtime.formats.media_types import (
    CSV,
    JSON,
    MEDIA_TYPES,
    as_utf8,
    check_charset,
    not_in_charset,
)
from sagemaker_runtime.formats.schema import Column, Columns

if TYPE_CHECKING:
    import pandas as pd


class Table:
    """
    An algorithm's INPUT that is rows of columns: ``features`` reach ``predict``.

    ``label`` is what training data have besides; it and the ``ignored`` columns, such as a key,
    may be sent too. Without a header, the ignored columns and the label stand first, in this
    order; a request may leave out the leading ones.

    With ``as_frame=True`` ``predict`` is given a pandas DataFrame, see ``frame``.
    """

    media_types = tuple(MEDIA_TYPES)

    def __init__(
        self,
        *features: Column,
        label: Column | None = None,
        ignored: Sequence[Column] = (),
        as_frame: bool = False,
    ) -> None:
        self.features = features
        self.as_frame = as_frame
        self.label = label
        self.ignored = tuple(ignored)

    @property
    def unread(self) -> tuple[Column, ...]:
        """
        The columns that a request may hold although nobody reads them, in order.
        """
        return self.ignored if self.label is None else (*self.ignored, self.label)

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[Columns]:
        """
        Read a body, some rows at a time.

        Raises UnsupportedMediaType, Malformed when the body is not what the media type says,
        InvalidValue when it breaks the columns' rules.
        """
        check_charset(media_type, charset)
        try:
            text = as_utf8(body, charset)
            kind = MEDIA_TYPES[media_type]
            if kind == CSV:
                yield from csv_rows.read(text, self._wanted)
            elif kind == JSON:
                yield from json_rows.read(text, self._wanted, lambda: self._typed)
            else:
                yield from json_rows.read_lines(text, self._wanted, lambda: self._typed)
        except UnicodeDecodeError as error:
            raise not_in_charset(error, media_type, charset) from None

    def read_records(
        self, body: IO[bytes], media_type: str, charset: str
    ) -> Iterator[Columns | records.BadRecord]:
        """
        Read a body of lines, CSV or JSON Lines, in which a BadRecord stands for each bad one;
        another media type as ``read`` does.
        """
        kind = MEDIA_TYPES[media_type]
        if kind == JSON:
            yield from self.read(body, media_type, charset)
            return
        check_charset(media_type, charset)
        try:
            text = as_utf8(body, charset)
            if kind == CSV:
                yield from records.read_csv(text, self._wanted)
            else:
                yield from records.read_json_lines(text, self._wanted, self._typed)
        except UnicodeDecodeError as error:
            raise not_in_charset(error, media_type, charset) from None

    def count(self, piece: Columns) -> int:
        """
        Return the number of rows of what ``read`` yields.
        """
        return columns.count(piece)

    def join(self, pieces: Sequence[Columns]) -> Columns:
        """
        Put what ``read`` yields together, in order.
        """
        return columns.join(pieces)

    def frame(self, columns: Columns) -> "pd.DataFrame":
        """
        Return the features as a pandas DataFrame, in their order, on the same memory; a missing
        text is NaN, as after ``read_csv``.
        """
        import pandas as pd  # half a second and 40 MB, for those who want it

        frame = pd.DataFrame({each.name: columns[each.name] for each in self.features}, copy=False)
        for each in self.features:
            if each.kind == "text" and each.optional:
                frame[each.name] = frame[each.name].replace("", float("nan"))
        return frame

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        """
        Return the Content-Type and the body of a request with that many rows of the examples; from
        the second on, what may be missing is.
        """
        with_gaps = ["" if column.optional else column.example for column in self.features]
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.name for column in self.features)
        writer.writerows([[column.example for column in self.features]][:rows])
        writer.writerows([with_gaps] * (rows - 1))
        return CSV, text.getvalue().encode()

    def json_schema(self, media_type: str) -> json_schema.Schema:
        """
        Return the JSON Schema of a body, for the description of what is served.
        """
        if MEDIA_TYPES[media_type] != JSON:
            return json_schema.TEXT
        return json_schema.of_table(self.features, self.unread)

    @cached_property
    def _wanted(self) -> Wanted:
        return Wanted(self.features, self.unread)

    @cached_property
    def _typed(self) -> json_rows.Typed:
        return json_rows.Typed(self._wanted)


def for_predict(reader: Any, piece: Any) -> Any:
    """
    Return what ``predict`` is given for a piece that a reader has read: the piece, or its frame
    where the reader has ``as_frame``.
    """
    return reader.frame(piece) if getattr(reader, "as_frame", False) else piece
