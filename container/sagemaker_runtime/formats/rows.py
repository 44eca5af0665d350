"""
Answers with one prediction per row, as CSV, JSON or JSON Lines.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isnan
from typing import Any

import numpy as np
import orjson

from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats import json_schema
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES, MEDIA_TYPES
from sagemaker_runtime.formats.predictions import Block, Column, checked, length
from sagemaker_runtime.formats.records import BadRecord

# A line of CSV with nothing in it: many readers pass over one that is blank.
EMPTY = '""'

JSON_BEGIN, JSON_END = b'{"predictions": [', b"]}"

SPECIAL = re.compile('[",\r\n]')


class Rows:
    """
    An algorithm's OUTPUT that is one prediction per row.

    ``Rows("label", "probability")`` names what a row's prediction consists of. Without names, a
    prediction is one value or a list of them; names that ``predict`` returns count all the same.

    ``predict`` may return an array of shape (n,) or (n, k), a Series, a DataFrame, a dict of
    columns, or a list of values, lists or dicts. NaN and None are null, in CSV an empty field; a
    list that is one column's value is JSON inside its field.
    """

    media_types = tuple(MEDIA_TYPES)

    def __init__(self, *names: str) -> None:
        if len(set(names)) < len(names):
            raise AlgorithmError(f"Rows names {', '.join(names)}; expected each name once")
        self.names = names

    def json_schema(self, media_type: str) -> json_schema.Schema:
        """
        Return the JSON Schema of an answer, for the description of what is served.
        """
        if MEDIA_TYPES[media_type] != JSON:
            return json_schema.TEXT
        return json_schema.of_predictions(self.names)

    def write(self, predictions: Sequence[tuple[Any, int | None]], media_type: str) -> bytes:
        """
        Write what ``predict`` returned for each piece of a body, beside the piece's rows.

        Numbers are written with the fewest digits that read back as the same number. Raises
        AlgorithmError for what is not one prediction per row.
        """
        blocks = [checked(value, rows, self.names) for value, rows in predictions]
        if len(blocks) > 1:
            _check_alike(blocks)
        return _WRITERS[MEDIA_TYPES[media_type]]([block for block in blocks if length(block)])

    def write_parts(
        self, predictions: Iterable[tuple[Any, int | None] | BadRecord], media_type: str
    ) -> Iterator[bytes]:
        """
        Write the same piece by piece, so that only one of them is held; a BadRecord becomes its
        error: a line of JSON, in CSV as one field, in JSON an element.
        """
        kind = MEDIA_TYPES[media_type]
        first: Block | None = None
        is_begun = False
        if kind == JSON:
            yield JSON_BEGIN
        for each in predictions:
            if isinstance(each, BadRecord):
                text = each.content()
                width = len(self.names) or (0 if first is None else _width(first))
                if kind == CSV:
                    text = _quoted(text.decode()).encode() + b"," * (width - 1)
                written = text if kind == JSON else text + b"\n"
            else:
                block = checked(*each, self.names)
                if not length(block):
                    continue
                first = block if first is None else first
                _check_alike([first, block])
                written = _elements(block) if kind == JSON else _WRITERS[kind]([block])
            yield b"," + written if is_begun and kind == JSON else written
            is_begun = True
        if kind == JSON:
            yield JSON_END


def _check_alike(blocks: Sequence[Block]) -> None:
    """
    Raise AlgorithmError unless the blocks have the same names and shapes.
    """
    names = {tuple(block) if isinstance(block, dict) else None for block in blocks}
    if len(names) > 1:
        raise AlgorithmError(
            "predict returned other names for one part of a body than for another; name "
            'them once, in OUTPUT = Rows("label", "probability")'
        )
    shapes = {block.shape[1:] for block in blocks if isinstance(block, np.ndarray)}
    if len(shapes) > 1:
        raise AlgorithmError(
            "predict returned another number of values per row for one part of a body than "
            f"for another ({', '.join(map(str, sorted(shapes)))}); expected the same for "
            "all rows, or a list for each row"
        )


def _width(block: Block) -> int:
    """
    Return how many fields a line of CSV has for a block.
    """
    if isinstance(block, dict):
        return len(block)
    if isinstance(block, np.ndarray):
        return block.shape[1] if block.ndim == 2 else 1
    return len(block[0]) if isinstance(block[0], list) else 1


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        # Integers above 64 bits, half a surrogate pair, numpy's rarer types.
        return json.dumps(_without_nan(value), default=_plain, separators=(",", ":")).encode()


def _without_nan(value: Any) -> Any:
    """
    Return a value with None for NaN, as orjson writes it and the json module does not.
    """
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value


def _plain(value: Any) -> Any:
    """
    Return what orjson does not take of numpy as Python's own.
    """
    array = np.asarray(value)
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        array = array.astype("float64").astype("object")
        array[missing] = None
    return array.tolist()


def _elements(block: Block) -> bytes:
    """
    Write a block as JSON does the elements of a list, without the brackets around them.
    """
    if isinstance(block, np.ndarray):
        return _dumps(np.ascontiguousarray(block))[1:-1]
    return _dumps(_records(block) if isinstance(block, dict) else block)[1:-1]


def _records(columns: dict[str, Column]) -> list[dict[str, Any]]:
    rows = zip(*map(_scalars, columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _scalars(column: Column) -> list[Any]:
    if isinstance(column, list):
        return column
    # Python's floats have the digits of float64: 0.1 in float32 would be written otherwise.
    if column.dtype == np.float64 or column.dtype.kind != "f":
        return column.tolist()
    return list(np.ascontiguousarray(column))


def _write_json(blocks: list[Block]) -> bytes:
    return JSON_BEGIN + b",".join(map(_elements, blocks)) + JSON_END


def _write_json_lines(blocks: list[Block]) -> bytes:
    return b"".join(map(_json_lines, blocks))


def _json_lines(block: Block) -> bytes:
    if isinstance(block, dict):
        return b"".join(_dumps(record) + b"\n" for record in _records(block))
    before, behind = b'{"prediction": ', b"}\n"
    if isinstance(block, list):
        return b"".join(before + _dumps(row) + behind for row in block)
    comma = b"," if block.ndim == 1 else b"],["
    lines = _elements(block).replace(comma, comma.replace(b",", behind + before))
    return before + lines + behind


def _write_csv(blocks: list[Block]) -> bytes:
    return b"".join(map(_csv, blocks))


def _csv(block: Block) -> bytes:
    if isinstance(block, np.ndarray):
        return _csv_of_array(block)
    rows: Iterable[Iterable[str]]
    if isinstance(block, dict):
        rows = zip(*map(_fields, block.values()), strict=True)
    else:
        rows = ([_field(v) for v in row] if type(row) is list else [_field(row)] for row in block)
    lines = [",".join(row) or EMPTY for row in rows]
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")  # half a surrogate pair


def _csv_of_array(array: np.ndarray) -> bytes:
    elements = _elements(array)
    if b"null" in elements:
        elements = elements.replace(b"null", EMPTY.encode() if array.size == len(array) else b"")
    if array.ndim == 1:
        return elements.replace(b",", b"\n") + b"\n"
    return elements[1:-1].replace(b"],[", b"\n") + b"\n"


def _fields(column: Column) -> Iterator[str] | list[str]:
    if isinstance(column, list):
        return map(_field, column)
    if column.ndim == 1:
        return _elements(column).decode().replace("null", "").split(",")
    return [_quoted(f"[{texts}]") for texts in _elements(column).decode()[1:-1].split("],[")]


def _quoted(text: str) -> str:
    # The csv module leaves a lone carriage return as it is, which most readers take for a line end.
    return '"' + text.replace('"', '""') + '"' if SPECIAL.search(text) else text


def _field(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    return "" if value is None else _quoted(_dumps(value).decode())


_WRITERS: dict[str, Callable[[list[Block]], bytes]] = {
    CSV: _write_csv,
    JSON: _write_json,
    JSON_LINES: _write_json_lines,
}
