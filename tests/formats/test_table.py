import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from rides import FARE, KEY, NAMES, read
from sagemaker_runtime.algorithm import Column, Columns, Table
from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats import csv as csv_rows
from sagemaker_runtime.formats import json as json_rows
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES, MEDIA_TYPES

ROW = ["2014-02-25 12:17:00 UTC", "-74.014833", "40.715937", "-74.00392", "40.725517", "1"]
LINE = ",".join(ROW)
HEADER = ",".join(NAMES)
RECORD = dict(zip(NAMES, [ROW[0], *map(float, ROW[1:])], strict=True))
EXPECTED = [np.datetime64("2014-02-25T12:17:00"), -74.014833, 40.715937, -74.00392, 40.725517, 1.0]

# One number, one optional text, one ignored label: what the taxi schema has not.
PETS = Table(
    Column("weight", "number", "3.5"),
    Column("name", "text", "Tom", optional=True),
    ignored=(Column("species", "text", "cat"),),
)


def first_row(columns: Columns) -> list[object]:
    return [columns[name][0] for name in NAMES]


def without(record: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        pytest.param(CSV, LINE, id="no line end"),
        pytest.param(CSV, f"{LINE}\n", id="line"),
        pytest.param(CSV, f"{LINE}\r\n\r\n", id="CRLF and blank line at the end"),
        pytest.param(CSV, f"{HEADER}\n{LINE}\n", id="header"),
        pytest.param(CSV, f"\ufeff{HEADER}\r\n{LINE}\r\n", id="BOM"),
        pytest.param(CSV, f"\ufeff{LINE}\r\n", id="BOM without header"),
        pytest.param(CSV, ",".join(f'"{value}"' for value in ROW), id="quoted"),
        pytest.param(CSV, ", ".join(ROW), id="spaces after commas"),
        pytest.param(CSV, f"{KEY},{LINE}", id="key"),
        pytest.param(CSV, f"{FARE},{LINE}", id="fare"),
        pytest.param(CSV, f",{LINE}", id="empty fare"),
        pytest.param(CSV, f"{KEY},{FARE},{LINE}", id="key and fare"),
        pytest.param(CSV, f"key,fare_amount,{HEADER}\n{KEY},{FARE},{LINE}", id="header with both"),
        pytest.param(
            CSV, ",".join(NAMES[::-1]) + "\n" + ",".join(ROW[::-1]), id="header in another order"
        ),
        pytest.param(CSV, f"id,{HEADER}\n7,{LINE}", id="header with an unknown column"),
        pytest.param(CSV, f"{', '.join(['id', *NAMES])}\n7,{LINE}", id="header with spaces"),
        pytest.param(JSON, json.dumps(RECORD), id="record"),
        pytest.param(JSON, "\ufeff" + json.dumps(RECORD), id="record after BOM"),
        pytest.param(JSON, json.dumps(dict(zip(NAMES, ROW, strict=True))), id="numeric strings"),
        pytest.param(JSON, json.dumps({**RECORD, "key": None, "id": [7]}), id="more columns"),
        pytest.param(JSON, json.dumps([RECORD]), id="list of records"),
        pytest.param(JSON, json.dumps({"instances": [RECORD]}), id="instances"),
        pytest.param(JSON, json.dumps([ROW]), id="list of lists"),
        pytest.param(JSON, json.dumps({"instances": [[KEY, 8.5, *ROW]]}), id="instance lists"),
        pytest.param(JSON, json.dumps({n: [v] for n, v in RECORD.items()}), id="column form"),
        pytest.param(JSON_LINES, json.dumps(RECORD), id="JSON line"),
        pytest.param(JSON_LINES, json.dumps(RECORD) + "\r\n \n\n", id="JSON line, blank end"),
        pytest.param(JSON_LINES, json.dumps(ROW), id="JSON line of a list"),
    ],
)
def test_every_form_of_a_row_is_read(media_type: str, body: str) -> None:
    """One taxi row gives the same columns in whatever form it is sent."""
    columns = read(body, media_type)
    assert list(columns) == NAMES
    assert {len(values) for values in columns.values()} == {1}
    assert first_row(columns) == EXPECTED
    assert [columns[name].dtype.str for name in NAMES] == ["<M8[s]"] + ["<f8"] * 5


def test_the_example_has_rows_with_gaps() -> None:
    """The first row is whole; in those behind it, what may be missing is."""
    media_type, body = PETS.example(3)
    columns = read(body, media_type, PETS)
    assert columns["weight"].tolist() == [3.5] * 3
    assert columns["name"].tolist() == ["Tom", "", ""]
    assert len(read(PETS.example(0)[1], CSV, PETS)["weight"]) == 0


@pytest.mark.parametrize("media_type", sorted(MEDIA_TYPES))
def test_every_media_type_is_read(media_type: str) -> None:
    """Each name in the table stands for a format that is read."""
    bodies = {CSV: f"{LINE}\n{LINE}\n", JSON: json.dumps([RECORD, RECORD])}
    columns = read(bodies.get(media_type, f"{json.dumps(RECORD)}\n" * 2), media_type)
    assert (first_row(columns), len(columns[NAMES[0]])) == (EXPECTED, 2)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2014-02-25 12:17:00 UTC", "2014-02-25T12:17:00"),
        ("2014-02-25 12:17:00", "2014-02-25T12:17:00"),
        ("2014-02-25 12:17:00.0000001 UTC", "2014-02-25T12:17:00"),
        ("2014-02-25T12:17:00", "2014-02-25T12:17:00"),
        ("2014-02-25T12:17:00Z", "2014-02-25T12:17:00"),
        ("2014-02-25T12:17:00.999Z", "2014-02-25T12:17:00"),
        ("2014-02-25T12:17:59-05:00", "2014-02-25T12:17:59"),
        ("2014-02-25 12:17:59 +0530", "2014-02-25T12:17:59"),
        ("2014-02-25T12:17", "2014-02-25T12:17:00"),
        ("2014-02-25", "2014-02-25T00:00:00"),
        ("2012-02-29 23:59:59", "2012-02-29T23:59:59"),
        (" 2014-02-25 12:17:00 UTC ", "2014-02-25T12:17:00"),
    ],
)
def test_timestamps_are_wall_clock_times(text: str, moment: str) -> None:
    """The clock's reading counts; fractions and zones are read and dropped."""
    assert read(json.dumps({**RECORD, NAMES[0]: text}), JSON)[NAMES[0]][0] == np.datetime64(moment)


@pytest.mark.parametrize(
    "text",
    ["2014-02-25Z", "2014-02-30 12:00:00", "2014-02-25 24:00:00", "2014-02-25 12:17:61", "now",
     "25.02.2014 12:17", "2014-02-25 12:17:00 EST", "1393330620", "2014-02-25_12:17:00", "NaT"],
)  # fmt: skip
def test_other_timestamps_are_refused(text: str) -> None:
    """A time that has to be guessed is refused with the form to use."""
    with pytest.raises(InvalidValue, match="expected a timestamp such as 2014-02-25 12:17:00 UTC"):
        read(",".join([text, *ROW[1:]]))


@pytest.mark.parametrize("sent", ["", "nan", "NaN", "null", None, float("nan"), " "])
@pytest.mark.parametrize("media_type", [CSV, JSON, JSON_LINES])
def test_missing_values_pass_in_optional_columns(media_type: str, sent: object) -> None:
    """Empty, null and NaN are one thing: NaN where the column is optional, refused elsewhere."""
    for name, optional in (("pickup_latitude", True), ("pickup_datetime", False)):
        record = {**RECORD, name: sent}
        body = json.dumps(record)
        if media_type == CSV:
            body = ",".join("" if v is None else str(v) for v in record.values())
        if optional:
            assert np.isnan(read(body, media_type)[name][0])
        else:
            with pytest.raises(InvalidValue, match=f"{name} is missing in row 1") as caught:
                read(body, media_type)
            assert (caught.value.row, caught.value.column) == (1, name)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (CSV, "pickup_datetime\n2014-02-25 12:17:00\n"),
        (JSON, '{"pickup_datetime": "2014-02-25 12:17:00"}'),
        (JSON, '{"pickup_datetime": ["2014-02-25 12:17:00"]}'),
        (JSON_LINES, '{"pickup_datetime": "2014-02-25 12:17:00"}'),
    ],
)
def test_optional_columns_may_be_absent(media_type: str, body: str) -> None:
    """A column that is not there at all is missing in every row."""
    columns = read(body, media_type)
    assert all(np.isnan(columns[name]).tolist() == [True] for name in NAMES[1:])


def test_text_columns_keep_their_text() -> None:
    """Quoted commas, quotes, line breaks, spaces and other alphabets arrive as they were sent."""
    names = ["a, b", 'say "no"', "two\nlines", " x ", "žluťoučký", "\u2028", "nan"]
    lines = "".join('3,"' + name.replace('"', '""') + '"\r\n' for name in names)
    assert read(lines, CSV, PETS)["name"].tolist() == names
    records = [{"weight": 3, "name": name} for name in names]
    assert read(json.dumps(records), JSON, PETS)["name"].tolist() == names
    jsonl = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    assert read(jsonl, JSON_LINES, PETS)["name"].tolist() == names
    assert read("3,\n", CSV, PETS)["name"].tolist() == [""]


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-8", "utf-8"), ("iso-8859-1", "latin-1"), ("utf-16", "utf-16"), ("utf-16le", "utf-16le")],
)
def test_the_charset_is_honoured(charset: str, encoding: str) -> None:
    """The same text arrives from every charset, in every format."""
    for media_type, text in (
        (CSV, "weight,name\n3,Zoë\n"),
        (JSON, '{"weight": 3, "name": "Zoë"}'),
        (JSON_LINES, '{"weight": 3, "name": "Zoë"}\n'),
    ):
        columns = read(text.encode(encoding), media_type, PETS, charset)
        assert columns["name"].tolist() == ["Zoë"]


@pytest.mark.parametrize("media_type", [CSV, JSON, JSON_LINES])
def test_utf_16_needs_a_byte_order_mark(media_type: str) -> None:
    """Without a mark nobody knows the order of UTF-16's bytes, and the caller hears so."""
    with pytest.raises(Malformed, match="does not begin with a byte order mark"):
        read(b"3,Tom\n4,Zo", media_type, PETS, "utf-16")


def bad(column: str, value: object) -> str:
    return json.dumps({**RECORD, column: value})


@pytest.mark.parametrize(
    ("media_type", "body", "message", "row", "column"),
    [
        (CSV, f"{LINE}\n{LINE}\n{LINE.replace('40.715937', 'abc')}",
         "pickup_latitude is 'abc' in row 3; expected a number such as 40.715937",
         3, "pickup_latitude"),
        (CSV, f"{HEADER}\n{LINE.replace('40.715937', 'abc')}", "row 1", 1, "pickup_latitude"),
        (CSV, LINE.replace("40.715937", "1_000"), "'1_000'", 1, "pickup_latitude"),
        (CSV, LINE.replace("40.715937", "inf"), "'inf'", 1, "pickup_latitude"),
        (CSV, LINE.replace("40.715937", "1e999"), "'1e999'", 1, "pickup_latitude"),
        (CSV, LINE.replace("40.715937", "x" * 5000), "x" * 40 + "'...", 1, "pickup_latitude"),
        (CSV, LINE.replace("40.715937", "\u202e\x00"), r"'\u202e\x00'", 1, "pickup_latitude"),
        (CSV, f"{LINE}\n\n{LINE}\n", "row 2 is blank", 2, None),
        (CSV, f"\n{LINE}\n", "row 1 is blank", 1, None),
        (CSV, f"{LINE}\n{LINE},1\n", "row 2 has 7 fields; expected 6", 2, None),
        (CSV, f"{HEADER}\n1,2\n", "row 1 has 2 fields; expected 6", 1, None),
        (CSV, f"1,2,3,{LINE}\n", "row 1 has 9 fields; expected 6 to 8: pickup_datetime, ", 1, None),
        (CSV, "1\n", "row 1 has 1 field; expected 6 to 8", 1, None),
        (CSV, "key,pickup_latitude\n1,2\n",
         "the header has no pickup_datetime; it has key, pickup_latitude. Add pickup_datetime",
         None, "pickup_datetime"),
        (CSV, f"{HEADER},pickup_latitude\n{LINE},1\n", "2 times in the header",
         None, "pickup_latitude"),
        (CSV, HEADER.replace("pickup_latitude", "pickup_latitud") + "\n" + LINE,
         "no pickup_latitude but 'pickup_latitud'; rename it", None, "pickup_latitude"),
        (JSON, bad("pickup_latitude", True), "pickup_latitude is true", 1, "pickup_latitude"),
        (JSON, bad("pickup_latitude", {"a": 1}), "is an object", 1, "pickup_latitude"),
        (JSON, bad("pickup_latitude", float("inf")), "is inf", 1, "pickup_latitude"),
        (JSON, bad("pickup_latitude", 10**400), "is an integer", 1, "pickup_latitude"),
        (JSON, bad("pickup_datetime", 1393330620), "is 1393330620", 1, "pickup_datetime"),
        (JSON, json.dumps([RECORD, without(RECORD, "pickup_datetime")]),
         "row 2 has no pickup_datetime; it has pickup_longitude, ", 2, "pickup_datetime"),
        (JSON, "{}", "row 1 has no pickup_datetime; it has nothing", 1, "pickup_datetime"),
        (JSON, json.dumps({"instances": [RECORD, {**without(RECORD, NAMES[2]), "latitud": 1,
                                                  "pickup_latitud": 1}]}),
         "row 2 has no pickup_latitude but 'pickup_latitud'", 2, "pickup_latitude"),
        (JSON, json.dumps([RECORD, ROW]), "row 2 is a list; expected every row to be a record",
         2, None),
        (JSON, json.dumps([ROW, RECORD]), "row 2 is an object; expected every row to be a list",
         2, None),
        (JSON, json.dumps([ROW, ROW[1:]]), "row 2 has 5 fields; expected 6", 2, None),
        (JSON, "[1, 2]", "row 1 is 1; expected every row to be a record such as", 1, None),
        (JSON, "null", "the body is null; expected a record such as", None, None),
        (JSON, "9" * 5000, "the body is an integer of more than 40 digits", None, None),
        (CSV, f"{LINE}\n{LINE[:19]}{'0' * 140_000}{LINE[19:]}", "pickup_datetime is '2014-02-25 12",
         2, "pickup_datetime"),
        (JSON, '{"instances": 3}', "instances is 3; expected a list", None, None),
        (JSON, '{"pickup_datetime": ["a"], "pickup_latitude": [1, 2]}',
         "pickup_latitude has 2 values; expected a list of 1", None, "pickup_latitude"),
        (JSON, '{"pickup_datetime": ["a"], "pickup_latitude": 1}',
         "pickup_latitude is 1; expected a list of 1", None, "pickup_latitude"),
        (JSON, '{"pickup_latitude": [1]}', "the body has no pickup_datetime",
         None, "pickup_datetime"),
        (JSON_LINES, f"{json.dumps(RECORD)}\n\n{json.dumps(RECORD)}", "row 2 is blank", 2, None),
        (JSON_LINES, f"{json.dumps(RECORD)}\n7\n", "row 2 is 7; expected every row", 2, None),
    ],
)  # fmt: skip
def test_bad_values_are_named(
    media_type: str, body: str, message: str, row: int | None, column: str | None
) -> None:
    """The message states value, place, rule and example."""
    with pytest.raises(InvalidValue) as caught:
        read(body, media_type)
    assert message in str(caught.value)
    assert (caught.value.row, caught.value.column) == (row, column)


@pytest.mark.parametrize(
    ("media_type", "body", "message"),
    [
        (CSV, "", "the body is empty; send one line per row, such as 2014-02-25 12:17:00 UTC,-74"),
        (CSV, "\r\n\n", "the body is empty"),
        (CSV, f'{LINE}\n"2014', "line 2 is not CSV"),
        (CSV, b"\xff\xfe", "the body is not utf-8: invalid start byte (byte 0xff)"),
        (JSON, " \n", 'the body is empty; send a record such as {"pickup_datetime": "2014'),
        (JSON, '[{"a": 1},\n {"a" 1}]', "not JSON at line 2, column 7: Expecting ':' delimiter"),
        (JSON, b'{"a": "\xff"}', "the body is not utf-8"),
        (JSON, "[" * 200_000, "nested too deep"),
        (JSON, "[" * (json_rows.WHOLE + 1), "nested too deep"),
        (JSON_LINES, "\n", "the body is empty; send one record per line"),
        (JSON_LINES, json.dumps(RECORD) + '\n{"a": }', "not JSON at line 2, column 7"),
        (JSON_LINES, "[" * 200_000, "nested too deep"),
    ],
)
def test_malformed_bodies_are_refused(media_type: str, body: str | bytes, message: str) -> None:
    """A body that is not what its media type says is refused with the place."""
    with pytest.raises(Malformed) as caught:
        read(body, media_type)
    assert message in str(caught.value)


def test_a_place_counts_from_the_beginning_of_a_long_body() -> None:
    """Bodies are read in pieces, yet order, number and places of rows are those of the whole."""
    count = csv_rows.ROWS_AT_ONCE * 2 + 5
    lines = [LINE.replace("40.715937", str(i / 1000)) for i in range(count)]
    columns = read("\n".join(lines) + "\n\n")
    assert columns["pickup_latitude"].tolist() == [i / 1000 for i in range(count)]

    lines[-1] = LINE.replace("40.715937", "abc")
    for end in ("", "\n"):
        with pytest.raises(InvalidValue, match=f"in row {count};"):
            read("\n".join(lines) + end)
    for row in (
        csv_rows.ROWS_AT_ONCE + 1,
        csv_rows.ROWS_AT_ONCE,
    ):  # within a piece, and at the end of one
        some_blank = [*lines[: row - 1], "", *lines[row:]]
        with pytest.raises(InvalidValue, match=f"row {row} is blank"):
            read("\n".join(some_blank))
    records = [json.dumps(RECORD)] * count
    records[-1] = bad("pickup_latitude", "abc")
    with pytest.raises(InvalidValue, match=f"in row {count};"):
        read("\n".join(records), JSON_LINES)
    for row in (csv_rows.ROWS_AT_ONCE + 1, csv_rows.ROWS_AT_ONCE):
        some_blank = [*records[: row - 1], "", *records[row:]]
        with pytest.raises(InvalidValue, match=f"row {row} is blank"):
            read("\n".join(some_blank), JSON_LINES)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (CSV, HEADER),
        (JSON, "[]"),
        (JSON, '{"instances": []}'),
        (JSON, "[" + " " * json_rows.WHOLE + "]"),
        (JSON, '{"pickup_datetime": []}'),
    ],
)
def test_no_rows_are_no_error(media_type: str, body: str) -> None:
    """A header alone, or an empty list, is a request for zero predictions."""
    assert {len(values) for values in read(body, media_type).values()} == {0}


@pytest.mark.parametrize("form", ["records", "columns", "lines", "csv"])
def test_long_bodies_take_bounded_memory(tmp_path: Path, form: str) -> None:
    """A body of 40 MB is read in pieces: the memory is a few times a piece, not of the body."""
    record, count = json.dumps(RECORD), 200_000
    bodies = {
        "records": (JSON, lambda: "[" + ", ".join([record] * count) + "]"),
        "columns": (JSON, lambda: json.dumps({n: [v] * count for n, v in RECORD.items()})),
        "lines": (JSON_LINES, lambda: f"{record}\n" * count),
        "csv": (CSV, lambda: f"{LINE}\n" * count),
    }
    media_type, write = bodies[form]
    body = tmp_path / "body"
    body.write_text(write())
    code = (
        "import sys, resource; sys.path[:0] = sys.argv[1:3]\n"
        "from rides import INPUT\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before, rows = used(), 0\n"
        "for piece in INPUT.read(open(sys.argv[3], 'rb'), sys.argv[4], 'utf-8'):\n"
        "    rows += INPUT.count(piece)\n"
        "print(rows, used() - before)\n"
    )
    tests = Path(__file__).resolve().parents[1]
    folders = [str(tests.parent / "container"), str(tests / "support")]
    run = [sys.executable, "-c", code, *folders, str(body), media_type]
    rows, megabytes = map(int, subprocess.check_output(run, text=True).split())
    assert rows == count
    assert megabytes < 120


def test_a_frame_has_the_columns_in_order_on_the_same_memory() -> None:
    """Types are those of the schema, a missing text is NaN, numbers are not copied."""
    table = Table(
        Column("x", "number", "1"),
        Column("when", "timestamp", "2020-01-01"),
        Column("name", "text", "a", optional=True),
        label=Column("y", "number", "2"),
    )
    body = b"name,y,when,x\nb,1,2020-01-02,3\n,1,2020-01-03,4\n"
    [columns] = table.read(BytesIO(body), "text/csv", "utf-8")
    frame = table.frame(columns)
    assert list(frame.columns) == ["x", "when", "name"]
    assert frame["x"].tolist() == [3, 4]
    assert frame["name"].isna().tolist() == [False, True]
    assert frame["when"].dtype == "datetime64[s]"
    assert np.shares_memory(frame["x"].to_numpy(), columns["x"])
