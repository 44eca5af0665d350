"""
Where the columns of a table stand in its rows: by names, or in order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats.messages import counted, listed, names_of, shown
from sagemaker_runtime.formats.schema import Column
from sagemaker_runtime.formats.values import BLANKS, is_value

# How many unknown names, and of what length, are searched for one that is nearly right: the search
# takes time for each.
SEARCHED = 200
SEARCHED_LENGTH = 100

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

CURL = "If curl sent it, give --data-binary @file: -d takes line ends out"

_NUMBER = Column("", "number", "")
_TIME = Column("", "timestamp", "")


@dataclass
class Wanted:
    """
    The columns to read, and those that may stand beside them, unread.

    In rows without names, some of ``leading`` stand first, in their order, then ``columns``.
    ``header`` is the last one of CSV that was good, and short.
    """

    columns: tuple[Column, ...]
    leading: tuple[Column, ...] = ()
    header: "Header | None" = None

    @cached_property
    def known(self) -> frozenset[str]:
        """
        The names of all of them.
        """
        return frozenset(names_of((*self.columns, *self.leading)))

    @cached_property
    def widths(self) -> range:
        """
        How many fields a row without names may have.
        """
        return range(len(self.columns), len(self.columns) + len(self.leading) + 1)


@dataclass(frozen=True)
class Layout:
    """
    Rows of ``width`` fields; ``places`` tells where each column stands, None for one that does not.
    """

    wanted: Wanted
    width: int
    places: tuple[tuple[Column, int | None], ...]
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Header:
    """
    A first ``line`` of names, with its line end, and the layout that it states.
    """

    line: bytes
    layout: Layout


def of_first_line(first: Sequence[str], line: str, is_alone: bool, wanted: Wanted) -> Layout:
    """
    Find the layout of a CSV file by the fields of its first line, which may be its only one.

    Raises InvalidValue.
    """
    names = tuple(name.strip() for name in first)
    if not wanted.known.isdisjoint(names):
        return _of_header(names, is_alone, wanted)
    if not any(name[:1].isdigit() for name in names):  # which most rows of values have
        known = {_plain(name) for name in names_of(wanted.columns)}
        if 2 * len(known & {_plain(name) for name in names}) > len(known):
            raise _unknown_header(names, wanted)
    if len(first) not in wanted.widths:
        if better := headerless_fault(first, line, wanted):
            raise better
        hint = f". {CURL}" if is_alone and len(first) > wanted.widths[-1] else ""
        raise _wrong_width(first, wanted, hint)
    return in_order(len(first), wanted)


def in_order(width: int, wanted: Wanted) -> Layout:
    """
    Return the layout of rows of ``width`` fields without names.

    Raises InvalidValue for a wrong number.
    """
    if width not in wanted.widths:
        raise _wrong_width(range(width), wanted)
    before = width - len(wanted.columns)
    return Layout(wanted, width, tuple((c, before + at) for at, c in enumerate(wanted.columns)))


def headerless_fault(first: Sequence[str], line: str, wanted: Wanted) -> InvalidValue | None:
    """
    Tell what is wrong with a first line without known names, other than one value: another
    separator, or names that are not known.
    """
    for separator, word in SEPARATORS.items():
        fields = [field.strip(BLANKS + '"') for field in line.split(separator)]
        if len(fields) > 1 and (
            len(fields) in wanted.widths or not wanted.known.isdisjoint(fields)
        ):
            return InvalidValue(
                f"the fields of the first line are separated by {word}; expected commas, and a "
                "point in numbers. Write the table again with commas, such as "
                'df.to_csv(path, sep=",", index=False)'
            )
    names = [name.strip() for name in first]
    if len(names) > 1 and all(names) and not any(map(_is_value, names)):
        return _unknown_header(names, wanted)
    return None


def by_names(names: tuple[str, ...], where: str, wanted: Wanted) -> Layout:
    """
    Return the layout of rows whose fields have these names; ``where`` they stand is for messages.

    Raises InvalidValue when a column is there twice, or not at all although it must be.
    """
    for column in wanted.columns:
        if (times := names.count(column.name)) > 1:
            raise InvalidValue(
                f"{column.name} stands {times} times in {where}; expected it once",
                column=column.name,
            )
    check_absent(names, where, wanted)
    places = tuple((c, names.index(c.name) if c.name in names else None) for c in wanted.columns)
    return Layout(wanted, len(names), places, names)


def check_absent(
    names: Collection[str], where: str, wanted: Wanted, row: int | None = None
) -> None:
    """
    Raise InvalidValue when a column is absent that must not be, or was probably sent under another
    name: omittable ones may be left out only where all names are known.
    """
    absent = [column for column in wanted.columns if column.name not in names]
    if not absent:
        return
    unknown = [name for name in names if name not in wanted.known and not _is_index(name)]
    if not unknown:
        absent = [column for column in absent if not column.omittable]
    if not absent:
        return
    column = absent[0]
    short = [name for name in unknown if len(name) <= SEARCHED_LENGTH]
    if len(unknown) <= SEARCHED:
        for each in absent:
            if close := get_close_matches(each.name, short, 1, cutoff=0.85):
                raise InvalidValue(
                    f"{where} has no {each.name} but {shown(close[0])}; rename it to {each.name}",
                    row,
                    each.name,
                )
    has = f"it has unknown {listed(unknown)}" if unknown else f"it has {listed([*names])}"
    raise InvalidValue(
        f"{where} has no {listed(names_of(absent))}; {has}. "
        f"Add {column.name}, such as {column.example}",
        row,
        column.name,
    )


def _of_header(names: tuple[str, ...], is_alone: bool, wanted: Wanted) -> Layout:
    is_whole = all(c.name in names for c in wanted.columns)
    if (is_alone or not is_whole) and any(map(_is_value, names)):
        value = next(name for name in names if _is_value(name))
        raise InvalidValue(
            f"the first line holds names and values such as {shown(value)}; expected names only, "
            f"and the rows below. {CURL}"
        )
    return by_names(names, "the header", wanted)


def _is_index(name: str) -> bool:
    """
    Tell whether pandas names the index so, when it writes it beside the columns.
    """
    return not name or name == "index" or name.startswith("Unnamed: ")


def _is_value(text: str) -> bool:
    return is_value(_NUMBER, text) or is_value(_TIME, text)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name[:SEARCHED_LENGTH].casefold()))


def _unknown_header(names: Sequence[str], wanted: Wanted) -> InvalidValue:
    return InvalidValue(
        f"the first line seems to be a header, but none of its names is known: {listed(names)}; "
        f"expected {listed(names_of(wanted.columns))}. Rename the columns so, letter by letter"
    )


def _wrong_width(fields: Sequence[object], wanted: Wanted, hint: str = "") -> InvalidValue:
    least, most = wanted.widths[0], wanted.widths[-1]
    expected = f"{least}" if least == most else f"{least} to {most}"
    before = names_of(wanted.leading)
    known = f", with any of {listed(before)} before" if before else ""
    return InvalidValue(
        f"row 1 has {counted(len(fields))}; expected {expected}: "
        f"{listed(names_of(wanted.columns))}{known}{hint}",
        1,
    )
