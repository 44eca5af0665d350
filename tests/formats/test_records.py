"""Tables with bad records: each of those is told by itself, the others are read."""

import csv
import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from sagemaker_runtime.algorithm import Column, Rows, Table
from sagemaker_runtime.errors import AlgorithmError, InvalidValue, Malformed, RequestError
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES
from sagemaker_runtime.formats.records import BadRecord

TABLE = Table(
    Column("size", "number", "84.5"), Column("kind", "text", "flat", optional=True, omittable=True)
)


def read(body: str | bytes, media_type: str = CSV, charset: str = "utf-8") -> list[Any]:
    """What is read, record by record: the size, or the error's code and row."""
    found: list[Any] = []
    raw = body.encode() if isinstance(body, str) else body
    for part in TABLE.read_records(BytesIO(raw), media_type, charset):
        if isinstance(part, BadRecord):
            assert part.row == len(found) + 1
            found.append(part.error.code)
        else:
            assert count(part)
            found.extend(part["size"].tolist())
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1,a\n2,b\n", [1, 2]),
        ("size,kind\n1,a\nx,b\n3,c\n", [1, "invalid_value", 3]),
        ("kind,size\na,1\r\nb,x\r\nc,3", [1, "invalid_value", 3]),
        ("1,a\n2\n3,c\n", [1, "invalid_value", 3]),
        ("x,1\n2,b\n", ["invalid_value", 2]),
        ("1,a,b\n2,b\n", ["invalid_value", 2]),
        ('"1,a\n2,b\n', ["malformed_body", 2]),
        ('1,a\n2,"b\n3,c\n', [1, "malformed_body", 3]),
        ('1,"a\nb"\n3,c\n', ["malformed_body", "invalid_value", 3]),
        ("1,a\n\n3,c\n\n\n", [1, "invalid_value", 3]),
        ("\n2,b\n", ["invalid_value", 2]),
        (b"1,a\n2,\xff\n3,c\n", [1, "malformed_body", 3]),
        ("1,a\r2,b\n3,c\n", ["invalid_value", 3]),
        # Four lines and, by another count, four rows.
        ('1,a\r2,b\n"3\n",c\n5,c\n', ["invalid_value", "malformed_body", "malformed_body", 5]),
        ("1,a\n\n\n4,b\n", [1, "invalid_value", "invalid_value", 4]),
        ("size,kind\n\n\n3,b\nx,\n", ["invalid_value", "invalid_value", 3, "invalid_value"]),
        ("size,kind\n", []),
    ],
)
def test_bad_lines_of_csv(body: str | bytes, expected: list[Any]) -> None:
    """Every line has its row or its error, whatever is wrong and wherever it stands."""
    assert read(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"size": 1}\n{"size": "x"}\nno\n[4, "a"]\n', [1, "invalid_value", "malformed_body", 4]),
        ('no\n{"size": 2}', ["malformed_body", 2]),
        ('{"size": 1}\n\n{"size": 3}\n\n', [1, "invalid_value", 3]),
        (b'{"size": 1}\n{"size": "\xff"}\n', [1, "malformed_body"]),
    ],
)
def test_bad_lines_of_json(body: str | bytes, expected: list[Any]) -> None:
    """In JSON Lines too; a list may stand beside records."""
    assert read(body, JSON_LINES) == expected


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_many_pieces(line_end: str) -> None:
    """Over several blocks no row is lost or moved, good or bad."""
    lines = [f"{n},{'long ' * 20}" for n in range(40_000)]
    wrong = {0, 7, 9_999, 10_000, 39_999}
    for n in wrong:
        lines[n] = f"x{n},1"
    found = read(line_end.join(lines) + line_end)
    assert found == ["invalid_value" if n in wrong else n for n in range(40_000)]


def test_other_charsets() -> None:
    """Bodies in UTF-16 are read record by record too."""
    assert read("1,ä\nx,b\n3,c\n".encode("utf-16"), CSV, "utf-16") == [1, "invalid_value", 3]


@pytest.mark.parametrize(
    ("body", "media_type", "error"),
    [
        ("price,sort\n1,a\n", CSV, InvalidValue),
        ("", CSV, Malformed),
        ("\n\n", CSV, Malformed),
        ("", JSON_LINES, Malformed),
        ("x" * (17 << 20), JSON_LINES, Malformed),
        ('[{"size": "x"}]', JSON, InvalidValue),
    ],
)
def test_what_holds_for_all_records_is_refused(
    body: str, media_type: str, error: type[RequestError]
) -> None:
    """A header that is not known, nothing at all, a line without end; and JSON has no lines."""
    with pytest.raises(error):
        read(body, media_type)


BAD = BadRecord(2, InvalidValue('size is "x", expected more', column="size"))
ERROR = {
    "error": {
        "code": "invalid_value",
        "message": 'size is "x", expected more',
        "where": {"row": 2, "column": "size"},
    }
}
PARTS = [(np.array([[1.5, 2.0]]), 1), BAD, (np.array([[3.5, 4.0], [5.5, 6.0]]), 2)]


def test_errors_are_written_in_their_place() -> None:
    """JSON in all formats, in CSV as the first of as many fields as other lines have."""
    in_csv, lines, in_json = (
        b"".join(Rows().write_parts(PARTS, kind)).decode() for kind in (CSV, JSON_LINES, JSON)
    )
    rows = list(csv.reader(in_csv.splitlines()))
    assert [len(row) for row in rows] == [2, 2, 2, 2]
    assert rows[0] == ["1.5", "2.0"]
    assert json.loads(rows[1][0]) == ERROR
    assert [json.loads(line) for line in lines.splitlines()][1] == ERROR
    assert json.loads(in_json)["predictions"] == [[1.5, 2.0], ERROR, [3.5, 4.0], [5.5, 6.0]]


@pytest.mark.parametrize("kind", [CSV, JSON, JSON_LINES])
@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_parts_are_written_as_the_whole(kind: str, names: tuple[str, ...]) -> None:
    """What is written piece by piece is what is written at once; nothing is a lawful answer."""
    output = Rows(*names)
    parts = [part for part in PARTS if not isinstance(part, BadRecord)]
    for some in ([], parts[:1], parts):
        assert b"".join(output.write_parts(some, kind)) == output.write(some, kind)


def test_parts_must_be_alike() -> None:
    """A part of another shape is an error of the algorithm, as it is at once."""
    with pytest.raises(AlgorithmError, match="another number of values"):
        list(Rows().write_parts([(np.zeros((1, 2)), 1), (np.zeros((1, 3)), 1)], CSV))
