"""
What the bodies of a table look like, as JSON Schema.
"""

from collections.abc import Sequence
from typing import Any

from sagemaker_runtime.formats.schema import Column, Kind

Schema = dict[str, Any]

TYPES: dict[Kind, list[str]] = {
    "number": ["number"],
    "boolean": ["boolean"],
    "timestamp": ["string"],
    "text": ["string"],
    "numbers": ["array"],
}

# CSV and JSON Lines: no schema tells more of a text of several rows.
TEXT: Schema = {"type": "string"}

RECORD, ROW = {"$ref": "#/$defs/Record"}, {"$ref": "#/$defs/Row"}


def of_table(features: Sequence[Column], unread: Sequence[Column]) -> Schema:
    """
    Return the schema of a table in JSON, in all its forms; ``unread`` columns may stand in it.
    """
    values: Schema = {column.name: of_value(column) for column in features}
    values |= {column.name: {"description": "Not read."} for column in unread}
    required = [column.name for column in features if not column.omittable]
    record = {"type": "object", "required": required, "properties": values}
    names = ", ".join(column.name for column in features)
    row = {
        "type": "array",
        "description": f"The values in order: {names}; before them, some of the columns that are "
        "not read."
        if unread
        else f"The values in order: {names}.",
        "minItems": len(features),
        "maxItems": len(features) + len(unread),
    }
    dense = _object(features=ROW)
    rows = {"anyOf": [_list(RECORD), _list(ROW), _list(dense)]}
    columns = {name: _list(value) for name, value in values.items()}
    return {
        "description": "A row, a list of rows, instances, or columns.",
        "anyOf": [
            _object(instances={"$ref": "#/$defs/Rows"}),
            {"$ref": "#/$defs/Rows"},
            RECORD,
            {"type": "object", "required": required, "properties": columns},
            _object(columns=_list({"enum": list(values)}), data=_list({"type": "array"})),
        ],
        "$defs": {"Record": record, "Row": row, "Rows": rows},
    }


def of_value(column: Column) -> Schema:
    """
    Return the schema of one value of a column.
    """
    types = [*TYPES[column.kind]]
    if column.unit == "ms":
        types.append("number")
    if column.optional:
        types.append("null")
    schema: Schema = {"type": types[0] if len(types) == 1 else types}
    if column.kind == "numbers":
        schema["items"] = {"type": ["number", "null"]}
    return schema | {"description": f"A {column.kind}, in CSV such as {column.example}"}


def of_predictions(names: Sequence[str]) -> Schema:
    """
    Return the schema of one prediction per row in JSON, each an object of ``names`` if there are
    any.
    """
    prediction: Schema = _object(**{name: {} for name in names}) if names else {}
    return _object(predictions=_list(prediction))


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
