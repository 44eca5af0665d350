"""
Words of error messages: values, names and examples as a caller may see them.
"""

import json
from collections.abc import Iterable, Sequence

from sagemaker_runtime.formats.schema import Column

# Longest piece of the caller's data that an error message repeats, in characters.
SHOWN_LENGTH = 40

# How many names an error lists, and how long each may be.
NAMES_LISTED = 12
NAME_LENGTH = 60

KIND_NAMES = {
    "number": "a number",
    "boolean": "true or false,",
    "timestamp": "a timestamp",
    "text": "a text",
    "numbers": "a list of numbers",
}


class Number(str):
    """
    A number of a JSON text as it was written.
    """

    __slots__ = ()


def shown(value: object) -> str:
    """
    Return a value as an error message may show it: printable, on one line, not too long.
    """
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Number):
        if len(value) <= SHOWN_LENGTH:
            return str(value)
        whole = value.lstrip("-").isdigit()
        return f"{'an integer' if whole else 'a number'} of more than {SHOWN_LENGTH} digits"
    if isinstance(value, str):
        whole_text = ascii(value[:SHOWN_LENGTH])
        return whole_text if len(value) <= SHOWN_LENGTH else f"{whole_text}..."
    if isinstance(value, int) and abs(value) >= 10**SHOWN_LENGTH:
        return f"an integer of more than {SHOWN_LENGTH} digits"
    return repr(value)


def listed(names: Sequence[str]) -> str:
    """
    List names that may come from the caller: few, short, printable.
    """
    plain = [
        short if (short := name[:NAME_LENGTH]).isidentifier() and short.isascii() else shown(name)
        for name in names[:NAMES_LISTED]
    ]
    short_names = [
        f"{text}..." if len(name) > NAME_LENGTH and text.isidentifier() else text
        for text, name in zip(plain, names, strict=False)
    ]
    more = len(names) - len(plain)
    return (", ".join(short_names) or "nothing") + (f" and {more} more" if more else "")


def names_of(columns: Iterable[Column]) -> list[str]:
    """
    Return the columns' names.
    """
    return [column.name for column in columns]


def rule_of(column: Column) -> str:
    """
    Return what a value of the column should have been, with an example.
    """
    return f"expected {KIND_NAMES[column.kind]} such as {column.example}"


def counted(fields: int) -> str:
    """
    Return "1 field" or "2 fields".
    """
    return f"{fields} field" if fields == 1 else f"{fields} fields"


def json_example(column: Column) -> str:
    """
    Write a column's example as a JSON value.
    """
    bare = {"number": True, "numbers": True, "boolean": True}.get(column.kind, False)
    text = column.example.lower() if column.kind == "boolean" else column.example
    return text if bare else json.dumps(column.example)


def record_of(columns: Sequence[Column]) -> str:
    """
    Write the examples as a JSON record, shortened to the first three.
    """
    fields = [f"{json.dumps(c.name)}: {json_example(c)}" for c in columns[:3]]
    return "{" + ", ".join(fields + ["..."] * (len(columns) > 3)) + "}"
