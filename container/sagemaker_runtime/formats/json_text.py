"""
The text of a long body of JSON: its parts, read with care for where they stand.
"""

import json
from collections.abc import Iterator
from typing import IO, Any, NoReturn

import msgspec

from sagemaker_runtime.errors import Malformed
from sagemaker_runtime.formats.json import exactly, not_json
from sagemaker_runtime.formats.json_pieces import (
    LONGEST,
    Member,
    elements,
    first_code,
    frame,
    place,
    slice_of,
)
from sagemaker_runtime.formats.media_types import check_utf8

CLOSING = {b"[": b"]", b"{": b"}"}


class Text:
    """
    A body that can be sought; Malformed is raised with line and column of the whole body.
    """

    def __init__(self, body: IO[bytes]) -> None:
        self.body = body

    def pieces(self, at: int) -> Iterator[tuple[bytes, int]]:
        """
        Yield elements of the list or object that opens at ``at``, some at a time; raises Malformed
        where it is not closed.
        """
        opening = slice_of(self.body, at, at + 1)
        is_first = True
        for text, offset, behind in elements(self.body, at + 1):
            check_utf8(text)
            if behind not in (b",", CLOSING[opening]):
                self.refuse(opening, text + behind, offset, is_first)
            if behind == b"," or not is_first or text.strip(b" \t\n\r"):
                if not text.strip(b" \t\n\r"):
                    self.refuse(opening, text + behind, offset, is_first)
                yield text, offset
            is_first = False

    def refuse(self, opening: bytes, text: bytes, offset: int, is_first: bool = True) -> NoReturn:
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

    def members(self, at: int, is_outermost: bool = False) -> tuple[list[Member], int]:
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
                if opening in CLOSING and span[1] <= wrong + 1 and span[1] - 1 > at:
                    self.drain(span[1] - 1)
            raise not_json(error, *place(self.body, wrong), None) from None
        if is_outermost:
            self.check_end(found.end)
        members = []
        for (name, _), (start, end) in zip(pairs, found.values, strict=False):
            begin, code = first_code(self.body, start)
            members.append(Member(name, begin, end, code))
        return members, found.end

    def drain(self, at: int) -> None:
        """
        Raise Malformed where the list or object that opens at ``at`` is not JSON.
        """
        opening = slice_of(self.body, at, at + 1)
        for text, offset in self.pieces(at):
            self.content(opening, text, offset)

    def content(self, opening: bytes, text: bytes, offset: int, is_exact: bool = False) -> Any:
        whole = opening + text + CLOSING[opening]
        if not is_exact:
            try:
                return msgspec.json.decode(whole)
            except (msgspec.MsgspecError, RecursionError):
                pass
        try:
            return exactly(whole)
        except Malformed:
            self.refuse(opening, text + b",", offset)

    def check_end(self, end: int) -> None:
        at, code = first_code(self.body, end)
        if code:
            line, column = place(self.body, at)
            raise Malformed(f"the body is not JSON at line {line}, column {column}: Extra data")

    def slice(self, start: int, end: int) -> bytes:
        if end - start > LONGEST:
            raise Malformed(f"a list of names is longer than {LONGEST >> 20} MB")
        text = slice_of(self.body, start, end)
        check_utf8(text)
        return text
