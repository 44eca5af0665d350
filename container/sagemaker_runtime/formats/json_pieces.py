"""
The structure of a long JSON text, found without parsing it: where its members stand, and where a
list may be cut between two elements.

Only what is found is trusted, not what it means: each piece is parsed as JSON afterwards, so that a
text that is not JSON is refused at the first character that is wrong, as if it were read at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from sagemaker_runtime.errors import Malformed

# Bytes looked at, and parsed, at a time.
PIECE = 1 << 20

# A longer element is refused, as it is held in memory as a whole; so are more names in the
# outermost object.
LONGEST = 16 << 20
MOST_MEMBERS = 100_000

_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
_STEPS = np.zeros(256, np.int64)
_STEPS[[*b"[{"]] = 1
_STEPS[[*b"]}"]] = -1
_MARKS = np.zeros(256, bool)
_MARKS[[*b"[]{},:"]] = True


@dataclass(frozen=True, slots=True)
class Member:
    """
    A member of the outermost object: its value stands in ``start`` to ``end`` and begins with
    ``code``.
    """

    name: str
    start: int
    end: int
    code: bytes


class Scanner:
    """
    Goes through a text from ``at`` on; ``marks`` are its brackets, commas and colons outside of
    strings.
    """

    def __init__(self, body: IO[bytes], at: int) -> None:
        self._body = body
        self._at = at
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def next(self) -> tuple[bytes, int, np.ndarray, np.ndarray, np.ndarray] | None:
        """
        Return the next bytes, their offset, the places of marks in them, the marks, and the depth
        behind each, from 0 at the beginning; None at the end.
        """
        self._body.seek(self._at)
        text = self._body.read(PIECE)
        if not text:
            return None
        codes = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(codes == _QUOTE)
        if self._is_escaped or _BACKSLASH in text:
            quotes = np.setdiff1d(quotes, self._escaped(codes), assume_unique=True)
        places = np.flatnonzero(_MARKS[codes])
        within = (np.searchsorted(quotes, places) + self._in_string) % 2
        places = places[within == 0]
        marks = codes[places]
        depths = self._depth + np.cumsum(_STEPS[marks])
        at, self._at = self._at, self._at + len(text)
        self._in_string ^= len(quotes) % 2 == 1
        if len(depths):
            self._depth = int(depths[-1])
        return text, at, places, marks, depths

    def _escaped(self, codes: np.ndarray) -> np.ndarray:
        """
        Return the places behind an odd number of backslashes.
        """
        is_backslash = np.zeros(len(codes) + 2, np.int8)
        is_backslash[1:-1] = codes == _BACKSLASH
        edges = np.flatnonzero(np.diff(is_backslash))
        starts, ends = edges[0::2], edges[1::2]
        lengths = ends - starts
        if self._is_escaped:
            if len(starts) and starts[0] == 0:
                lengths[0] -= 1
            else:
                starts, ends = np.append(starts, -1), np.append(ends, 0)
                lengths = np.append(lengths, 1)
        escaped = ends[lengths % 2 == 1]
        self._is_escaped = bool(len(codes) in escaped)
        return escaped


def elements(body: IO[bytes], at: int) -> Iterator[tuple[bytes, int, bytes]]:
    """
    Yield the elements of the list, or the members of the object, that opens just before ``at``.

    Some at a time, with the commas between them, beside their offset and what stands behind them:
    a comma, the closing bracket, or nothing when the text ends.
    """
    scanner, rest = Scanner(body, at), b""
    while found := scanner.next():
        text, offset, places, marks, depths = found
        closing = np.flatnonzero(depths < 0)
        if len(closing):
            end = int(places[closing[0]])
            yield rest + text[:end], offset - len(rest), text[end : end + 1]
            return
        commas = np.flatnonzero((marks == _COMMA) & (depths == 0))
        if len(commas):
            cut = int(places[commas[-1]])
            yield rest + text[:cut], offset - len(rest), b","
            rest = text[cut + 1 :]
        else:
            rest += text
            if len(rest) > LONGEST:
                line, _ = place(body, offset - len(rest) + len(text))
                raise Malformed(
                    f"the row that begins in line {line} is longer than {LONGEST >> 20} MB"
                )
    end = scanner._at
    yield rest, end - len(rest), b""


def end_of(body: IO[bytes], at: int) -> int:
    """
    Return where the list or object closes that opens just before ``at``; -1 when it does not.
    """
    scanner = Scanner(body, at)
    while found := scanner.next():
        _, offset, places, _, depths = found
        closing = np.flatnonzero(depths < 0)
        if len(closing):
            return offset + int(places[closing[0]])
    return -1


@dataclass(frozen=True)
class Frame:
    """
    The outermost object without what stands within its lists and objects: ``text``, which consists
    of the body's ``spans``, and where each value stands.
    """

    text: bytes
    spans: list[tuple[int, int]]
    values: list[tuple[int, int]]
    end: int

    def offset(self, at: int) -> int:
        """
        Return where in the body a place of ``text`` stands.
        """
        for start, end in self.spans:
            if at <= end - start:
                return start + at
            at -= end - start
        return self.spans[-1][1]


def frame(body: IO[bytes], at: int) -> Frame:
    """
    Look through the object that opens at ``at``.
    """
    scanner = Scanner(body, at)
    spans: list[tuple[int, int]] = []
    values: list[tuple[int, int]] = []
    begin, value, end = at, at, -1
    while end < 0 and (found := scanner.next()):
        _, offset, places, marks, depths = found
        outer = np.flatnonzero((depths <= 1) | ((depths == 2) & (_STEPS[marks] > 0)))
        for index in outer.tolist():
            here, mark, depth = offset + int(places[index]), marks[index], depths[index]
            if depth == 2:
                spans.append((begin, here + 1))
            elif depth == 1 and _STEPS[mark] < 0:
                begin = here
            elif depth == 1 and mark == _COLON:
                value = here + 1
            elif depth == 1 and mark == _COMMA:
                values.append((value, here))
            elif depth <= 0:
                values.append((value, here))
                end = here + 1
                break
        if len(values) > MOST_MEMBERS:
            raise Malformed(f"the body's object has more than {MOST_MEMBERS} names")
    spans.append((begin, end if end >= 0 else scanner._at))
    if sum(stop - start for start, stop in spans) > LONGEST:
        raise Malformed(f"the body's object is longer than {LONGEST >> 20} MB without its lists")
    return Frame(b"".join(slice_of(body, *span) for span in spans), spans, values, end)


def slice_of(body: IO[bytes], start: int, end: int) -> bytes:
    """
    Return the bytes from ``start`` to ``end``.
    """
    body.seek(start)
    return body.read(end - start)


def first_code(body: IO[bytes], start: int) -> tuple[int, bytes]:
    """
    Return the first place from ``start`` on that is not white space, and what stands there, nothing
    at the end.
    """
    body.seek(start)
    while text := body.read(PIECE):
        if stripped := text.lstrip(b" \t\n\r"):
            return start + len(text) - len(stripped), stripped[:1]
        start += len(text)
    return start, b""


def place(body: IO[bytes], offset: int) -> tuple[int, int]:
    """
    Return the line and the column, in characters, of an offset; both count from 1.
    """
    body.seek(0)
    line, column, left = 1, 1, offset
    while left and (text := body.read(min(PIECE, left))):
        left -= len(text)
        line += text.count(b"\n")
        behind = text.rfind(b"\n") + 1
        characters = len(text) - behind - sum(c & 0xC0 == 0x80 for c in text[behind:])
        column = characters + (1 if behind else column)
    return line, column
