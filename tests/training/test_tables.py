"""
Channels and training files: what is read, and what is refused with which words.
"""

import gzip
import re
import tarfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rides import INPUT
from sagemaker_runtime import parallel
from sagemaker_runtime.algorithm import Column, Table, TrainingJob
from sagemaker_runtime.errors import AlgorithmError, DataError
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.training import tables
from sagemaker_runtime.training.channel import Channel
from sagemaker_runtime.training.channels import Channels
from sagemaker_runtime.training.data_files import data_files

NAMES = ("fare_amount", *(column.name for column in INPUT.features))
HEADER = (
    "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,"
    "dropoff_longitude,dropoff_latitude,passenger_count"
)
ROW = "k,8.5,2014-02-25 12:17:09 UTC,-74.014833,40.715937,-74.00392,40.725516999999996,1"
REAL = Path(__file__).resolve().parents[3] / "shared/data/nyc_taxi"


@pytest.fixture
def channel(tmp_path):
    folder = tmp_path / "data" / "training"
    folder.mkdir(parents=True)
    return folder


def put(channel, *lines, name="part.csv", encoding="utf-8"):
    path = channel / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def row_with(**values):
    cells = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | values
    return ",".join(cells.values())


def read(channel):
    return join(list(tables.read(channel, INPUT)))


def refusal(channel):
    with pytest.raises(DataError) as caught:
        read(channel)
    return str(caught.value)


def table(**replaced):
    columns = {
        "fare_amount": [8.5, 57.33],
        "pickup_datetime": ["2014-02-25 12:17:09 UTC", "2013-01-01T00:00:01Z"],
        "pickup_longitude": [-74.0, -73.9],
        "pickup_latitude": [40.7, 40.8],
        "dropoff_longitude": [-73.9, -73.8],
        "dropoff_latitude": [40.7, 40.6],
        "passenger_count": pa.array([1, None], pa.int32()),
    }
    return pa.table(columns | replaced)


def test_files_are_found_below_the_channel_in_order(channel):
    """Files in sub-directories and with upper-case suffixes count, sorted by path."""
    for name in ("b/2.csv", "a.CSV", "b/1.csv.gz"):
        put(channel, HEADER, name=name)
    found = data_files(channel, (".csv", ".csv.gz"))
    assert [str(path.relative_to(channel)) for path in found] == ["a.CSV", "b/1.csv.gz", "b/2.csv"]


def test_markers_and_manifests_are_no_data(channel):
    """Hidden files and folders, manifests and empty markers are passed over."""
    for name in ("_SUCCESS", ".DS_Store", "_temporary/x.csv", "training-manifest", "part.csv"):
        put(channel, ROW, name=name)
    (channel / "folder_$folder$").touch()
    assert data_files(channel, (".csv",)) == [channel / "part.csv"]


def test_another_file_is_refused_by_name(channel):
    """A file that is neither data nor marker is named, with the suffixes that are allowed."""
    put(channel, ROW)
    put(channel, "hello", name="docs/README.txt")
    with pytest.raises(DataError, match=r"docs/README\.txt; expected only .* \.csv, \.parquet"):
        data_files(channel, (".csv", ".parquet"))


def test_a_channel_without_data_says_what_is_there(channel):
    """An empty channel and one with markers only are told apart."""
    with pytest.raises(DataError, match="Channel training holds no file; expected at least one"):
        data_files(channel, (".csv",))
    put(channel, name="_SUCCESS")
    with pytest.raises(DataError, match="holds only _SUCCESS"):
        data_files(channel, (".csv",))


@pytest.mark.parametrize("name", ["part.csv", "part.csv.gz"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize(
    "lines",
    [
        (HEADER, ROW),
        ("", HEADER, ROW, ""),
        (ROW,),
        (ROW.removeprefix("k,"),),
        (HEADER + ",tip", ROW + ",2"),
        (HEADER + "\r", ROW + "\r"),
        (HEADER, ROW.replace("k", '"a ""key"", quoted"').replace("-74.014833", '" -74.014833"')),
    ],
    ids=["header", "blank lines", "none", "no key", "more columns", "crlf", "quoted"],
)
def test_csv_layouts_read_alike(channel, lines, bom, name):
    """Header or none, key or none, blank lines, CRLF, BOM, gzip: the same columns come out."""
    put(channel, *(bom + lines[0], *lines[1:]), name=name)
    columns = read(channel)
    assert tuple(columns) == NAMES
    assert columns["pickup_datetime"].dtype == "datetime64[s]"
    assert columns["pickup_datetime"].tolist() == [np.datetime64("2014-02-25T12:17:09").item()]
    numbers = [columns[name].item() for name in NAMES if name != "pickup_datetime"]
    assert numbers == [8.5, -74.014833, 40.715937, -74.00392, 40.725516999999996, 1.0]


def test_a_header_may_stand_in_any_order(channel):
    """Columns are found by name, wherever they stand."""
    names = HEADER.split(",")[::-1]
    put(channel, ",".join(names), ",".join(ROW.split(",")[::-1]))
    assert read(channel)["dropoff_latitude"].item() == 40.725516999999996


def test_files_are_put_together_in_order(channel):
    """Rows of several files, CSV and Parquet, with header and without, follow one another."""
    put(channel, HEADER, row_with(fare_amount="1"), row_with(fare_amount="2"), name="1.csv")
    put(channel, row_with(fare_amount="3"), name="2/x.csv.gz")
    pq.write_table(table(fare_amount=[4.0, 5.0]), channel / "3.parquet")
    assert read(channel)["fare_amount"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "text",
    ["", " ", "NaN", "nan", "NA", "NULL", "null", "Null", "None", "N/A", "#N/A", "<NA>", " NA "],
)
def test_missing_values_are_nan(channel, text):
    """An empty field, or what other tools write for one, is missing in any column."""
    put(channel, HEADER, ",".join(["k"] + [text] * 7))
    columns = read(channel)
    assert np.isnat(columns.pop("pickup_datetime")).all()
    assert all(np.isnan(values).all() for values in columns.values())


@pytest.mark.parametrize("text", ["8.50", "+8.5", "85e-1", ".85E+1", " 8.5 ", "8.5000000000000001"])
def test_numbers_may_be_written_in_any_usual_way(channel, text):
    """Signs, exponents, spaces and superfluous digits are read."""
    put(channel, row_with(fare_amount=text))
    assert read(channel)["fare_amount"].tolist() == [8.5]


@pytest.mark.parametrize(
    "text",
    [
        "2014-02-25 12:17:09 UTC",
        "2014-02-25 12:17:09",
        "2014-02-25T12:17:09Z",
        "2014-02-25T12:17:09.987654321+05:30",
        "2014-02-25 12:17:09.9 -0500",
    ],
)
@pytest.mark.parametrize("beside", ["2014-02-25 12:17:09 UTC", "2014-02-25 12:17"])
def test_the_wall_clock_counts(channel, text, beside):
    """Fractions and zones are read and ignored, whatever stands in the other rows."""
    put(channel, row_with(pickup_datetime=text), row_with(pickup_datetime=beside))
    first, second = read(channel)["pickup_datetime"]
    assert first == np.datetime64("2014-02-25T12:17:09")
    assert second - np.datetime64("2014-02-25T12:17:00") == int(beside.endswith("UTC")) * 9


@pytest.mark.parametrize(
    ("column", "value", "kind", "example"),
    [
        ("fare_amount", "abc", "a number", "8.5"),
        ("fare_amount", "1_000", "a number", "8.5"),
        ("fare_amount", "$8.5", "a number", "8.5"),
        ("fare_amount", "0x10", "a number", "8.5"),
        ("fare_amount", "inf", "a number", "8.5"),
        ("fare_amount", "\u00a08.5", "a number", "8.5"),
        ("pickup_latitude", "40.7N", "a number", "40.715937"),
        ("passenger_count", "1-2", "a number", "1"),
        ("pickup_datetime", "yesterday", "a timestamp", "2014-02-25 12:17:00 UTC"),
        ("pickup_datetime", "2014-02-25Z", "a timestamp", "2014-02-25 12:17:00 UTC"),
        ("pickup_datetime", "2014-02-30 12:17:00", "a timestamp", "2014-02-25 12:17:00 UTC"),
        ("pickup_datetime", "2014-02-25 12:17:00 EST", "a timestamp", "2014-02-25 12:17:00 UTC"),
        ("pickup_datetime", "2014-02-25 12:17:00\u00e9", "a timestamp", "2014-02-25 12:17:00 UTC"),
        ("pickup_datetime", "25/02/2014 12:17", "a timestamp", "2014-02-25 12:17:00 UTC"),
    ],
)
def test_a_bad_value_is_located(channel, column, value, kind, example):
    """The message names file, column, value, row, what was expected and an example."""
    put(channel, HEADER, ROW, "", ROW, row_with(**{column: value}), ROW, name="sub/a.csv")
    put(channel, HEADER, ROW, name="sub/b.csv")
    assert refusal(channel) == (
        f"training/sub/a.csv: {column} is {value!a} in row 3; expected {kind} such as {example}. "
        "Fix the row or remove it."
    )


def test_a_bad_value_is_located_late_in_a_large_gzipped_file(channel):
    """Rows before the bad one are counted across the blocks that were read without complaint."""
    put(channel, *[ROW] * 150_000, row_with(fare_amount="?"), name="part.csv.gz")
    assert "part.csv.gz: fare_amount is '?' in row 150001" in refusal(channel)


def test_a_short_row_is_located(channel):
    """A row with too few or too many fields is named with both numbers."""
    path = put(channel, HEADER, ROW, ROW.removesuffix(",1"))
    assert "part.csv: row 2 has 7 fields; expected 8" in refusal(channel)
    path.write_text(f"{ROW}\n{ROW},9\n")
    assert "part.csv: row 2 has 9 fields; expected 8" in refusal(channel)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            (HEADER.replace("fare_amount,", ""), "k,1"),
            "the header has no fare_amount; it has key",
        ),
        ((HEADER + ",fare_amount", ROW + ",1"), "fare_amount stands 2 times in the header"),
        (("1,2,3",), "row 1 has 3 fields; expected 7 to 8: fare_amount, .*with any of key before"),
    ],
)
def test_a_wrong_layout_is_named(channel, lines, message):
    """Missing and doubled columns, a wrong number of them, and no rows are told apart."""
    put(channel, *lines)
    assert re.search(rf"^training/part\.csv: {message}", refusal(channel))


def test_a_file_must_be_what_its_name_says(channel):
    """A name and a content that differ are refused, with what to do."""
    path = put(channel, ROW)
    packed = gzip.compress(path.read_bytes())
    for name, content, message in (
        ("a.csv.gz", path.read_bytes(), "is not a gzip file inside; upload it again or correct"),
        ("a.csv", packed, "is a gzip file inside; give it a name that ends in .gz"),
        ("a.parquet", path.read_bytes(), "is not a Parquet file inside"),
        ("a.csv", ROW.encode("utf-16"), "is not UTF-8 text; save it as CSV in UTF-8"),
        ("a.csv.gz", packed[:-20], "cannot be read"),
        ("a.csv.gz", packed[:12] + b"\xff\xff" + packed[14:], "cannot be read"),
        ("a.parquet", b"PAR1 and then nothing", "cannot be read"),
    ):
        path.unlink()
        path = channel / name
        path.write_bytes(content)
        assert f"training/{name}: {message}" in refusal(channel)


def test_a_large_gzip_that_was_cut_short_is_refused(channel):
    """A transfer that broke off after many good rows does not pass for a shorter file."""
    path = put(channel, HEADER, *(f"{n}{ROW}" for n in range(200_000)), name="part.csv.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    assert "part.csv.gz: cannot be read" in refusal(channel)


@pytest.mark.parametrize(
    "times",
    [
        ["2014-02-25 12:17:09 UTC", "2013-01-01T00:00:01Z"],
        pa.array([1393330629999, 1356998401000], pa.timestamp("ms")),
        pa.array([1393330629, 1356998401], pa.timestamp("s", "UTC")),
        pa.array([1393348629, 1357016401], pa.timestamp("s", "America/New_York")),
    ],
    ids=["text", "timestamp", "utc", "new york"],
)
def test_parquet_is_read(channel, times):
    """Texts and timestamps of any unit and zone give wall-clock seconds, integers give floats."""
    pq.write_table(table(pickup_datetime=times), channel / "part.parquet")
    columns = read(channel)
    assert columns["pickup_datetime"].astype(str).tolist() == [
        "2014-02-25T12:17:09",
        "2013-01-01T00:00:01",
    ]
    np.testing.assert_array_equal(columns["passenger_count"], [1.0, np.nan])
    assert {str(values.dtype) for values in columns.values()} == {"float64", "datetime64[s]"}


def test_bad_parquet_is_located(channel):
    """A column of a wrong type, a missing column and a bad time are named."""
    path = channel / "part.parquet"
    pq.write_table(table(fare_amount=["8.5", "9"]), path)
    assert "has the column fare_amount of type string; expected a number" in refusal(channel)
    pq.write_table(table().drop_columns(["passenger_count"]), path)
    assert "the file has no passenger_count" in refusal(channel)
    pq.write_table(table(pickup_datetime=["2014-02-25 12:17:00", "noon"]), path)
    assert "pickup_datetime is 'noon' in row 2; expected a timestamp" in refusal(channel)


@pytest.mark.skipif(not REAL.exists(), reason=f"the real trips are not at {REAL}")
def test_real_trips_are_read(channel):
    """Every value of the real file comes out as numpy reads it."""
    (channel / "train.csv.gz").symlink_to(REAL / "train.csv.gz")
    columns = read(channel)
    with gzip.open(REAL / "train.csv.gz", "rt") as file:
        rows = [line.rstrip().split(",")[1:] for line in file][1:]
    times, fares = [row[1].removesuffix(" UTC") for row in rows], [row[0] for row in rows]
    np.testing.assert_array_equal(columns["pickup_datetime"], np.array(times, "datetime64[s]"))
    np.testing.assert_array_equal(columns["fare_amount"], np.array(fares, float))
    np.testing.assert_array_equal(
        columns["dropoff_latitude"], np.array([r[5] for r in rows], float)
    )


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
@pytest.mark.parametrize("content", [(), (HEADER,)], ids=["no byte", "header alone"])
def test_parts_without_rows_are_passed_over(channel, capsys, name, content):
    """Empty parts, such as Spark writes, get a line in the log; a channel of them is refused."""
    if name.endswith(".parquet") and content:
        pq.write_table(table().slice(0, 0), channel / name)
    else:
        put(channel, *content, name=name)
        if not content:
            (channel / name).write_bytes(b"")
    assert refusal(channel).startswith("Channel training holds no rows in 1 file; expected")
    put(channel, HEADER, ROW, name="z.csv")
    assert len(read(channel)["fare_amount"]) == 1
    assert f"training/{name} holds no rows: passed over" in capsys.readouterr().out


@pytest.mark.parametrize("blocks", [1, 600])
def test_an_unclosed_quote_is_placed_where_it_opens(channel, blocks):
    """A quote that is never closed never swallows rows: its line is named, in files of any size."""
    rows = [f"{n}{ROW}" for n in range(100 * blocks)]
    put(channel, HEADER, *rows[:70], '"' + ROW, *rows[70:])
    assert "training/part.csv: line 72 is not CSV: a quote opens there" in refusal(channel)
    put(channel, HEADER, *rows[:70], '"' + ROW, *rows[70:], '"k",' + ROW.removeprefix("k,"))
    assert "training/part.csv: line 72 is not CSV: a quote opens there" in refusal(channel)


def test_a_field_over_many_lines_gets_a_word(channel, capsys):
    """A quote that another one closes far below is lawful, and said in the log."""
    put(channel, HEADER, ROW, '"' + ROW, *[ROW] * 200, '",' + ROW.removeprefix("k,"))
    assert len(read(channel)["fare_amount"]) == 2
    assert "has a field of 202 lines between rows 1 and 2: is a quote missing?" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("rows", [10, 40_000])
def test_quoted_line_ends_are_read_whatever_the_size(channel, rows):
    """A line end in quotes belongs to its field, in small files and in those of many blocks."""
    put(channel, HEADER, *['"k\n\n",' + ROW.removeprefix("k,")] * rows)
    assert len(read(channel)["fare_amount"]) == rows


def test_parts_without_a_header_take_the_order_that_a_sibling_states(channel):
    """Pick-up and drop-off are not exchanged because a part lacks its header."""
    names = HEADER.split(",")
    order = [names[0], names[1], names[2], names[5], names[6], names[3], names[4], names[7]]
    cells = dict(zip(names, ROW.split(","), strict=True))
    moved = ",".join(cells[name] for name in order)
    put(channel, moved, name="a.csv")
    put(channel, ",".join(order), moved, name="b.csv")
    columns = read(channel)
    assert columns["pickup_longitude"].tolist() == [-74.014833] * 2
    put(channel, moved.removeprefix("k,"), name="c.csv.gz")
    assert refusal(channel) == (
        "training/c.csv.gz: has 7 columns and no header, while training/b.csv states the order "
        f"{', '.join(order)}. Write a header into each file."
    )


def test_a_misleading_first_line_is_called_what_it_is(channel):
    """Another separator and names that are not known are said, with what to do."""
    put(channel, HEADER.replace(",", ";"), ROW.replace(",", ";"))
    assert "the fields of the first line are separated by semicolons" in refusal(channel)
    put(channel, HEADER.upper(), ROW)
    message = refusal(channel)
    assert "none of its names is known: KEY, FARE_AMOUNT" in message
    assert "remove" not in message


def test_a_tar_archive_is_called_that(channel):
    """An archive of files under a name for one is refused in words."""
    path = channel / "part.csv.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "trips.csv")
    assert "part.csv.gz: is a tar archive inside; unpack it" in refusal(channel)


def test_parquet_of_other_types_with_the_same_meaning_is_read(channel):
    """Dictionaries, dates, decimals and large texts are only stored otherwise."""
    times = pa.array(["2014-02-25 12:17:09 UTC", "2013-01-01"])
    for stored in (times.dictionary_encode(), times.cast(pa.large_string()),
                   times.cast(pa.string_view())):  # fmt: skip
        pq.write_table(table(pickup_datetime=stored), channel / "part.parquet")
        assert read(channel)["pickup_datetime"].astype(str).tolist() == [
            "2014-02-25T12:17:09", "2013-01-01T00:00:00"]  # fmt: skip
    dates = pa.array([16126, 15706], pa.int32()).cast(pa.date32())
    fares = pa.array([Decimal("8.50"), Decimal("57.33")])
    pq.write_table(table(pickup_datetime=dates, fare_amount=fares), channel / "part.parquet")
    columns = read(channel)
    assert columns["pickup_datetime"].astype(str)[0] == "2014-02-25T00:00:00"
    assert columns["fare_amount"].tolist() == [8.5, 57.33]
    pq.write_table(table(fare_amount=[8.5, float("inf")]), channel / "part.parquet")
    assert "fare_amount is inf in row 2; expected a number such as 8.5" in refusal(channel)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_kind_is_read(channel, suffix):
    """Booleans, texts and lists of numbers come out of CSV and Parquet alike."""
    things = Table(
        Column("open", "boolean", "true"),
        Column("name", "text", "Tom"),
        Column("vector", "numbers", "[1, 2]", optional=True),
        label=Column("sold", "boolean", "true", optional=True),
    )
    if suffix == "csv":
        lines = ["open,name,vector,sold", *['true,NA,"[1, null]",0', "False,01067,,"] * 5_000]
        put(channel, *lines)
    else:
        data = {
            "open": pa.array([True, False] * 5_000),
            "name": pa.array(["NA", "01067"] * 5_000),
            "vector": pa.array([[1, None], None] * 5_000),
            "sold": pa.array([False, None] * 5_000),
        }
        pq.write_table(pa.table(data), channel / "a.parquet")
    columns = join(list(tables.read(channel, things)))
    assert columns["open"].tolist() == [True, False] * 5_000
    assert columns["name"].tolist() == ["NA", "01067"] * 5_000
    np.testing.assert_array_equal(columns["sold"], [0.0, np.nan] * 5_000)
    np.testing.assert_array_equal(columns["vector"][0], [1.0, np.nan])
    assert len(columns["vector"][1]) == 0


def test_a_job_reads_the_rows_of_its_table(channel, tmp_path):
    """job.rows reads a channel by INPUT, and says so when INPUT is not a table."""
    put(channel, HEADER, ROW)
    channels = Channels({"training": Channel(channel)})
    job = TrainingJob({}, channels, tmp_path, tmp_path, print, bool, input=INPUT)
    assert next(job.rows("training"))["fare_amount"].tolist() == [8.5]
    with pytest.raises(DataError, match="no channel 'validation'"):
        job.rows("validation")
    with pytest.raises(AlgorithmError, match=r"INPUT is str; read job\.channels"):
        replace(job, input="text").rows("training")


def test_a_small_file_is_read_without_threads(channel, monkeypatch):
    """Of many small files each is read at once: a pool of threads would take longer than it."""

    def refused(threads):
        raise AssertionError("a pool of threads was made")

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", refused)
    put(channel, HEADER, ROW, name="a.csv")
    put(channel, HEADER, ROW, name="b.csv.gz")
    assert len(read(channel)["fare_amount"]) == 2


def test_a_parquet_file_without_rows_may_have_any_columns(channel, capsys):
    """pandas writes an empty frame without columns, or with those of type null."""
    put(channel, HEADER, ROW, name="a.csv")
    pq.write_table(pa.table({}), channel / "b.parquet")
    pq.write_table(table().slice(0, 0).select([0]), channel / "c.parquet")
    assert len(read(channel)["fare_amount"]) == 1
    assert "training/b.parquet holds no rows: passed over" in capsys.readouterr().out
