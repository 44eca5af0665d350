"""
JSON in pieces: wherever a long body is cut, and whatever stands around its rows.
"""

import json
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rides import INPUT
from sagemaker_runtime.algorithm import Column, Columns, Table
from sagemaker_runtime.errors import InvalidValue, Malformed, RequestError
from sagemaker_runtime.formats import csv_blocks, json_long, json_pieces
from sagemaker_runtime.formats import json as json_rows
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.formats.media_types import JSON, JSON_LINES
from sagemaker_runtime.formats.values import absent

THINGS = Table(
    Column("size", "number", "3.5", optional=True),
    Column("name", "text", "Tom", optional=True),
    Column("vector", "numbers", "[1, 2]", optional=True),
)
ROWS = [
    {"size": 1.5, "name": 'a "b", \\ [c] {d}', "vector": [1, None, 2.5]},
    {"size": None, "name": "\u017elu\u0165 \U0001f600", "vector": []},
    {"size": -3, "name": "\\", "vector": [0]},
    {"size": 7, "name": "", "vector": None},
]
RECORD = {
    "pickup_datetime": "2014-02-25 12:17:00 UTC",
    "pickup_latitude": 40.715937,
    "passenger_count": 1,
}


def read(body: bytes | str, table: Table = THINGS, media_type: str = JSON) -> Columns:
    file = BytesIO(body.encode() if isinstance(body, str) else body)
    parts = list(table.read(file, media_type, "utf-8"))
    return join(parts or [{c.name: absent(c, 0) for c in table.features}])


def plain(columns: Columns) -> dict[str, list[object]]:
    return {
        name: [v.tolist() if isinstance(v, np.ndarray) else v for v in values.tolist()]
        for name, values in columns.items()
    }


def in_pieces(patch: pytest.MonkeyPatch, size: int) -> None:
    patch.setattr(json_rows, "WHOLE", 0)
    patch.setattr(json_pieces, "PIECE", size)
    patch.setattr(json_long, "ROWS_AT_ONCE", 3)
    patch.setattr(csv_blocks, "BLOCK", size)


FORMS = {
    "records": lambda rows, **how: json.dumps(rows, **how),
    "instances": lambda rows, **how: json.dumps({"instances": rows}, **how),
    "lists": lambda rows, **how: json.dumps([list(row.values()) for row in rows], **how),
    "dense": lambda rows, **how: json.dumps(
        {"instances": [{"features": list(row.values())} for row in rows]}, **how
    ),
    "columns": lambda rows, **how: json.dumps(
        {name: [row[name] for row in rows] for name in rows[0]}, **how
    ),
    "instances of columns": lambda rows, **how: json.dumps(
        {"instances": {name: [row[name] for row in rows] for name in rows[0]}}, **how
    ),
    "split": lambda rows, **how: json.dumps(
        {
            "columns": list(rows[0]),
            "index": list(range(len(rows))),
            "data": [list(row.values()) for row in rows],
        },
        **how,
    ),
    "pandas columns": lambda rows, **how: json.dumps(
        {name: {str(at): row[name] for at, row in enumerate(rows)} for name in rows[0]}, **how
    ),
}


@pytest.mark.parametrize("how", [{}, {"indent": 1}, {"separators": (",", ":")}, {"indent": "\t"}])
@pytest.mark.parametrize("form", FORMS)
def test_every_border_gives_the_same_rows(
    monkeypatch: pytest.MonkeyPatch, form: str, how: dict[str, object]
) -> None:
    """Wherever a piece ends, in a string, an escape, a character or a list, all rows arrive."""
    body = FORMS[form](ROWS, **how).encode()
    escaped = FORMS[form](ROWS, ensure_ascii=False, **how).encode()
    wanted = plain(read(FORMS["records"](ROWS)))
    assert [len(values) for values in wanted.values()] == [len(ROWS)] * 3
    for size in range(1, len(body) + 2):
        with monkeypatch.context() as patch:
            in_pieces(patch, size)
            np.testing.assert_equal(plain(read(body)), wanted)
            np.testing.assert_equal(plain(read(escaped)), wanted)


TEXTS = some.text(alphabet='ab"\\{}[],:\u0165\U0001f600 ', max_size=8)
NUMBERS = some.none() | some.floats(allow_nan=False, allow_infinity=False) | some.integers(-9, 9)


@settings(max_examples=100, deadline=None)
@given(
    rows=some.lists(
        some.fixed_dictionaries(
            {"size": NUMBERS, "name": TEXTS, "vector": some.lists(NUMBERS, max_size=3)}
        ),
        min_size=1,
        max_size=9,
    ),
    form=some.sampled_from(sorted(FORMS)),
    size=some.integers(1, 60),
    indent=some.sampled_from([None, 0, 2]),
)
def test_pieces_read_like_the_whole(
    rows: list[dict[str, object]], form: str, size: int, indent: int | None
) -> None:
    """Any rows, in any form, are the same in pieces of any size."""
    rows = [{column.name: row[column.name] for column in THINGS.features} for row in rows]
    body = FORMS[form](rows, indent=indent)
    wanted = plain(read(body))
    with pytest.MonkeyPatch.context() as patch:
        in_pieces(patch, size)
        np.testing.assert_equal(plain(read(body)), wanted)
        lines = "\n".join(json.dumps(row) for row in rows)
        np.testing.assert_equal(plain(read(lines, THINGS, JSON_LINES)), wanted)


@pytest.mark.parametrize("opening", ["[", ' {\n"instances" : [ '])
def test_faults_are_placed_in_the_whole_body(monkeypatch: pytest.MonkeyPatch, opening: str) -> None:
    """Rows, order, places and the rules for what stands around the list do not change."""
    count = 30
    rows = [json.dumps(RECORD)] * (count - 1) + [json.dumps({**RECORD, "passenger_count": 7})]
    closing = "]" if opening == "[" else "] }\n"
    for size in (1, 50, 333):
        in_pieces(monkeypatch, size)
        columns = read(opening + " , ".join(rows) + closing, INPUT)
        assert columns["passenger_count"].tolist() == [1.0] * (count - 1) + [7.0]
        bad = [*rows[:-1], rows[-1].replace("40.715937", '"abc"')]
        with pytest.raises(InvalidValue, match=f"'abc' in row {count};"):
            read(opening + ",".join(bad) + closing, INPUT)
        with pytest.raises(InvalidValue, match=f"row {count + 1} is 7; expected every row"):
            read(opening + ",".join([*rows, "7"]) + closing, INPUT)
        for wrong in ("", ",", "]]", closing + "x", "], }", "1]", '],"a":1', ",,1]", '"'):
            text = opening + ",\n".join(rows) + wrong
            with pytest.raises(json.JSONDecodeError) as caught:
                json.loads(text)
            place = f"line {caught.value.lineno}, column {caught.value.colno}: {caught.value.msg}"
            with pytest.raises(Malformed) as refused:
                read(text, INPUT)
            assert place in str(refused.value), (size, wrong)


@pytest.mark.parametrize("size", [0, 40])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"instances": [{"size": 1}], "parameters": {}}', "has parameters beside instances"),
        ('{"instances": [{"size": 1}], "instances": [{"size": 2}]}', "stands more than once"),
        ('{"instances": [{"size": 1}], "inst\\u0061nces": []}', "stands more than once"),
        ('{"columns": ["size"], "data": [[1]], "x": 1}', "has x beside columns"),
        ('{"columns": ["size", "name", "vector"], "data": [[1]]}', "row 1 has 1 field; expected 3"),
        ('{"size": [1, 2], "name": ["a"], "vector": [[], []]}', "name has 1 values; expected a"),
        ('{"size": [1, 2], "name": 3, "vector": [[], []]}', "name is 3; expected a list of 2"),
        ('[{"size": 1, "name": "a"}]', "row 1 has no vector"),
        ('[{"size": 1, "name": "a", "vectr": []}]', "no vector but 'vectr'; rename it"),
        ('[{"size": 1, "nick": "a", "v": []}]', "no name, vector; it has unknown nick, v"),
        ('[{"size": 1, "name": "a", "vector": [1, "2"]}]', "vector is a list in row 1"),
        ('[{"size": 1e999, "name": "a", "vector": []}]', "size is 1e999 in row 1; expected a num"),
        ('[{"size": true, "name": "a", "vector": []}]', "size is true in row 1"),
        ('{"instances": {"instances": []}}', "has unknown instances"),
        (
            '{"size": {"0": 1, "1": 2}, "name": {"1": "a", "0": ""}, "vector": {"0": [], "1": []}}',
            "the columns differ in their index",
        ),
        ('{"size": {"0": 1}, "name": {"7": "a"}, "vector": {"0": []}}', "differ in their index"),
    ],
)
def test_what_nobody_reads_is_refused(
    monkeypatch: pytest.MonkeyPatch, body: str, message: str, size: int
) -> None:
    """Names that are unknown, twice or absent are named, in whole bodies and in pieces."""
    if size:
        in_pieces(monkeypatch, size)
    with pytest.raises(RequestError) as caught:
        read(body)
    assert message in str(caught.value)


@pytest.mark.parametrize("size", [0, 10])
def test_the_last_of_repeated_names_counts(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A name that stands twice in a record has its last value, whatever the size."""
    if size:
        in_pieces(monkeypatch, size)
    row = '{"size": 1, "name": "a", "size": 2, "vector": []}'
    for body, media_type in ((row, JSON), (f"[{row}]", JSON), (row, JSON_LINES)):
        assert read(body, THINGS, media_type)["size"].tolist() == [2]


@pytest.mark.parametrize("end", ["}}", "} }\n"])
def test_one_long_record_may_stand_in_instances(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """{"instances": record} is one row, whatever the size; faults have their place in the body."""
    body = '\n{"instances":\n{"size": 1, "name": "a", "vector": [1, 2, 3]' + end
    wanted = plain(read(body))
    assert wanted == {"size": [1.0], "name": ["a"], "vector": [[1.0, 2.0, 3.0]]}
    in_pieces(monkeypatch, 40)
    assert plain(read(body)) == wanted
    with pytest.raises(Malformed, match="line 3, column 43"):
        read(body.replace("2, 3", "2, x"))


def test_one_list_is_one_value_of_a_list_column() -> None:
    """{"vector": [1, 2, 3]} is one row, a list of lists is a column."""
    series = Table(Column("vector", "numbers", "[1, 2]"))
    assert plain(read('{"vector": [1, null, 3]}', series))["vector"][0][0] == 1
    assert len(read('{"vector": [1, null, 3]}', series)["vector"]) == 1
    assert plain(read('{"vector": [[1], [2, 3]]}', series)) == {"vector": [[1.0], [2.0, 3.0]]}


def test_numbers_in_a_text_column_stay_as_written() -> None:
    """A JSON number in a text column is the text that it was written as."""
    row = '{"size": 1, "name": 1.50, "vector": []}'
    for body, media_type in ((row, JSON), (f"[{row}, {row}]", JSON), (row, JSON_LINES)):
        assert set(read(body, THINGS, media_type)["name"]) == {"1.50"}


def test_short_numbers_share_their_memory() -> None:
    """A list of millions of them is held while a body is refused: 2 bytes each, not 60."""
    first, second, negative = json_rows.exactly("[7, 7, -0]")
    assert first is second
    assert (first, negative) == ("7", "0")


def test_dense_rows_are_read_in_order() -> None:
    """AWS's {"features": [...]} is a row in the table's order, in JSON and in JSON Lines."""
    for body, media_type in (
        ('{"features": [1, "a", [2]]}', JSON),
        ('{"instances": [{"features": [1, "a", [2]]}]}', JSON),
        ('{"features": [1, "a", [2]]}\n', JSON_LINES),
    ):
        wanted = {"size": [1.0], "name": ["a"], "vector": [[2.0]]}
        assert plain(read(body, THINGS, media_type)) == wanted
