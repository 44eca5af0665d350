"""
CSV in blocks: quotes, headers, separators, and what is said of them.
"""

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rides import INPUT
from sagemaker_runtime.algorithm import Column, Columns, Table
from sagemaker_runtime.errors import Malformed, RequestError
from sagemaker_runtime.formats import csv as csv_rows
from sagemaker_runtime.formats import csv_blocks
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.formats.media_types import CSV

CONTAINER = Path(__file__).resolve().parents[2] / "container"
NAMES = [column.name for column in INPUT.features]
HEADER = ",".join(NAMES)
LINE = "2015-03-17 08:35:12 UTC,-73.986214,40.756131,-74.008973,40.711642,1"
STRICT = Table(
    *INPUT.features[:1],
    *(Column(c.name, "number", c.example, optional=True) for c in INPUT.features[1:5]),
    INPUT.features[5],
)
PETS = Table(
    Column("weight", "number", "3.5", optional=True), Column("name", "text", "Tom", optional=True)
)


def read(body: str | bytes, table: Table = INPUT) -> Columns:
    file = BytesIO(body.encode() if isinstance(body, str) else body)
    return join(list(table.read(file, CSV, "utf-8")))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(HEADER + LINE + LINE, "--data-binary", id="newlines lost"),
        pytest.param(LINE + LINE, "--data-binary", id="newlines lost without header"),
        pytest.param(
            HEADER.replace("longitude", "lon").replace("passenger_count", "riders") + "\n" + LINE,
            "it has unknown pickup_lon, dropoff_lon, riders",
            id="short names",
        ),
        pytest.param(
            "pickup_datetime,PULocationID,DOLocationID,passenger_count\n2015-03-17 08:35:12,43,1,1",
            "no pickup_longitude, pickup_latitude, dropoff_longitude, dropoff_latitude; it has "
            "unknown PULocationID, DOLocationID",
            id="zones",
        ),
        pytest.param(
            "pickup_datetime,PickupLongitude,PickupLatitude\n2015-03-17 08:35:12,1,2",
            "unknown PickupLongitude, PickupLatitude",
            id="Pascal case",
        ),
        pytest.param(
            HEADER.replace(",", ";") + "\n" + LINE.replace(",", ";"), "semicolons", id="semicolons"
        ),
        pytest.param(
            HEADER.replace(",", ";") + "\n" + LINE.replace(",", ";").replace(".", ","),
            "semicolons",
            id="semicolons and decimal commas",
        ),
        pytest.param(
            LINE.replace(",", ";").replace(".", ","), "semicolons", id="decimal commas alone"
        ),
        pytest.param(LINE.replace(",", "\t"), "separated by tabs", id="tabs"),
        pytest.param(
            HEADER.upper() + "\n" + LINE, "none of its names is known: PICKUP_DATE", id="upper case"
        ),
        pytest.param("a,b,c,d,e,f\n" + LINE, "none of its names is known: a, b", id="letters"),
        pytest.param("x" * 2_000_000, "row 1 has 1 field; expected 6", id="one long line"),
        pytest.param("," * 2_000_000, "more than 100000 commas", id="a line of commas"),
    ],
)
def test_a_first_line_that_misleads_is_called_what_it_is(body: str, message: str) -> None:
    """Lost line ends, other names, other separators and unknown headers are told apart."""
    with pytest.raises(RequestError) as caught:
        read(body, STRICT)
    assert message in str(caught.value)


def test_an_index_column_is_not_an_unknown_name() -> None:
    """The unnamed column that pandas and R write does not forbid leaving out what may be absent."""
    assert read('"",pickup_datetime\n"1",2015-03-17 08:35:12\n')["passenger_count"].size == 1


@pytest.mark.parametrize("size", [300, 10**7])
def test_an_unclosed_quote_is_placed_where_it_opens(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A quote that is never closed is an error that names its line, in bodies of any size."""
    monkeypatch.setattr(csv_blocks, "BLOCK", size)
    lines = ["weight,name", *[f'{n},"a ""b"",\nc"' for n in range(500)]]
    assert read("\n".join(lines), PETS)["name"].tolist() == ['a "b",\nc'] * 500
    for wrong in ('1,"Tom', '1,"Tom"x', '1,"Tom""'):
        body = "\n".join([*lines[:100], wrong, *lines[100:]])
        with pytest.raises(Malformed, match="line 200 is not CSV: a quote opens there"):
            read(body, PETS)


@settings(max_examples=200, deadline=None)
@given(
    names=some.lists(some.text(alphabet='ab",\n\r ', max_size=6), min_size=1, max_size=20),
    end=some.sampled_from(["\n", "\r\n", "\r"]),
    size=some.integers(1, 40),
)
def test_every_border_keeps_the_rows(names: list[str], end: str, size: int) -> None:
    """Wherever a block ends, quoted line ends, commas and quotes stay in their fields."""
    body = end.join(f'{n},"{name.replace(chr(34), chr(34) * 2)}"' for n, name in enumerate(names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "BLOCK", size)
        patch.setattr(csv_rows, "SMALL", 0)
        columns = read(body, PETS)
    assert columns["name"].tolist() == names
    assert columns["weight"].tolist() == list(range(len(names)))


def test_quotes_within_fields_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote that does not begin a field is a character like others, across blocks too."""
    monkeypatch.setattr(csv_blocks, "BLOCK", 10)
    names = ['5" disk', 'a"b', "plain", 'x"']
    body = "".join(f"1,{name}\n" for name in names) + '2,"c\nd"\n'
    assert read(body, PETS)["name"].tolist() == [*names, "c\nd"]
    monkeypatch.undo()
    body = "".join(f"1,{name}\r\n" for name in names * 9_000)
    assert read(body, PETS)["name"].tolist() == names * 9_000


def test_long_fields_are_read() -> None:
    """A field may have more than the 131,072 characters at which Python's csv stops by default."""
    assert read(f"1,{'x' * 200_000}\n", PETS)["name"].tolist() == ["x" * 200_000]
    assert read(f'1,"{"x" * 2_000_000}"\n', PETS)["name"].tolist() == ["x" * 2_000_000]
    with pytest.raises(Malformed, match="line 2 is not a row: it is longer than 16 MB"):
        read(f"1,a\n1,{'x' * (20 << 20)}\n", PETS)


def test_blank_lines_at_the_end_are_not_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are, and wherever a block ends; before a row one is refused."""
    monkeypatch.setattr(csv_blocks, "BLOCK", 7)
    assert read("1,a\n2,b" + "\r\n" * 50, PETS)["weight"].tolist() == [1, 2]
    with pytest.raises(RequestError, match="row 3 is blank"):
        read("1,a\n2,b" + "\n" * 50 + "3,c\n", PETS)


def test_blank_lines_of_any_kind_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many line ends a body consists of, one block of them is looked at at a time."""
    seen = []
    cut = csv_blocks._cut

    def recorded(text: bytes, *others: Any) -> Any:
        seen.append(len(text))
        return cut(text, *others)

    monkeypatch.setattr(csv_blocks, "BLOCK", 100)
    monkeypatch.setattr(csv_blocks, "_cut", recorded)
    for ends in ("\r", "\n", "\r\n"):
        with pytest.raises(Malformed, match="the body is empty"):
            read(ends * 1000, PETS)
    assert max(seen) < 110


def test_quotes_alone_take_little_memory() -> None:
    """A row of nothing but quotes is refused with a small multiple of its bytes in memory."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from io import BytesIO\n"
        "from resource import RUSAGE_SELF, getrusage\n"
        "from sagemaker_runtime.formats.csv_blocks import blocks\n"
        "body, before = BytesIO(b'\"' * (20 << 20)), getrusage(RUSAGE_SELF).ru_maxrss\n"
        "try: list(blocks(body))\n"
        "except Exception as error: assert 'longer than 16 MB' in str(error), error\n"
        "print(getrusage(RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(CONTAINER)]
    taken = int(subprocess.check_output(command))  # KiB
    assert taken < 400 << 10


@pytest.mark.parametrize("text", ["0x10", "0001393330620000", "+5", "1e3"])
@pytest.mark.parametrize("rows", [1, 9_000])
def test_milliseconds_are_few_decimal_digits(text: str, rows: int) -> None:
    """What else Arrow takes for an integer is refused in bodies of any size."""
    table = Table(Column("sent", "timestamp", "2014-02-25", unit="ms"))
    assert read("sent\n" + "-1\n" * rows, table)["sent"][0].item().year == 1969
    with pytest.raises(RequestError, match=f"sent is '{re.escape(text)}' in row 1"):
        read("sent\n" + f"{text}\n" * rows, table)


def test_small_bodies_do_without_pyarrow() -> None:
    """Serving imports pyarrow at the first large table only."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from io import BytesIO\n"
        "from sagemaker_runtime.algorithm import Column, Table\n"
        "a, b = ((n, k, '1', True) for n, k in (('a', 'number'), ('b', 'timestamp')))\n"
        "table = Table(Column(*a), Column(*b))\n"
        "list(table.read(BytesIO(b'1,\\n2,\\n'), 'text/csv', 'utf-8'))\n"
        "assert 'pyarrow' not in sys.modules and 'pandas' not in sys.modules\n"
        "list(table.read(BytesIO(b'1,\\n' * 50_000), 'text/csv', 'utf-8'))\n"
        "list(table.read(BytesIO(b'NA,\\n1,2014-02-25\\n' * 9_000), 'text/csv', 'utf-8'))\n"
        "assert 'pyarrow' in sys.modules and 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(CONTAINER)], check=True)
