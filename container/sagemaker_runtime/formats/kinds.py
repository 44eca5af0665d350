"""
Which kind of column the values of a file ask for.
"""

from collections.abc import Iterable, Sequence

from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats.schema import Column, Kind
from sagemaker_runtime.formats.values import convert, is_missing

# From special to general. 0 and 1 are numbers, which is the safer guess; true and false are not.
KINDS: tuple[Kind, ...] = ("number", "boolean", "timestamp", "numbers")


def column_of(name: str, values: Sequence[str], kinds: Iterable[Kind] = KINDS) -> Column:
    """
    Return the declaration of a column: of the first of ``kinds`` that all its values have, or else
    a text. It is optional where a value is missing; its example is the first value that is not.
    """
    for kind in kinds:
        column = Column(name, kind, "", optional=True)
        try:
            convert(column, values)
        except InvalidValue:
            continue
        present = [value for value in values if not is_missing(column, value)]
        # 01067 is a code, not a number; its zero would be lost.
        coded = kind == "number" and any(v[:1] == "0" and v[1:2].isdigit() for v in present)
        if present and not coded:
            return Column(name, kind, present[0].strip(), optional=len(present) < len(values))
    return Column(name, "text", next(filter(None, values), ""), optional=not all(values))
