import csv
import json
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sagemaker_runtime.algorithm import Rows
from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES, MEDIA_TYPES

NAN = float("nan")
INF = float("inf")


def written(prediction: Any, *names: str, rows: int | None = None) -> tuple[str, str, str]:
    """What Rows makes of one piece's prediction, in CSV, JSON and JSON Lines."""
    made = (Rows(*names).write([(prediction, rows)], kind) for kind in (CSV, JSON, JSON_LINES))
    return tuple(content.decode() for content in made)  # type: ignore[return-value]


def assert_written(got: tuple[str, str, str], in_csv: str, rows: list[Any]) -> None:
    """The three formats say the same: these lines of CSV, these values in JSON."""
    assert got[0] == in_csv
    assert json.loads(got[1]) == {"predictions": rows}
    lines = [json.loads(line) for line in got[2].splitlines()]
    named = bool(rows) and isinstance(rows[0], dict)
    assert lines == (rows if named else [{"prediction": row} for row in rows])


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_every_media_type_is_written(media_type: str) -> None:
    """Each alias of JSON Lines is written as JSON Lines, and so on."""
    piece = [(np.array([1.5, 2.0]), 2)]
    assert Rows().write(piece, media_type) == Rows().write(piece, MEDIA_TYPES[media_type])
    assert set(Rows.media_types) == set(MEDIA_TYPES)
    assert Rows.media_types[0] == CSV


@pytest.mark.parametrize(
    ("predictions", "in_csv", "in_json", "in_json_lines"),
    [
        ([8.5, 10.0], "8.5\n10.0\n", "[8.5,10.0]", ["8.5", "10.0"]),
        ([3, -1], "3\n-1\n", "[3,-1]", ["3", "-1"]),
        ([[0.1, 0.9], [1.0, 0.0]], "0.1,0.9\n1.0,0.0\n", "[[0.1,0.9],[1.0,0.0]]",
         ["[0.1,0.9]", "[1.0,0.0]"]),
        (["cat", 'a "b", c', "x\ny", ""], 'cat\n"a ""b"", c"\n"x\ny"\n""\n',
         r'["cat","a \"b\", c","x\ny",""]', ['"cat"', r'"a \"b\", c"', r'"x\ny"', '""']),
        ([True, False], "true\nfalse\n", "[true,false]", ["true", "false"]),
        ([1.5, NAN, 2.0], '1.5\n""\n2.0\n', "[1.5,null,2.0]", ["1.5", "null", "2.0"]),
        ([[1.5, NAN], [NAN, NAN]], "1.5,\n,\n", "[[1.5,null],[null,null]]",
         ["[1.5,null]", "[null,null]"]),
        ([[NAN], [1.0]], '""\n1.0\n', "[[null],[1.0]]", ["[null]", "[1.0]"]),
        ([], "", "[]", []),
    ],
)  # fmt: skip
def test_predictions_are_written(
    predictions: list[Any], in_csv: str, in_json: str, in_json_lines: list[str]
) -> None:
    """Each format has one entry per row, in order; lists and arrays are the same."""
    lines = "".join(f'{{"prediction": {line}}}\n' for line in in_json_lines)
    for given in (predictions, np.array(predictions), tuple(predictions)):
        assert written(given) == (in_csv, f'{{"predictions": {in_json}}}', lines)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_read_back_as_they_were(dtype: str) -> None:
    """The digits written are enough for the same number, and 0.1 is written 0.1."""
    values = np.random.default_rng(0).normal(size=1000).astype(dtype)
    for names in ((), ("value",)):
        in_csv, in_json, _ = written(values, *names)
        assert (np.array(in_csv.split(), dtype) == values).all()
        rows = json.loads(in_json)["predictions"]
        rows = [row["value"] for row in rows] if names else rows
        assert (np.array(rows, dtype) == values).all()
    tenth = np.array([0.1], dtype)
    assert written(tenth)[:2] == ("0.1\n", '{"predictions": [0.1]}')
    assert written(tenth, "p")[:2] == ("0.1\n", '{"predictions": [{"p":0.1}]}')
    assert written([tenth[0], None])[1] == '{"predictions": [0.1,null]}'


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, 2], ">i4"),
        np.array([1.5, NAN], ">f8"),
        np.array([1.5, NAN], "longdouble"),
        np.array([1.5, 2], "float16"),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.arange(6, dtype="uint8").reshape(2, 3).T,
    ],
)
def test_numpys_rarer_forms_are_written(array: np.ndarray) -> None:
    """Byte order, precision and strides make no difference."""
    plain = array.astype("float64" if array.dtype.kind == "f" else "int64").copy()
    assert written(array) == written(plain)


LABELS = ["cat", "dog"]
NAMED = [{"label": "cat", "probability": 0.9}, {"label": "dog", "probability": 0.25}]


@pytest.mark.parametrize(
    "prediction",
    [
        {"label": LABELS, "probability": [0.9, 0.25]},
        {"label": np.array(LABELS), "probability": np.array([0.9, 0.25])},
        {"probability": (0.9, 0.25), "label": np.array(LABELS, "object")},
        {"label": pd.Series(LABELS, dtype="category"), "probability": pd.Series([0.9, 0.25])},
        pd.DataFrame({"label": LABELS, "probability": [0.9, 0.25]}, index=[7, 7]),
        NAMED,
        [dict(reversed(row.items())) for row in NAMED],
        [["cat", 0.9], ("dog", 0.25)],
        list(zip(np.array(LABELS), np.array([0.9, 0.25]), strict=True)),
        np.array([["cat", 0.9], ["dog", 0.25]], "object"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_label_stands_beside_its_probability(prediction: Any) -> None:
    """Every way to return two values by name gives the same, in the order of the names."""
    got = written(prediction, "label", "probability", rows=2)
    assert_written(got, "cat,0.9\ndog,0.25\n", NAMED)
    assert got[1] == (
        '{"predictions": [{"label":"cat","probability":0.9},{"label":"dog","probability":0.25}]}'
    )


@pytest.mark.parametrize(
    "prediction", [NAMED, pd.DataFrame(NAMED), pd.DataFrame(NAMED).to_dict("list")]
)
def test_names_that_predict_returns_count_without_being_declared(prediction: Any) -> None:
    """A dict's keys, a record's or a frame's columns are the names."""
    assert_written(written(prediction, rows=2), "cat,0.9\ndog,0.25\n", NAMED)


def test_columns_of_an_array_take_the_names_in_order() -> None:
    """(n, k) with k names, and (n,) or (n, 1) with one."""
    array = np.array([[1.0, NAN], [3.0, 4.5]])
    rows = [{"a": 1.0, "b": None}, {"a": 3.0, "b": 4.5}]
    assert_written(written(array, "a", "b", rows=2), "1.0,\n3.0,4.5\n", rows)
    for one in (array[:, 0], array[:, :1], pd.Series([1.0, 3.0]), [1.0, 3.0], [[1.0], [3.0]]):
        assert_written(written(one, "a", rows=2), "1.0\n3.0\n", [{"a": 1.0}, {"a": 3.0}])
    assert_written(written(["x", None], "a", rows=2), 'x\n""\n', [{"a": "x"}, {"a": None}])


def test_lists_are_values_too() -> None:
    """A list of another length in each row, and one inside a named column: JSON in its field."""
    ragged = [[1.5, 2.0], [3.0], []]
    assert_written(written(ragged, rows=3), '1.5,2.0\n3.0\n""\n', ragged)
    arrays = np.empty(3, "object")
    arrays[:] = [np.array(row) for row in ragged]
    assert_written(written(arrays, rows=3), '1.5,2.0\n3.0\n""\n', ragged)
    rows = [{"id": "a", "mean": [1.5, None]}, {"id": "b", "mean": [2.0]}]
    for mean in ([[1.5, NAN], [2.0]], [np.array([1.5, NAN]), (np.float32(2),)]):
        got = written({"id": ["a", "b"], "mean": mean}, rows=2)
        assert_written(got, 'a,"[1.5,null]"\nb,[2.0]\n', rows)
    parsed = list(csv.reader(StringIO(got[0])))
    assert json.loads(parsed[0][1]) == [1.5, None]
    square = {"id": [1, 2], "p": np.array([[0.5, NAN], [0.25, 0.75]])}
    assert_written(
        written(square, rows=2),
        '1,"[0.5,null]"\n2,"[0.25,0.75]"\n',
        [{"id": 1, "p": [0.5, None]}, {"id": 2, "p": [0.25, 0.75]}],
    )


@pytest.mark.parametrize(
    "nothing",
    [
        [1.5, None],
        [1.5, NAN],
        [np.float64(1.5), np.float64(NAN)],
        [1.5, pd.NA],
        pd.Series([1.5, None]),
        pd.Series([1.5, None], dtype="Float64"),
        np.ma.MaskedArray([1.5, 9.0], [False, True]),
        np.array([1.5, None]),
    ],
)
def test_nothing_is_null(nothing: Any) -> None:
    """None, NaN and pandas' and numpy's words for a missing value are null, in CSV empty."""
    assert_written(written(nothing, rows=2), '1.5\n""\n', [1.5, None])


def test_values_keep_their_types() -> None:
    """In a list of several types no number becomes text, no boolean a number."""
    values = ["a", 1, 2.5, True, None, 2**70, -(2**63)]
    in_csv = f'a\n1\n2.5\ntrue\n""\n{2**70}\n{-(2**63)}\n'
    assert_written(written(values, rows=7), in_csv, values)
    assert_written(written([True, 2], rows=2), "true\n2\n", [True, 2])
    assert_written(written([2**70, 1], rows=2), f"{2**70}\n1\n", [2**70, 1])


def test_texts_of_every_kind_are_written() -> None:
    """Quotes, line ends and half a surrogate pair come back from each format, the last as '?'."""
    texts = ["a,b", 'say "x"', "one\ntwo", "one\rtwo", " ž😀 ", "null", "1", "[1]"]
    in_csv, in_json, lines = written(texts)
    assert [row for [row] in csv.reader(StringIO(in_csv, newline=""))] == texts
    assert json.loads(in_json)["predictions"] == texts
    assert [json.loads(line)["prediction"] for line in lines.split("\n")[:-1]] == texts
    half = written(["\ud800", "b"])
    assert half[0] == "?\nb\n"
    assert json.loads(half[1])["predictions"] == ["\ud800", "b"]


def test_pandas_reads_as_many_rows_as_there_are() -> None:
    """A row without a value is not a blank line, which readers pass over."""
    for prediction in ([NAN, NAN, 1.0], ["", None, "x"], [[NAN], [NAN], [1.0]]):
        for given in (prediction, np.array(prediction)):
            in_csv = Rows().write([(given, 3)], CSV)
            assert len(pd.read_csv(BytesIO(in_csv), header=None)) == 3


@pytest.mark.parametrize("media_type", [CSV, JSON, JSON_LINES])
@pytest.mark.parametrize("names", [(), ("a",)])
def test_pieces_are_put_together(media_type: str, names: tuple[str, ...]) -> None:
    """The answer is the same in however many pieces the body was read."""
    values = np.arange(7.0)
    whole = Rows(*names).write([(values, 7)], media_type)
    pieces = [(values[:3], 3), (list(values[3:6]), 3), (values[6:], 1)]
    assert Rows(*names).write(pieces, media_type) == whole
    assert Rows(*names).write([], media_type) in (b"", b'{"predictions": []}')


ALLOWED = r"; expected one prediction( named .*)? per row, in order: an array of shape \(n,\) or"


@pytest.mark.parametrize(
    ("prediction", "names", "message"),
    [
        (np.ones(3), (), r"an array of shape \(3,\) for 2 rows"),
        (np.float64(1), (), "a value of type float64 for 2 rows|an array of shape"),
        (1.5, (), "a value of type float for 2 rows"),
        ("ab", (), "a value of type str"),
        (None, (), "a value of type NoneType"),
        (iter([1, 2]), (), "a value of type list_iterator"),
        (np.ones((2, 2, 2)), (), r"an array of shape \(2, 2, 2\)"),
        ([1.0], (), "a list of 1 for 2 rows"),
        (np.array([1.0, INF]), (), "infinity for 2 rows"),
        ([1.0, -INF], (), "infinity"),
        ([None, INF], (), "infinity"),
        ([["a", INF], ["b", 1]], (), "infinity"),
        ([[1.0, INF], [2.0]], (), "infinity"),
        ({"a": [1.0, INF]}, (), "infinity"),
        ([np.float32(INF), "a"], (), "infinity"),
        (np.array([1, 2j]), (), "values of numpy's type complex128"),
        (np.array(["2020-01-01", "2020"], "datetime64[D]"), (), "a value of type date|datetime64"),
        ([b"a", b"b"], (), "a value of type bytes"),
        ([{1, 2}, {3}], (), "a value of type set"),
        ([{"a": 1}, 2], (), "a dict of 1"),
        ([{"a": 1}, {"b": 2}], (), r"dicts of different names \(a; b\)"),
        ({}, (), "no columns"),
        ({"a": [1, 2], "b": [1]}, (), r"columns of different lengths \(a: 2, b: 1\)"),
        ({"a": "xy"}, (), "a value of type str"),
        ({1: [1, 2], "1": [3, 4]}, (), r"names that are the same as texts \(1, 1\)"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=[1, "1"]), (), "names that are the same as texts"),
        ({"a": 1}, (), "a value of type int"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), (), "two columns of one name"),
        ({"a": [1, 2], "c": [1, 2]}, ("a", "b"), "the names a, c"),
        ([{"a": 1}, {"a": 2}], ("a", "b"), "the names a"),
        (np.ones((2, 3)), ("a", "b"), r"an array of shape \(2, 3\)"),
        (np.ones(2), ("a", "b"), r"an array of shape \(2,\)"),
        ([["x", 1], ["y"]], ("a", "b"), "a row of 1 values"),
        ((["x", "y", "z"], [0.1, 0.2, 0.3]), ("a", "b"), "a row of 3 values"),
    ],
)  # fmt: skip
def test_what_is_not_a_prediction_per_row_is_refused(
    prediction: Any, names: tuple[str, ...], message: str
) -> None:
    """The message says what came, for how many rows, and what is allowed, in few words."""
    with pytest.raises(
        AlgorithmError, match=rf"^predict returned .*({message}).*{ALLOWED}"
    ) as info:
        Rows(*names).write([(prediction, 2)], CSV)
    assert len(str(info.value)) < 400
    if names:
        assert f"named {', '.join(names)} per row" in str(info.value)


@pytest.mark.parametrize("rare", [2**70, "\ud800"])
def test_nothing_is_null_beside_rare_values(rare: Any) -> None:
    """Values that another writer has to write change nothing in the rest of their row."""
    rows = [{"a": rare, "b": None}, {"a": rare, "b": 1.0}]
    for nothing in (np.array([NAN, 1.0]), [NAN, 1.0], [None, 1.0]):
        _, whole, lines = written({"a": [rare] * 2, "b": nothing})
        assert json.loads(whole, parse_constant=pytest.fail) == {"predictions": rows}
        assert [json.loads(x, parse_constant=pytest.fail) for x in lines.splitlines()] == rows


def test_rows_have_as_many_values_throughout() -> None:
    """Arrays of different widths for two parts of a body make no table."""
    with pytest.raises(
        AlgorithmError, match=r"another number of values .*\(2,\), \(3,\)\); expected"
    ):
        Rows().write([(np.ones((2, 3)), 2), (np.ones((1, 2)), 1)], CSV)
    assert Rows().write([(np.ones((1, 2)), 1), ([[3]], 1)], CSV) == b"1.0,1.0\n3\n"


def test_names_must_be_the_same_throughout() -> None:
    """Names given for one part of a body only, or twice, are refused."""
    with pytest.raises(AlgorithmError, match=r"other names for one part .*Rows\("):
        Rows().write([([{"a": 1}], 1), ([1], 1)], CSV)
    with pytest.raises(AlgorithmError, match="Rows names a, a; expected each name once"):
        Rows("a", "a")
