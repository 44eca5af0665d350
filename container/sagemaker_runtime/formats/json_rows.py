"""
What JSON says, by its shape, to columns: rows as records or lists, columns, pandas' exports.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats import layout
from sagemaker_runtime.formats.layout import Layout, Wanted
from sagemaker_runtime.formats.messages import counted, listed, record_of, shown
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.values import absent, convert

Convert = Callable[[Column, Sequence[Any], int], np.ndarray]

# AWS's name for a row's values in order, in the dense form of its built-in algorithms.
DENSE = "features"
INSTANCES = "instances"


class Twice(dict):
    """
    An object in which the name INSTANCES stands more than once.
    """


class Rows:
    """
    Rows as they come, all of them in the form of the first.
    """

    def __init__(self, wanted: Wanted, found: Layout | None = None) -> None:
        self.wanted = wanted
        self.layout = found
        self.form: str | None = None if found is None else "list"

    def columns(self, rows: list[Any], row: int, convert: Convert = convert) -> Columns:
        """
        Turn rows, at least one and the first of them ``row``, into columns.
        """
        form = self.form or self._form(rows[0])
        is_plain = set(map(type, rows)) == {list if form == "list" else dict} and form != "dense"
        wrong = None
        if not is_plain:
            wrong = next((i for i, each in enumerate(rows) if not self._is(form, each)), None)
        if wrong is not None:
            raise InvalidValue(
                f"row {row + wrong} is {shown(rows[wrong])}; expected every row to be "
                + (
                    f"a record such as {record_of(self.wanted.columns)}"
                    if form == "record"
                    else "a list, as row 1 is"
                ),
                row + wrong,
            )
        if form == "record":
            columns = self._of_records(rows, row, convert)
        else:
            lists = rows if form == "list" else [each[DENSE] for each in rows]
            columns = self._of_lists(lists, row, convert)
        self.form = form
        return columns

    def _form(self, first: Any) -> str:
        if isinstance(first, list):
            return "list"
        return "dense" if self._is("dense", first) else "record"

    def _is(self, form: str, row: Any) -> bool:
        if form == "list":
            return isinstance(row, list)
        if form == "record":
            return isinstance(row, dict)
        return (
            isinstance(row, dict)
            and len(row) == 1
            and isinstance(row.get(DENSE), list)
            and DENSE not in self.wanted.known
        )

    def _of_lists(self, rows: list[list[Any]], row: int, convert: Convert) -> Columns:
        found = self.layout or layout.in_order(len(rows[0]), self.wanted)
        if set(map(len, rows)) != {found.width}:
            number, fields = next(
                (i, fields) for i, fields in enumerate(rows, row) if len(fields) != found.width
            )
            like = "as there are columns" if found.names else "as in row 1"
            raise InvalidValue(
                f"row {number} has {counted(len(fields))}; expected {found.width}, {like}", number
            )
        self.layout = found
        values = list(zip(*rows, strict=True))
        return {
            column.name: absent(column, len(rows))
            if at is None
            else convert(column, values[at], row)
            for column, at in found.places
        }

    def _of_records(self, rows: list[dict[str, Any]], row: int, convert: Convert) -> Columns:
        names = [column.name for column in self.wanted.columns]
        try:
            values = [[record[name] for record in rows] for name in names]
        except KeyError:
            checked = set()  # most records have the same names: look at each set of them once
            for number, record in enumerate(rows, row):
                if (present := tuple(record)) not in checked:
                    layout.check_absent(record.keys(), f"row {number}", self.wanted, number)
                    checked.add(present)
            values = [[record.get(name) for record in rows] for name in names]
        columns = zip(self.wanted.columns, values, strict=True)
        return {column.name: convert(column, each, row) for column, each in columns}


def of_content(content: Any, wanted: Wanted, convert: Convert = convert) -> Columns | None:
    """
    Turn the content of a whole body into columns, None when it has no rows.
    """
    if isinstance(content, dict) and INSTANCES in content and INSTANCES not in wanted.known:
        check_alone(list(content), INSTANCES, ())
        if isinstance(content, Twice):
            raise InvalidValue(
                f"{INSTANCES} stands more than once in the body; which one is meant? Send one"
            )
        content = content[INSTANCES]
        if not isinstance(content, list | dict):
            raise InvalidValue(f"{INSTANCES} is {shown(content)}; expected a list of records")
    if isinstance(content, list):
        return Rows(wanted).columns(content, 1, convert) if content else None
    if not isinstance(content, dict):
        example = record_of(wanted.columns)
        raise InvalidValue(f"the body is {shown(content)}; expected a record such as {example}")
    if is_split(content, wanted):
        rows = content["data"]
        found = of_split(list(content), content["columns"], wanted)
        if not isinstance(rows, list):
            raise InvalidValue(f"data is {shown(rows)}; expected a list of lists")
        return Rows(wanted, found).columns(rows, 1, convert) if rows else None
    known = [content[name] for name in content if name in wanted.known]
    if known and all(isinstance(values, dict) for values in known):
        if any(list(values) != list(known[0]) for values in known):
            raise unlike_indexes()
        return _of_columns({n: _values(v) for n, v in content.items()}, wanted, convert)
    if any(is_list_column(column, content.get(column.name)) for column in _all(wanted)):
        return _of_columns(content, wanted, convert)
    return Rows(wanted).columns([content], 1, convert)


def is_list_column(column: Column, values: Any) -> bool:
    """
    Tell whether this is a whole column's values; one value of a column of lists is a list as well.
    """
    if column.kind != "numbers":
        return isinstance(values, list)
    return isinstance(values, list) and bool(values) and isinstance(values[0], list)


def is_split(content: dict[str, Any], wanted: Wanted) -> bool:
    """
    Tell whether this is pandas' form of names beside rows.
    """
    return {"columns", "data"} <= content.keys() and wanted.known.isdisjoint(content)


def of_split(names: list[str], columns: Any, wanted: Wanted) -> Layout:
    """
    Return the layout of pandas' form of names beside rows; ``names`` are those of its parts.
    """
    check_alone(names, "columns", ("data", "index"))
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise InvalidValue(f"columns is {shown(columns)}; expected a list of names")
    return layout.by_names(tuple(columns), "columns", wanted)


def check_alone(names: list[str], name: str, others: Sequence[str]) -> None:
    """
    Raise InvalidValue when something stands beside ``name`` that nothing reads.
    """
    unread = [each for each in names if each != name and each not in others]
    if unread:
        raise InvalidValue(
            f"the body has {listed(unread)} beside {name}, which nothing reads; leave it out"
        )


def uneven(column: str, values: Any, length: int | None, count: int) -> InvalidValue:
    """
    Return what is wrong with a column that is not as long as the others.
    """
    size = f"is {shown(values)}" if length is None else f"has {length} values"
    return InvalidValue(
        f"{column} {size}; expected a list of {count}, as long as the other columns", column=column
    )


def unlike_indexes() -> InvalidValue:
    """
    Return what is wrong with columns by index whose rows are not surely the same.
    """
    return InvalidValue(
        "the columns differ in their index; expected the same in each, in the same order, as "
        "df.to_json() writes it"
    )


def _all(wanted: Wanted) -> tuple[Column, ...]:
    return (*wanted.columns, *wanted.leading)


def _values(values: Any) -> Any:
    return list(values.values()) if isinstance(values, dict) else values


def _of_columns(content: dict[str, Any], wanted: Wanted, convert: Convert) -> Columns | None:
    known = {name: values for name, values in content.items() if name in wanted.known}
    lengths = {n: len(v) if isinstance(v, list) else None for n, v in known.items()}
    count = next(length for length in lengths.values() if length is not None)
    for name, length in lengths.items():
        if length != count:
            raise uneven(name, known[name], length, count)
    layout.check_absent(content.keys(), "the body", wanted)
    return {
        column.name: convert(column, known[column.name], 1)
        if column.name in known
        else absent(column, count)
        for column in wanted.columns
    }
