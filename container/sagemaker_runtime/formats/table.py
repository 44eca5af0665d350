"""
Tables: rows of declared columns, as CSV, JSON or JSON Lines.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import IO

from sagemaker_runtime.formats.codecs import CSV, MEDIA_TYPES, decode
from sagemaker_runtime.formats.schema import Column, Columns


class Table:
    """
    An algorithm's INPUT that is rows of columns: ``features`` reach ``predict``.

    ``label`` is what training data have besides; it and the ``ignored`` columns, such as a key,
    may be sent too. Without a header, the ignored columns and the label stand first, in this
    order.
    """

    media_types = tuple(MEDIA_TYPES)

    def __init__(
        self, *features: Column, label: Column | None = None, ignored: Sequence[Column] = ()
    ) -> None:
        self.features = features
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
        Read a body, some rows at a time, and close it.

        Raises UnsupportedMediaType, Malformed when the body is not what the media type says,
        InvalidValue when it breaks the columns' rules.
        """
        return decode(body, media_type, charset, self)

    def count(self, piece: Columns) -> int:
        """
        Return the number of rows of what ``read`` yields.
        """
        return len(next(iter(piece.values())))

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        """
        Return the Content-Type and the body of a request with so many rows of the examples.
        """
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.name for column in self.features)
        writer.writerows([[column.example for column in self.features]] * rows)
        return CSV, text.getvalue().encode()
