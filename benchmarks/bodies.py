# ruff: noqa: S311 - chance makes bodies here, no secrets
"""
Bodies made by chance, the same ones for the same number: well formed in each way that is offered,
damaged, oddly labelled, oddly sent.
"""

import gzip
import json
import random
from dataclasses import replace

from payloads import Payloads
from subjects import CSV, JSON
from wire import Delivery, Request

LINES = "application/jsonlines"
ROWS = ((1, 60), (3, 20), (20, 12), (200, 6), (2_000, 1.9), (20_000, 0.1))
DELIVERIES: tuple[tuple[Delivery, float], ...] = (
    ("whole", 93), ("chunked", 4), ("slow", 1.5), ("truncated", 1.48), ("stalled", 0.02),
)  # fmt: skip
# In the place of one value; none holds what ends a field or a line.
VALUES = (
    "", "nan", "NaN", "inf", "-1e999", "1e-320", "null", "None", "abc", "0x1F", "1_0", "9" * 400,
    "2015-02-30 25:61:61 UTC", "9999-12-31", "0", "-0.0", " 7 ", "Zürich", "\u0661", "\x00", "true",
)  # fmt: skip
ACCEPTS = (CSV, JSON, LINES, "*/*", f"{CSV};q=0.5, {JSON}", f"image/png, {CSV}")
HEADERS = (
    ("Content-Type", "application/x-nothing"), ("Content-Type", "text/csv; charset=nonsense"),
    ("Content-Type", ";;;"), ("Content-Type", "text/csv; charset=utf-16"), ("Content-Type", ""),
    ("Accept", "image/png"), ("Accept", "a,b;q=x"), ("Content-Encoding", "br"),
    ("Content-Encoding", "gzip"), ("X-Long", "x" * 20_000), ("X-Odd", "\xff\x01\x7f"),
    ("X-Amzn-SageMaker-Custom-Attributes", "a" * 1024), ("Expect", "something"),
    ("X-Amzn-SageMaker-Inference-Id", '"\\'), ("Transfer-Encoding", "gzip"),
)  # fmt: skip
LENGTHS = ("-1", "abc", "1", "200000000", "18446744073709551617")


def make(payloads: Payloads, seed: int, number: int) -> Request:
    """
    Return a request by its number.
    """
    chance = random.Random(f"{seed} {number}")
    kinds = (_good, _one_value, _damaged, _mislabelled, _noise)
    (kind,) = chance.choices(kinds, (50, 20, 15, 10, 5))
    request = kind(payloads, chance)
    (delivery,) = chance.choices([d for d, _ in DELIVERIES], [weight for _, weight in DELIVERIES])
    if delivery in ("truncated", "stalled"):
        request = replace(request, rows=None, good=False)
    return request if request.length else replace(request, delivery=delivery)


def row(payloads: Payloads, number: int) -> Request:
    """
    Return a question of one row in CSV with a header, which every subject reads.
    """
    return Request("a row", payloads.csv(number, 1).encode(), (("Content-Type", CSV),), 1, True)


def rows_in(body: bytes, media_type: str) -> int | None:
    """
    Return how many predictions stand in an answer.
    """
    if media_type.startswith(JSON + "l") or not media_type.startswith(JSON):
        return len(body.splitlines())
    try:
        return len(json.loads(body)["predictions"])
    except (ValueError, KeyError, TypeError):
        return None


def _table(payloads: Payloads, chance: random.Random) -> list[list[str]]:
    (rows,) = chance.choices([n for n, _ in ROWS], [weight for _, weight in ROWS])
    first = chance.randrange(len(payloads.rows))
    return [payloads.rows[(first + n) % len(payloads.rows)].split(",") for n in range(rows)]


def _good(payloads: Payloads, chance: random.Random) -> Request:
    return _written(payloads, chance, _table(payloads, chance))


def _written(payloads: Payloads, chance: random.Random, table: list[list[str]]) -> Request:
    """
    Write a table in one of the shapes, with one of the encodings and answers.
    """
    names = payloads.header.split(",")
    what = chance.choice(("csv", "csv", "instances", "records", "lists", "columns", "split", LINES))
    if what == "csv":
        body, what = _csv(names, table, chance)
    else:
        objects = [dict(zip(names, map(_number, row), strict=True)) for row in table]
        lists = [list(each.values()) for each in objects]
        shapes = {
            "instances": {"instances": objects},
            "records": objects,
            "lists": lists,
            "columns": dict(zip(names, map(list, zip(*lists, strict=True)), strict=True)),
            "split": {"columns": names, "data": lists},
        }
        shape = "\n".join(map(json.dumps, objects)) if what == LINES else json.dumps(shapes[what])
        body = shape.encode()
    media_type = CSV if what.startswith("csv") else LINES if what == LINES else JSON
    headers = [("Content-Type", media_type + chance.choice(("", "", "; charset=utf-8")))]
    if chance.random() < 0.3:
        headers.append(("Accept", chance.choice(ACCEPTS)))
    if chance.random() < 0.2:
        body = gzip.compress(body, 1)
        headers.append(("Content-Encoding", "gzip"))
    return Request(what, body, tuple(headers), len(table), True)


def _csv(names: list[str], table: list[list[str]], chance: random.Random) -> tuple[bytes, str]:
    end = chance.choice(("\n", "\n", "\r\n"))
    lines, what = table, "csv without header"
    if chance.random() < 0.7:
        order = list(range(len(names)))
        if chance.random() < 0.3:
            chance.shuffle(order)
        lines, what = [[line[n] for n in order] for line in [names, *table]], "csv"
    mark = '"' if chance.random() < 0.2 else ""
    text = end.join(",".join(f"{mark}{field}{mark}" for field in line) for line in lines)
    return (text + chance.choice((end, ""))).encode(), what


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _one_value(payloads: Payloads, chance: random.Random) -> Request:
    table = _table(payloads, chance)
    chance.choice(table)[chance.randrange(len(table[0]))] = chance.choice(VALUES)
    made = _written(payloads, chance, table)
    return replace(made, what=f"{made.what}, odd value", good=False)


def _damaged(payloads: Payloads, chance: random.Random) -> Request:
    made = _good(payloads, chance)
    body = bytearray(made.body)
    for _ in range(chance.choice((1, 1, 3, 20))):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(4):
            case 0:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del body[at : at + chance.randrange(1, 40)]
            case 2:
                body[at:at] = chance.choice((b'"', b",", b"\n", b"\x00", b"\xff\xfe", b"{", b"]"))
            case _:
                body[at:at] = body[: chance.randrange(60)]
    return replace(made, what=f"{made.what}, damaged", body=bytes(body), rows=None, good=False)


def _mislabelled(payloads: Payloads, chance: random.Random) -> Request:
    made = replace(_good(payloads, chance), rows=None, good=False)
    if chance.random() < 0.2:
        length = chance.choice(LENGTHS)
        return replace(made, what=f"length {length}", length=length)
    name, value = chance.choice(HEADERS)
    others = [header for header in made.headers if header[0] != name]
    headers = (*others, (name, value)) if value else tuple(others)
    return replace(made, what=f"{name}: {value[:30]}", headers=headers)


def _noise(payloads: Payloads, chance: random.Random) -> Request:
    size = chance.choice((0, 1, 100, 5_000, 200_000))
    kinds = {
        "random bytes": lambda: chance.randbytes(size),
        "nested lists": lambda: b"[" * size,
        "nested objects": lambda: b'{"a":' * size,
        "blank lines": lambda: b"\n" * size,
        "commas": lambda: b"," * size,
        "a quote": lambda: b'"' + b"x" * size,
        "digits": lambda: b"[" + b"9" * size + b"]",
    }
    what = chance.choice(list(kinds))
    media_type = chance.choice((CSV, JSON, LINES))
    return Request(f"{what} as {media_type}", kinds[what](), (("Content-Type", media_type),))
