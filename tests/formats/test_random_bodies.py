"""Random bodies: all forms agree, and the fast readers read like Python's."""

import json
import random
from collections.abc import Callable
from typing import Never

import msgspec
import numpy as np
import pytest

from rides import FARE, KEY, NAMES, read
from sagemaker_runtime.errors import InvalidValue, Malformed
from sagemaker_runtime.formats import csv as csv_rows
from sagemaker_runtime.formats import csv_blocks, json_pieces
from sagemaker_runtime.formats import json as json_rows
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES

# Each turns rows of taxi values (text, "" for missing) into a body.
FORMS: dict[str, tuple[str, Callable[[list[list[str]]], str]]] = {
    "CSV": (CSV, lambda rows: "".join(",".join(row) + "\n" for row in rows)),
    "CSV with header": (
        CSV, lambda rows: "".join(",".join(row) + "\r\n" for row in [NAMES, *rows])),
    "quoted CSV with key and fare": (
        CSV, lambda rows: "\n".join(",".join(f'"{v}"' for v in (KEY, FARE, *row)) for row in rows)),
    "list of records": (JSON, lambda rows: json.dumps(list(map(record_of, rows)))),
    "records without nulls": (
        JSON, lambda rows: json.dumps(
            [{n: v for n, v in record_of(row).items() if v is not None} for row in rows])),
    "instances of lists": (JSON, lambda rows: json.dumps({"instances": rows})),
    "column form": (
        JSON, lambda rows: json.dumps(
            {name: [record_of(row)[name] for row in rows] for name in NAMES})),
    "JSON Lines": (
        JSON_LINES, lambda rows: "\n".join(json.dumps(record_of(row)) for row in rows)),
    "JSON Lines of lists": (JSON_LINES, lambda rows: "\n".join(json.dumps(row) for row in rows)),
}  # fmt: skip


def record_of(row: list[str]) -> dict[str, object]:
    numbers = [float(value) if value else None for value in row[1:]]
    return dict(zip(NAMES, [row[0], *numbers], strict=True))


def random_row(chance: random.Random) -> list[str]:
    moment = np.datetime64("2009-01-01T00:00:00") + chance.randrange(2 * 10**8)
    form = chance.choice(["{} UTC", "{}", "{}.25", "{}Z", "{}+02:00"])
    sep = chance.choice("T ")
    numbers = [
        chance.choice(
            ["", "0", "-0.0", "1e-300", str(chance.randrange(9)), repr(chance.uniform(-180, 180))]
        )
        for _ in NAMES[1:]
    ]
    return [form.format(str(moment).replace("T", sep)), *numbers]


@pytest.mark.parametrize("seed", range(25))
def test_all_forms_agree(seed: int) -> None:
    """Random good rows give the same columns, to the last bit, in whatever form they come."""
    chance = random.Random(seed)
    rows = [random_row(chance) for _ in range(chance.choice([1, 2, 40]))]
    wanted = read(FORMS["CSV"][1](rows))
    for i, row in enumerate(rows):
        assert wanted[NAMES[0]][i] == np.datetime64(row[0][:19])
        for name, text in zip(NAMES[1:], row[1:], strict=True):
            assert str(wanted[name][i]) == str(float(text or "nan"))
    for form, (media_type, write) in FORMS.items():
        columns = read(write(rows), media_type)
        for name in NAMES:
            assert columns[name].tobytes() == wanted[name].tobytes(), (form, name)


# What may stand where a value of CSV or JSON is expected: some of it plain, some only Python's to
# read, some wrong.
ODD_VALUES = (
    "0", "-0", "-0.0", "0.1", "1.", ".5", "+1", "00", "-01.50", "1e5", "1E-5", "1e+22", "1e23",
    "1e999", "-1e-400", "1e", "1.e3", "0x10", "1_0", "9007199254740993", "9007199254740992.5",
    "123456789012345678", "12345678901234567890", "0." + "0" * 25 + "1", "3" * 400,
    "7." + "3" * 30, "2.2250738585072011e-308", "0.30000000000000004", "40.738354000000001", "",
    " ", " 1", "1 ", "nan", "NaN", "null", "None", "inf", "-Infinity", "true", "false", "abc",
    "1a", "1,2", "\u0661", "\xa01", "a,b", "\x00", "\t", "-", "--1", "\U0001f695", "x" * 1500,
    "[1]", "{}", "2014-02-25 12:17:00 UTC", "2014-02-25T12:17", "2014-02-25 12:17:00.25+05:30",
    "2014-02-25 12:17 -0530", "2016-02-29 23:59:59Z", "2014-02-25 12:17:00+05",
    "2014-02-25 12:17:00+5", "2014-02-25 12:17:00+05:", "2015-02-29 12:17:00",
    "1900-02-29 00:00:00", "2000-02-29 00:00:00", "0000-01-01 00:00:00", "0001-01-01 00:00:00",
    "9999-12-31 23:59:59", "2014-00-10 12:17:00", "2014-13-10 12:17:00", "2014-04-31 12:17:00",
    "2014-02-25 24:00:00", "2014-02-25 12:60:00", "2014-02-25 12:17:60", "2014-02-25 12:17:00.",
    "2014-02-25  12:17:00", "2014-2-25 12:17:00", "2014-02-25 12:17:00 utc",
    "2014-02-25 12:17:00 UTCZ", "2014-02-25 12:17:00  UTC", "2014-02-25 12:17:00 Z", "2014-02-25",
    "2014-02-25 12:17:0",
)  # fmt: skip


def odd_csv(chance: random.Random, rows: list[list[str]], row: int) -> str:
    """
    Write rows, most of them plain, with something odd in one of them.
    """
    end = chance.choice(["\n", "\r\n", "\n", "\r"])
    quoted = chance.random() < 0.3
    lines = [",".join(f'"{v}"' if quoted else v for v in fields) for fields in rows]
    oddity = chance.randrange(10)
    if oddity == 0:
        lines.insert(row, chance.choice(["", " ", ",", '"', '"a\nb"', "\x00", lines[row] + "\r"]))
    elif oddity == 1:
        lines[row] += chance.choice([",", ",1", '"', " ", '"x"', "\r", ",\xe9"])
    elif oddity == 2:
        at = chance.randrange(len(lines[row]))
        lines[row] = lines[row][:at] + chance.choice('",\n\r x\xe9\x00') + lines[row][at:]
    elif oddity == 3:
        at = chance.randrange(len(lines[row]))
        lines[row] = lines[row][:at] + lines[row][at + 1 :]
    text = end.join(lines) + chance.choice([end, "", end * 2, end + " "])
    return chance.choice(["", "\ufeff"]) + text


def odd_json(chance: random.Random, rows: list[list[str]], row: int) -> list[str]:
    """
    Write rows as JSON texts that a JSON reader may or may not take.
    """
    names = ["key", "fare_amount", *NAMES]
    as_lists = chance.random() < 0.3
    space = chance.choice(["", " ", "\t"])

    def value(text: str, in_quotes: bool) -> str:
        return json.dumps(text, ensure_ascii=False) if in_quotes else text or "null"

    texts = []
    for fields in rows:
        values = [value(v, i in (0, 2) or chance.random() < 0.1) for i, v in enumerate(fields)]
        pairs = [f'"{n}"{space}:{space}{v}' for n, v in zip(names, values, strict=True)]
        inside = f"{space},{space}".join(values if as_lists else pairs)
        texts.append(f"[{inside}]" if as_lists else f"{{{space}{inside}{space}}}")
    oddity = chance.randrange(10)
    if oddity == 0:
        at = chance.randrange(len(texts[row]))
        texts[row] = (
            texts[row][:at] + chance.choice(['"', ",", "\\", "x", ""]) + texts[row][at + 1 :]
        )
    elif oddity == 1:
        odd = ["", " ", "{}", "[]", "7", "null", '{"pickup_datetime": 1, "pickup_datetime": 2}']
        texts[row] = chance.choice(odd)
    elif oddity == 2:
        texts[row] = texts[row].replace('"key"', chance.choice(['"id"', '"k\\u0065y"', '"key" ']))
    return texts


def outcome(body: bytes, media_type: str) -> list[bytes] | tuple[object, ...]:
    """
    Return what a body is read to, bit by bit, or the error that it is.
    """
    try:
        return [values.tobytes() for values in read(body, media_type).values()]
    except (InvalidValue, Malformed) as error:
        return type(error), str(error), error.row, error.column


def odd_body(chance: random.Random) -> tuple[bytes, str]:
    """
    Write a body, most of it plain, and its media type.
    """
    rows = [[KEY, FARE, *random_row(chance)] for _ in range(chance.choice([1, 2, 9]))]
    row = chance.randrange(len(rows))
    if chance.random() < 0.8:
        rows[row][chance.randrange(2 + len(NAMES))] = chance.choice(ODD_VALUES)
    media_type = chance.choice([CSV, JSON, JSON_LINES])
    if media_type == CSV:
        header = [["key", "fare_amount", *NAMES]] if chance.random() < 0.5 else []
        body = odd_csv(chance, header + rows, row + len(header)).encode()
    else:
        texts = odd_json(chance, rows, row)
        body = "\n".join(texts).encode()
        if media_type == JSON:
            opening, closing = chance.choice(
                [("[", "]"), (' {"instances": [ ', "] }"), ("[", ""), ("[", "]]"),
                 ('{"instances":[', '], "instances": []}'), ("[", ",]")]
            )  # fmt: skip
            body = f"{opening}{', '.join(texts)}{closing}".encode()
    return body.replace(b"1", b"\xff", 1) if chance.random() < 0.02 else body, media_type


def fail() -> Never:
    raise msgspec.MsgspecError


def by_python(patch: pytest.MonkeyPatch) -> None:
    """
    Leave every body to Python's csv and json, and the rules of values.
    """
    patch.setattr(csv_rows, "SMALL", 10**9)
    patch.setattr(json_rows, "SHORT", 10**9)
    patch.setattr(json_rows.msgspec.json, "decode", lambda text: fail())
    patch.setattr(json_rows.Typed, "columns", lambda self, rows, row: fail())


@pytest.mark.parametrize("seed", range(30))
def test_fast_readers_read_like_python(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Bodies that pyarrow and msgspec read give the same bits as Python's readers, or the same
    error; in pieces, of whatever size, too."""
    chance = random.Random(seed)
    counts = dict.fromkeys((list, tuple), 0)
    for _ in range(100):
        body, media_type = odd_body(chance)
        with monkeypatch.context() as patch:
            by_python(patch)
            wanted = outcome(body, media_type)
        with monkeypatch.context() as patch:
            patch.setattr(csv_rows, "SMALL", 0)
            patch.setattr(json_rows, "SHORT", 0)
            assert outcome(body, media_type) == wanted, body
            size = chance.choice([1, 7, 100, 300])
            patch.setattr(csv_blocks, "BLOCK", size)
            patch.setattr(json_pieces, "PIECE", size)
            patch.setattr(json_rows, "WHOLE", 0)
            found = outcome(body, media_type)
            # Of two faults in one body, pieces may show the other one.
            assert found == wanted or type(found) is type(wanted) is tuple, (size, body)
        counts[type(wanted)] += 1
    assert min(counts.values()) > 15  # both good and bad bodies were tried
