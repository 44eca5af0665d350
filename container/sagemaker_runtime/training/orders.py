"""
In which order the columns of a channel stand where a file has no header: in the table's, or in that
of the headers of other files.
"""

from collections.abc import Iterable

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats import layout
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.messages import listed, names_of

Names = tuple[str, ...]


def stated(width: int, headers: Iterable[tuple[Names, str]], wanted: Wanted) -> Layout | None:
    """
    Return the layout of ``width`` columns without a header by the different headers of the channel,
    each with the file that has it; None when they state the table's order.

    Raises InvalidValue when they state another, but not one for as many columns.
    """
    headers = list(headers)
    if len(headers) == 1 and len(headers[0][0]) == width:
        return layout.by_names(headers[0][0], "the header", wanted)
    for names, file in headers:
        if not is_tables(names, wanted):
            raise InvalidValue(
                f"has {width} columns and no header, while {file} states the order "
                f"{listed([name for name in names if name in wanted.known])}. Write a header into "
                "each file"
            )
    return None


def is_tables(names: Names, wanted: Wanted) -> bool:
    """
    Tell whether the known ones among the names stand in the table's order.
    """
    known = [name for name in names if name in wanted.known]
    declared = names_of((*wanted.leading, *wanted.columns))
    return known == [name for name in declared if name in known]


class OfStream:
    """
    The headers met in a pipe, in which nobody can look ahead: a part without one has the order of
    the last.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._last: list[tuple[Names, str]] = []
        self._is_assumed = False

    def order(self, width: int) -> Layout | None:
        """
        Return the layout of a part without a header, None for the table's.
        """
        found = stated(width, self._last, self._wanted)
        self._is_assumed |= found is None
        return found

    def note(self, names: Names, part: str) -> None:
        """
        Take notice of a header.

        Raises InvalidValue when the parts without one before it were taken for another order.
        """
        if self._is_assumed and not is_tables(names, self._wanted):
            raise InvalidValue(
                "has rows without a header before one that states the order "
                f"{listed([name for name in names if name in self._wanted.known])}. Write a "
                "header into each file"
            )
        self._last = [(names, part)]
