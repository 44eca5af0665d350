"""
Long bodies of JSON, some rows at a time.
"""

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import IO, Any, NoReturn

import msgspec

from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats import json_rows, layout
from sagemaker_runtime.formats.json import Typed, either, exactly, not_json
from sagemaker_runtime.formats.json_pieces import (
    LONGEST,
    Member,
    elements,
    end_of,
    first_code,
    frame,
    place,
    slice_of,
)
from sagemaker_runtime.formats.json_rows import INSTANCES, Rows
from sagemaker_runtime.formats.layout import Wanted
from sagemaker_runtime.formats.media_types import check_utf8
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.values import absent, convert

# Rows of columns that are sent one after the other.
ROWS_AT_ONCE = 16_384

_CLOSING = {b"[": b"]", b"{": b"}"}


def read(body: IO[bytes], start: int, wanted: Wanted, typed: Typed) -> Iterator[Columns]:
    """
    Read the JSON that begins at ``start``.
    """
    yield from _Long(body, wanted, typed).read(start)


class _Long:
    """
    A body that can be sought, for one table.
    """

    def __init__(self, body: IO[bytes], wanted: Wanted, typed: Typed) -> None:
        self.body = body
        self.wanted = wanted
        self.typed = typed

    def read(self, start: int) -> Iterator[Columns]:
        at, code = first_code(self.body, start)
        if code == b"[":
            yield from self._list(at, Rows(self.wanted))
            self._check_end(end_of(self.body, at + 1) + 1)
        elif code == b"{":
            members, end = self._members(at, is_outermost=True)
            yield from self._object(at, end, members, is_outermost=True)
        else:
            yield from self._at_once(start)

    def _object(
        self, at: int, end: int, members: list[Member], is_outermost: bool = False
    ) -> Iterator[Columns]:
        names = [member.name for member in members]
        by_name = {member.name: member for member in members}
        if is_outermost and INSTANCES in by_name and INSTANCES not in self.wanted.known:
            json_rows.check_alone(names, INSTANCES, ())
            if len(names) > 1:
                json_rows.of_content(json_rows.Twice({INSTANCES: []}), self.wanted)
            inner = by_name[INSTANCES]
            if inner.code == b"[":
                yield from self._list(inner.start, Rows(self.wanted))
            elif inner.code == b"{":
                within, behind = self._members(inner.start)
                yield from self._object(inner.start, behind, within)
            else:
                yield from self._at_once(at, end)
            return
        shape = dict.fromkeys(by_name)
        if json_rows.is_split(shape, self.wanted) and by_name["data"].code == b"[":
            columns = by_name["columns"]
            header = exactly(self._slice(columns.start, columns.end))
            found = json_rows.of_split(names, header, self.wanted)
            yield from self._list(by_name["data"].start, Rows(self.wanted, found))
        elif self._has_columns(by_name):
            yield from self._columns(by_name)
        else:
            for member in members:  # what is not JSON is told by its place in the whole body
                if member.code in _CLOSING:
                    self._drain(member.start)
            yield from self._at_once(at, end, is_outermost)

    def _known(self) -> tuple[Column, ...]:
        return (*self.wanted.columns, *self.wanted.leading)

    def _has_columns(self, members: dict[str, Member]) -> bool:
        known = [(c, members[c.name]) for c in self._known() if c.name in members]
        if known and all(member.code == b"{" for _, member in known):
            return True
        return any(
            member.code == b"["
            and (column.kind != "numbers" or first_code(self.body, member.start + 1)[1] == b"[")
            for column, member in known
        )

    def _at_once(
        self, start: int, end: int | None = None, is_outermost: bool = True
    ) -> Iterator[Columns]:
        """
        Read what is one row, or not JSON, up to ``end`` or that of the body.
        """
        self.body.seek(start)
        text = self.body.read(LONGEST + 1 if end is None else min(end - start, LONGEST + 1))
        if len(text) > LONGEST:
            raise Malformed(f"the row is longer than {LONGEST >> 20} MB; send a list of rows")
        check_utf8(text)

        def build(content: Any, convert: json_rows.Convert) -> Columns | None:
            whole = content if is_outermost else {INSTANCES: content}
            return json_rows.of_content(whole, self.wanted, convert)

        columns = either(text, build)
        if columns is not None:
            yield columns

    def _list(self, at: int, rows: Rows) -> Iterator[Columns]:
        row = 1
        for text, offset in self._pieces(at):
            columns = self._rows(b"[" + text + b"]", rows, row)
            if columns is None:
                self._refuse(b"[", text + b",", offset)
            yield columns
            row += len(next(iter(columns.values())))

    def _rows(self, text: bytes, rows: Rows, row: int) -> Columns | None:
        """
        Return the columns of a list of rows; None when it is not JSON.
        """
        if rows.form in (None, "record"):
            try:
                columns = self.typed.columns(self.typed.list(text), row)
                rows.form = "record"
                return columns
            except (msgspec.MsgspecError, InvalidValue, RecursionError):
                pass
        try:
            return either(text, lambda content, convert: rows.columns(content, row, convert))
        except Malformed:
            return None

    def _pieces(self, at: int) -> Iterator[tuple[bytes, int]]:
        """
        Yield elements of the list or object that opens at ``at``, some at a time; raises Malformed
        where it is not closed.
        """
        opening = slice_of(self.body, at, at + 1)
        is_first = True
        for text, offset, behind in elements(self.body, at + 1):
            check_utf8(text)
            if behind not in (b",", _CLOSING[opening]):
                self._refuse(opening, text + behind, offset, is_first)
            if behind == b"," or not is_first or text.strip(b" \t\n\r"):
                if not text.strip(b" \t\n\r"):
                    self._refuse(opening, text + behind, offset, is_first)
                yield text, offset
            is_first = False

    def _refuse(self, opening: bytes, text: bytes, offset: int, is_first: bool = True) -> NoReturn:
        """
        Raise Malformed with the place, in the whole body, where this is not JSON.
        """
        # Behind a comma an element must come, where a list that begins may be empty.
        before = opening if is_first else (b"[0," if opening == b"[" else b'{"":0,')
        try:
            json.loads((before + text).decode())
        except json.JSONDecodeError as error:
            wrong = offset + len((before + text).decode()[: error.pos].encode()) - len(before)
            raise not_json(error, *place(self.body, wrong), None) from None
        except RecursionError:
            raise Malformed("the JSON is nested too deep; a row is a flat record") from None
        raise AssertionError("a piece that is not JSON reads as JSON")

    def _members(self, at: int, is_outermost: bool = False) -> tuple[list[Member], int]:
        """
        Return the members of the object that opens at ``at``, and where it ends.
        """
        found = frame(self.body, at)
        check_utf8(found.text)
        try:
            pairs = json.loads(found.text, object_pairs_hook=lambda pairs: pairs)
        except RecursionError:
            raise Malformed("the JSON is nested too deep; a row is a flat record") from None
        except json.JSONDecodeError as error:
            wrong = found.offset(len(found.text.decode()[: error.pos].encode()))
            for span in found.spans:  # something before it may be what is really wrong
                opening = slice_of(self.body, span[1] - 1, span[1])
                if opening in _CLOSING and span[1] <= wrong + 1 and span[1] - 1 > at:
                    self._drain(span[1] - 1)
            raise not_json(error, *place(self.body, wrong), None) from None
        if is_outermost:
            self._check_end(found.end)
        members = []
        for (name, _), (start, end) in zip(pairs, found.values, strict=False):
            begin, code = first_code(self.body, start)
            members.append(Member(name, begin, end, code))
        return members, found.end

    def _drain(self, at: int) -> None:
        """
        Raise Malformed where the list or object that opens at ``at`` is not JSON.
        """
        opening = slice_of(self.body, at, at + 1)
        for text, offset in self._pieces(at):
            self._content(opening, text, offset)

    def _content(self, opening: bytes, text: bytes, offset: int, is_exact: bool = False) -> Any:
        whole = opening + text + _CLOSING[opening]
        if not is_exact:
            try:
                return msgspec.json.decode(whole)
            except (msgspec.MsgspecError, RecursionError):
                pass
        try:
            return exactly(whole)
        except Malformed:
            self._refuse(opening, text + b",", offset)

    def _check_end(self, end: int) -> None:
        at, code = first_code(self.body, end)
        if code:
            line, column = place(self.body, at)
            raise Malformed(f"the body is not JSON at line {line}, column {column}: Extra data")

    def _slice(self, start: int, end: int) -> bytes:
        if end - start > LONGEST:
            raise Malformed(f"a list of names is longer than {LONGEST >> 20} MB")
        text = slice_of(self.body, start, end)
        check_utf8(text)
        return text

    def _columns(self, members: dict[str, Member]) -> Iterator[Columns]:
        """
        Read columns that stand one after the other, the same rows of each at a time.
        """
        layout.check_absent(members.keys(), "the body", self.wanted)
        known = [c for c in self._known() if c.name in members]
        for name, member in members.items():
            if name not in self.wanted.known and member.code in _CLOSING:
                self._drain(member.start)
        for column in known:
            if members[column.name].code not in _CLOSING:
                value = exactly(self._slice(members[column.name].start, members[column.name].end))
                raise json_rows.uneven(column.name, value, None, self._length(known, members))
        indexes = {c.name: blake2b() for c in known}
        sources = {c.name: self._values(c, members[c.name], indexes[c.name]) for c in known}
        ready: dict[str, list[Any]] = {column.name: [] for column in known}
        row = 1
        while True:
            for name, source in sources.items():
                while len(ready[name]) < ROWS_AT_ONCE and (more := next(source, None)):
                    ready[name] += more
            count = min(map(len, ready.values()))
            if count < ROWS_AT_ONCE and len(set(map(len, ready.values()))) > 1:
                raise self._uneven(known, members)
            if not count:
                if len({index.digest() for index in indexes.values()}) > 1:
                    raise json_rows.unlike_indexes()
                return
            count = min(count, ROWS_AT_ONCE)
            yield {
                column.name: convert(column, ready[column.name][:count], row)
                if column.name in ready
                else absent(column, count)
                for column in self.wanted.columns
            }
            row += count
            for held in ready.values():
                del held[:count]

    def _uneven(self, known: list[Column], members: dict[str, Member]) -> InvalidValue:
        in_order = sorted(known, key=lambda column: members[column.name].start)
        count = self._length(in_order, members)
        for column in in_order[1:]:
            length = sum(map(len, self._values(column, members[column.name])))
            if length != count:
                return json_rows.uneven(column.name, None, length, count)
        raise AssertionError("columns of uneven length are even")

    def _length(self, known: list[Column], members: dict[str, Member]) -> int:
        first = next(c for c in known if members[c.name].code in _CLOSING)
        return sum(map(len, self._values(first, members[first.name])))

    def _values(
        self, column: Column, member: Member, index: blake2b | None = None
    ) -> Iterator[list[Any]]:
        for text, offset in self._pieces(member.start):
            # The numbers in texts must stay as they are written.
            content = self._content(member.code, text, offset, is_exact=column.kind == "text")
            if index and isinstance(content, dict):
                index.update("".join(json.dumps(name) for name in content).encode())
            yield content if isinstance(content, list) else list(content.values())
