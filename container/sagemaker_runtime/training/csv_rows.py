"""
The rows of one part of a channel in CSV: a file, a record, or a pipe in which files follow one
another.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import IO, NoReturn

from sagemaker_runtime.errors import DataError, RequestError
from sagemaker_runtime.formats import csv, layout
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.csv_blocks import Block, blocks, lines_in, lines_of_longest_field
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.messages import names_of
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.parallel import in_order
from sagemaker_runtime.training.orders import Names
from sagemaker_runtime.training.shares import Share
from sagemaker_runtime.training.streams import start_of, unpacked

TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
PARQUET_MAGIC = b"PAR1"
MARK = b"\xef\xbb\xbf"  # of byte order, before UTF-8

# A field over more lines gets a word in the log: the quote that should have closed it may be lost.
MANY_LINES = 100


class CsvRows:
    """
    Reads one part, which messages call ``name``.

    ``order`` is asked for the layout of a part without a header, ``note`` is told each header. A
    part ``is_joined`` when it is several files, whose headers stand between its rows.
    """

    def __init__(
        self,
        name: str,
        wanted: Wanted,
        order: Callable[[int], Layout | None],
        note: Callable[[Names, str], None] = lambda names, part: None,
        is_joined: bool = False,
    ) -> None:
        self.name = name
        self._wanted = wanted
        self._order = order
        self._note = note
        self._is_joined = is_joined
        self._header = b""  # the last header's line

    def read(self, stream: IO[bytes], share: Share) -> Iterator[Columns]:
        """
        Yield the rows of a stream that can be looked at before (``peek``), some at a time, those of
        ``share`` only.

        Raises DataError.
        """
        try:
            text = unpacked(stream)
            start = start_of(text, TAR_MAGIC_AT + len(TAR_MAGIC))
            if start[TAR_MAGIC_AT:] == TAR_MAGIC:
                self.refuse("is a tar archive inside; unpack it and upload the files in it")
            if start.startswith(PARQUET_MAGIC):
                self.refuse(
                    "is Parquet, whose index stands at its end, and cannot be read from a pipe; "
                    'take another input mode: TrainingInput(..., input_mode="FastFile")'
                )
            if start.startswith(MARK):
                text.read(len(MARK))
            watched = _Watched(text)
            yield from self._rows(blocks(watched), share)  # type: ignore[arg-type]
            if self._is_joined and watched.last not in (b"", b"\n", b"\r"):
                print(f"{self.name} does not end in a line feed: did its writer break off?")
        except UnicodeDecodeError:
            self.refuse("is not UTF-8 text; save it as CSV in UTF-8")
        except (OSError, EOFError, zlib.error) as error:
            self.refuse(f"cannot be read ({error}); upload it again")
        except RequestError as error:
            remedy = "" if error.row is None else ". Fix the row or remove it"
            if remedy and self._is_joined:
                remedy += "; in a pipe, each file must end in a line feed"
            self.refuse(f"{error}{remedy}")

    def refuse(self, what: str) -> NoReturn:
        """
        Raise DataError with what is wrong.
        """
        raise DataError(f"{self.name}: {what}.") from None  # whose words it has

    def _rows(self, whole: Iterator[Block], share: Share) -> Iterator[Columns]:
        def parsed(item: tuple[Layout, Block]) -> tuple[Columns | None, Layout, Block]:
            found, block = item
            try:
                return csv.parse(block, found, 1, skip_blank=True), found, block
            except RequestError:
                return None, found, block

        done, is_told = 0, False
        own = (item for item in self._laid_out(whole) if share.takes())
        for columns, found, block in in_order(parsed, own):
            if columns is None:  # once more, with the true number of its first row
                columns = csv.parse(block, found, done + 1, skip_blank=True)
            rows = count(columns)
            if not is_told and (lines := lines_of_longest_field(block, rows)) > MANY_LINES:
                is_told = True
                print(
                    f"{self.name} has a field of {lines} lines between rows {done + 1} and "
                    f"{done + rows}: is a quote missing?"
                )
            yield columns
            done += rows

    def _laid_out(self, whole: Iterator[Block]) -> Iterator[tuple[Layout, Block]]:
        """
        Yield each block with the layout of its rows; headers are in none.
        """
        found: Layout | None = None
        for block in whole:
            if found is None:
                found, block = self._begin(block)
            if self._is_joined:
                for begin, end, names in _headers(block, self._wanted, self._header):
                    before = Block(block.text[:begin], block.line, block.quotes, block.start)
                    if before.rows():
                        yield found, before
                    self._note(names, self.name)
                    found = layout.by_names(names, "a header", self._wanted)
                    self._header = block.text[begin:end].strip().removeprefix(MARK)
                    line = block.line + lines_in(block.text[block.start : end])
                    block = Block(block.text, line, block.quotes, end)
            if block.start < len(block.text):
                yield found, block

    def _begin(self, block: Block) -> tuple[Layout, Block]:
        block = csv.without_blank_start(block)
        fields, end = csv.first_row(block)
        has_names = not self._wanted.known.isdisjoint(name.strip() for name in fields)
        if not has_names and (found := self._order(len(fields))):
            return found, block
        found, rest = csv.begin(block, self._wanted)
        if found.names:
            self._note(found.names, self.name)
            self._header = block.text[:end].strip()
        return found, rest


class _Watched:
    """
    A stream that remembers its last byte.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int) -> bytes:
        text = self._stream.read(size)
        self.last = text[-1:] or self.last
        return text


def _headers(block: Block, wanted: Wanted, known: bytes) -> Iterator[tuple[int, int, Names]]:
    """
    Yield where each header between the rows of a block begins and ends, and its names; the one
    before may be ``known``, and stand behind a row that lacks its line end.
    """
    needed = set(names_of(wanted.columns))
    key = max(needed, key=len).encode()
    text, at, looked, quotes = block.text, block.start, block.start, 0
    while (at := text.find(key, at)) >= 0:
        begin = max(block.start, 1 + max(text.rfind(b"\n", 0, at), text.rfind(b"\r", 0, at)))
        end = text.find(b"\n", at) + 1 or len(text)
        at = end
        quotes += text.count(b'"', looked, begin)
        looked = begin
        if quotes % 2 and block.quotes != "literal":  # a line within a field
            continue
        line = text[begin:end]
        if known and (glued := line.rstrip()).endswith(known):
            begin += len(glued.removesuffix(known).removesuffix(MARK))
            line = text[begin:end]
        try:
            fields, _ = csv.first_row(Block(line.removeprefix(MARK), 1))
        except (RequestError, UnicodeDecodeError):
            continue
        names = tuple(field.strip() for field in fields)
        if needed <= set(names):
            yield begin, end, names
