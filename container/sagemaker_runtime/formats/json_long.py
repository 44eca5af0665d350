"""
Long bodies of JSON, some rows at a time.
"""

from collections.abc import Iterator
from typing import IO, Any

import msgspec

from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats import json_rows
from sagemaker_runtime.formats.json import Typed, either, exactly
from sagemaker_runtime.formats.json_columns import LongColumns
from sagemaker_runtime.formats.json_pieces import LONGEST, Member, end_of, first_code
from sagemaker_runtime.formats.json_rows import INSTANCES, Rows
from sagemaker_runtime.formats.json_text import CLOSING, Text
from sagemaker_runtime.formats.layout import Wanted
from sagemaker_runtime.formats.media_types import check_utf8
from sagemaker_runtime.formats.schema import Columns


def read(body: IO[bytes], start: int, wanted: Wanted, typed: Typed) -> Iterator[Columns]:
    """
    Read the JSON that begins at ``start``.
    """
    yield from _Long(Text(body), wanted, typed).read(start)


class _Long:
    """
    A long body for one table.
    """

    def __init__(self, text: Text, wanted: Wanted, typed: Typed) -> None:
        self._text = text
        self._wanted = wanted
        self._typed = typed

    def read(self, start: int) -> Iterator[Columns]:
        at, code = first_code(self._text.body, start)
        if code == b"[":
            yield from self._list(at, Rows(self._wanted))
            self._text.check_end(end_of(self._text.body, at + 1) + 1)
        elif code == b"{":
            members, end = self._text.members(at, is_outermost=True)
            yield from self._object(at, end, members, is_outermost=True)
        else:
            yield from self._at_once(start)

    def _object(
        self, at: int, end: int, members: list[Member], is_outermost: bool = False
    ) -> Iterator[Columns]:
        names = [member.name for member in members]
        by_name = {member.name: member for member in members}
        if is_outermost and INSTANCES in by_name and INSTANCES not in self._wanted.known:
            json_rows.check_alone(names, INSTANCES, ())
            if len(names) > 1:
                json_rows.of_content(json_rows.Twice({INSTANCES: []}), self._wanted)
            inner = by_name[INSTANCES]
            if inner.code == b"[":
                yield from self._list(inner.start, Rows(self._wanted))
            elif inner.code == b"{":
                within, behind = self._text.members(inner.start)
                yield from self._object(inner.start, behind, within)
            else:
                yield from self._at_once(at, end)
            return
        shape = dict.fromkeys(by_name)
        if json_rows.is_split(shape, self._wanted) and by_name["data"].code == b"[":
            columns = by_name["columns"]
            header = exactly(self._text.slice(columns.start, columns.end))
            found = json_rows.of_split(names, header, self._wanted)
            yield from self._list(by_name["data"].start, Rows(self._wanted, found))
        elif self._has_columns(by_name):
            yield from LongColumns(self._text, self._wanted, by_name).read()
        else:
            for member in members:  # what is not JSON is told by its place in the whole body
                if member.code in CLOSING:
                    self._text.drain(member.start)
            yield from self._at_once(at, end, is_outermost)

    def _has_columns(self, members: dict[str, Member]) -> bool:
        columns = (*self._wanted.columns, *self._wanted.leading)
        known = [(c, members[c.name]) for c in columns if c.name in members]
        if known and all(member.code == b"{" for _, member in known):
            return True
        return any(
            member.code == b"["
            and (
                column.kind != "numbers" or first_code(self._text.body, member.start + 1)[1] == b"["
            )
            for column, member in known
        )

    def _list(self, at: int, rows: Rows) -> Iterator[Columns]:
        row = 1
        for text, offset in self._text.pieces(at):
            columns = self._rows(b"[" + text + b"]", rows, row)
            if columns is None:
                self._text.refuse(b"[", text + b",", offset)
            yield columns
            row += len(next(iter(columns.values())))

    def _rows(self, text: bytes, rows: Rows, row: int) -> Columns | None:
        """
        Return the columns of a list of rows; None when it is not JSON.
        """
        if rows.form in (None, "record"):
            try:
                columns = self._typed.columns(self._typed.list(text), row)
                rows.form = "record"
                return columns
            except (msgspec.MsgspecError, InvalidValue, RecursionError):
                pass
        try:
            return either(text, lambda content, convert: rows.columns(content, row, convert))
        except Malformed:
            return None

    def _at_once(
        self, start: int, end: int | None = None, is_outermost: bool = True
    ) -> Iterator[Columns]:
        """
        Read what is one row, or not JSON, up to ``end`` or that of the body.
        """
        self._text.body.seek(start)
        text = self._text.body.read(LONGEST + 1 if end is None else min(end - start, LONGEST + 1))
        if len(text) > LONGEST:
            raise Malformed(f"the row is longer than {LONGEST >> 20} MB; send a list of rows")
        check_utf8(text)

        def build(content: Any, convert: json_rows.Convert) -> Columns | None:
            whole = content if is_outermost else {INSTANCES: content}
            return json_rows.of_content(whole, self._wanted, convert)

        columns = either(text, build)
        if columns is not None:
            yield columns
