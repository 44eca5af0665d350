"""
Long bodies of JSON whose columns stand one after the other.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats import json_rows, layout
from sagemaker_runtime.formats.json import exactly
from sagemaker_runtime.formats.json_pieces import Member
from sagemaker_runtime.formats.json_text import CLOSING, Text
from sagemaker_runtime.formats.layout import Wanted
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.values import absent, convert

# Rows that are read at a time.
ROWS_AT_ONCE = 16_384


class LongColumns:
    """
    The ``members`` of an object that are columns, for one table.
    """

    def __init__(self, text: Text, wanted: Wanted, members: Mapping[str, Member]) -> None:
        self._text = text
        self._wanted = wanted
        self._members = members
        self._known = [c for c in (*wanted.columns, *wanted.leading) if c.name in members]

    def read(self) -> Iterator[Columns]:
        """
        Read columns that stand one after the other, the same rows of each at a time.
        """
        members, known = self._members, self._known
        layout.check_absent(members.keys(), "the body", self._wanted)
        for name, member in members.items():
            if name not in self._wanted.known and member.code in CLOSING:
                self._text.drain(member.start)
        for column in known:
            if members[column.name].code not in CLOSING:
                value = exactly(
                    self._text.slice(members[column.name].start, members[column.name].end)
                )
                raise json_rows.uneven(column.name, value, None, self._length(known))
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
                raise self._uneven()
            if not count:
                if len({index.digest() for index in indexes.values()}) > 1:
                    raise json_rows.unlike_indexes()
                return
            count = min(count, ROWS_AT_ONCE)
            yield {
                column.name: convert(column, ready[column.name][:count], row)
                if column.name in ready
                else absent(column, count)
                for column in self._wanted.columns
            }
            row += count
            for held in ready.values():
                del held[:count]

    def _uneven(self) -> InvalidValue:
        members = self._members
        in_order = sorted(self._known, key=lambda column: members[column.name].start)
        count = self._length(in_order)
        for column in in_order[1:]:
            length = sum(map(len, self._values(column, members[column.name])))
            if length != count:
                return json_rows.uneven(column.name, None, length, count)
        raise AssertionError("columns of uneven length are even")

    def _length(self, known: list[Column]) -> int:
        first = next(c for c in known if self._members[c.name].code in CLOSING)
        return sum(map(len, self._values(first, self._members[first.name])))

    def _values(
        self, column: Column, member: Member, index: blake2b | None = None
    ) -> Iterator[list[Any]]:
        for text, offset in self._text.pieces(member.start):
            # The numbers in texts must stay as they are written.
            content = self._text.content(member.code, text, offset, is_exact=column.kind == "text")
            if index and isinstance(content, dict):
                index.update("".join(json.dumps(name) for name in content).encode())
            yield content if isinstance(content, list) else list(content.values())
