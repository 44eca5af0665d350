"""
A stream of CSV cut into blocks of whole rows, at line ends outside of quotes.
"""

import re
from collections.abc import Iterator
from typing import IO, Literal, NamedTuple

import numpy as np

from sagemaker_runtime.errors import Malformed
from sagemaker_runtime.formats.media_types import check_utf8

# Bytes of a block: 10,000 rows are one; larger ones are not faster, and need more memory.
BLOCK = 1 << 20

# A longer row is refused, as it is held in memory as a whole; it takes up to twenty times its bytes
# as single fields.
LONGEST_ROW = 16 << 20

# A field and what ends it. Not possessive: Python 3.11's quantifiers of that kind have defects.
_field_without_quotes = re.compile(rb'(?:"[^"]*"|[^",\r\n][^,\r\n]*|)(,|\r\n|\n|\r|\Z)').match
# Some of what stands within quotes: each repetition takes memory until the match is found.
_within_quotes = re.compile(rb'[^"]*(?:""[^"]*){0,1000}').match
_closing_quote = re.compile(rb'"(,|\r\n|\n|\r|\Z)').match

Quotes = Literal["plain", "literal", "mixed"]

# Bytes that are not worth numpy's calls.
SHORT = 1000

_QUOTE, _LINE_FEED = ord('"'), ord("\n")
_MAY_OPEN = np.zeros(256, bool)  # what may stand before an opening quote, and behind a closing one
_MAY_OPEN[[*b',\n\r"']] = True


class Block(NamedTuple):
    """
    Whole rows from ``start`` on, of which the first begins in ``line``; ``quotes`` are plain where
    each opens or closes a field, and literal where none does.
    """

    text: bytes
    line: int
    quotes: Quotes = "plain"
    start: int = 0

    def rows(self) -> bytes:
        """
        Return the text from ``start`` on.
        """
        return self.text[self.start :]


def blocks(body: IO[bytes], quotes: bool = True, line: int = 1) -> Iterator[Block]:
    """
    Cut a stream in UTF-8, which begins in ``line``, into blocks; line ends at its end are left out.
    Without ``quotes``, every line end is one.

    Raises Malformed for a quote that is never closed or a row that is too long, UnicodeDecodeError
    for what is not UTF-8.
    """
    rest, has_ended = b"", False
    while not has_ended:
        more = body.read(BLOCK)
        has_ended = len(more) < BLOCK
        text = rest + more
        end, kind = _cut(text, has_ended, line, quotes)
        if not end and len(text) > LONGEST_ROW:
            raise _too_long(text, line, quotes)
        # Blank lines are worth a word only where more comes behind them: hand one on.
        whole, blank = text[:end], b""
        tail = whole[-4:]
        ends = tail[len(tail.rstrip(b"\r\n")) :]
        if ends == tail or (len(ends) > 1 and ends != b"\r\n"):
            whole, blank = _without_blank(whole)
        if whole:
            check_utf8(whole)
            yield Block(whole, line, kind)
        if not has_ended:
            line += lines_in(text[:end]) - len(blank)
            rest = blank + text[end:]


def _without_blank(text: bytes) -> tuple[bytes, bytes]:
    """
    Take blank lines off the end, and return one of them.
    """
    whole = text.rstrip(b"\r\n")
    end = lines_in(text[len(whole) :])
    return whole, b"\n" if end > bool(whole) else b""


def first_row_end(text: bytes) -> int:
    """
    Return where the first row ends, behind its line end; 0 when it is not lawful.
    """
    at = 0
    while found := _field(text, at):
        at = found.end()
        if found[1] != b",":
            return at
    return 0


def _field(text: bytes, at: int) -> re.Match[bytes] | None:
    """
    Match the end of the field that begins at ``at``, the first group being what is behind it.
    """
    found = _field_without_quotes(text, at)
    if found or text[at : at + 1] != b'"':
        return found
    at += 1
    while inside := _within_quotes(text, at):
        at = inside.end()
        if text[at : at + 2] != b'""':
            break
    return _closing_quote(text, at)


def lines_in(text: bytes) -> int:
    """
    Count line ends, those in quotes too.
    """
    if len(text) < SHORT:
        ends = text.count(b"\n")
    else:  # twice as fast as bytes.count, where many are found
        ends = int(np.count_nonzero(np.frombuffer(text, np.uint8) == _LINE_FEED))
    if b"\r" in text:
        ends += text.count(b"\r") - text.count(b"\r\n")
    return ends


def lines_of_longest_field(block: Block, rows: int) -> int:
    """
    Return over how many lines the longest field of a block of ``rows`` goes.
    """
    text = block.rows()
    if b'"' not in text or lines_in(text) <= rows:
        return 1
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    feeds = np.searchsorted(np.flatnonzero(codes == _LINE_FEED), quotes)
    closed = len(quotes) // 2 * 2
    return 1 + int(np.max(feeds[1:closed:2] - feeds[0:closed:2], initial=0))


def not_csv(block: Block) -> Malformed:
    """
    Return what is wrong with a block that Python's csv refuses.
    """
    text, bad = block.rows(), 0
    while bad < len(text) and (found := _field(text, bad)):
        bad = found.end()
    return _misquoted(block.line + lines_in(text[:bad]))


def _misquoted(line: int) -> Malformed:
    return Malformed(
        f"line {line} is not CSV: a quote opens there that is not closed before a comma or a line "
        'end. Close every quote and write a quote inside a field twice, such as "a ""b"" c"'
    )


def _too_long(text: bytes, line: int, quotes: bool) -> Malformed:
    if quotes and b'"' in text and not first_row_end(text):
        return not_csv(Block(text, line))
    return Malformed(
        f"line {line} is not a row: it is longer than {LONGEST_ROW >> 20} MB. End each row with "
        "a line feed"
    )


def _cut(text: bytes, has_ended: bool, line: int, quotes: bool) -> tuple[int, Quotes]:
    """
    Return where the last whole row ends, and what the quotes are.
    """
    if not quotes or b'"' not in text:
        return len(text) if has_ended else _line_end(text, len(text)), "plain"
    codes = np.frombuffer(text, np.uint8)
    is_quote = codes == _QUOTE
    is_end = np.ones(len(codes) + 2, bool)  # before the text, at each place, behind it
    is_end[1:-1] = _MAY_OPEN[codes]
    is_opening = is_end[:-2][is_quote]
    if not is_opening.any():
        return len(text) if has_ended else _line_end(text, len(text)), "literal"
    if not (is_opening[0::2].all() and is_end[2:][is_quote][1::2].all()):
        return len(text) if has_ended else _last_row_end(text), "mixed"
    places = np.flatnonzero(is_quote)
    if has_ended:
        if len(places) % 2:
            raise _misquoted(line + lines_in(text[: places[-1]]))
        return len(text), "plain"
    end = _line_end(text, len(text))
    while end and (before := int(np.searchsorted(places, end))) % 2:
        end = _line_end(text, int(places[before - 1]))
    return end, "plain"


def _last_row_end(text: bytes) -> int:
    """
    Return where the last row ends, read field by field; 0 when none does.
    """
    end = at = 0
    while at < len(text) and (found := _field(text, at)):
        at = found.end()
        # A carriage return at the very end may be the first half of one.
        if found[1] in (b"\r\n", b"\n") or (found[1] == b"\r" and at < len(text)):
            end = at
    return end


def _line_end(text: bytes, end: int) -> int:
    """
    Return where the last line ends in ``text[:end]``, 0 when none does.
    """
    # A carriage return at the very end may be the first half of one.
    return 1 + max(text.rfind(b"\n", 0, end), text.rfind(b"\r", 0, min(end, len(text) - 1)))
