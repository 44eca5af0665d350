"""
The request that the person running the kit gave: more of its rows, bad ones, and the count of what
comes back.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.client import Answer
from conformance.verdicts import NotTried

CSV, LINES, LIST, OPAQUE = "csv", "lines", "list", "opaque"
NONSENSE = "conformance?"

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".txt": "text/plain",
    ".npy": "application/x-npy",
}
JSON_LINES = (
    "application/jsonlines",
    "application/x-jsonlines",
    "application/jsonl",
    "application/x-jsonl",
    "application/x-ndjson",
)


@dataclass(frozen=True)
class Bad:
    """
    A body with a mistake in it, and how many rows an answer of 200 would have to have.
    """

    what: str
    body: bytes
    content_type: str
    rows: int | None = None  # None: an answer of 200 is wrong
    lenient: bool = False  # what the model takes is unknown: only 5xx is wrong


class Sample:
    """
    A request with one row or several, in a form whose rows can be multiplied, or opaque.
    """

    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.content_type = content_type
        self.head = b""
        self.rows: list[Any] = []
        self._around: Any = None  # the JSON object around the list of rows
        self._key = ""
        self.kind = self._parse(content_type.partition(";")[0].strip().lower())

    def _parse(self, media_type: str) -> str:
        try:
            if media_type == "text/csv":
                return self._parse_csv()
            if media_type in JSON_LINES:
                self.rows = [line for line in self.body.splitlines() if line.strip()]
                return LINES if self.rows else OPAQUE
            if media_type.endswith("json"):
                return self._parse_json(json.loads(self.body))
        except ValueError:
            pass
        return OPAQUE

    def _parse_csv(self) -> str:
        lines = [line for line in self.body.decode().splitlines() if line.strip()]
        if not lines or any(line.count('"') % 2 for line in lines):
            return OPAQUE
        if not _has_number(lines[0]) and any(map(_has_number, lines[1:])):
            self.head = lines.pop(0).encode() + b"\n"
        self.rows = [line.encode() for line in lines]
        return CSV

    def _parse_json(self, value: Any) -> str:
        if isinstance(value, dict):
            if "dataframe_split" in value:
                self._around, self._key = value, "dataframe_split"
                self.rows = list(value["dataframe_split"]["data"])
                return LIST if self.rows else OPAQUE
            if _is_tensor(value.get("inputs")):
                self._around, self._key = value, "inputs"
                tensor = value["inputs"][0]
                size = len(tensor["data"]) // tensor["shape"][0]
                data = tensor["data"]
                self.rows = [data[i : i + size] for i in range(0, len(data), size)]
                return LIST if len(value["inputs"]) == 1 else OPAQUE
            lists = [key for key, item in value.items() if isinstance(item, list)]
            lists = [key for key in lists if key not in ("columns", "names", "index")]
            if len(lists) != 1 or not value[lists[0]]:
                return OPAQUE
            self._around, self._key = value, lists[0]
            value = value[lists[0]]
        self.rows = value if isinstance(value, list) else []
        return LIST if self.rows else OPAQUE

    def of(self, count: int) -> bytes:
        """
        Return a request of some rows; raises NotTried where the form does not tell rows.
        """
        if self.kind == OPAQUE:
            raise NotTried(
                f"how many rows a sample of {self.content_type} has is unknown; give one in CSV, "
                "JSON Lines, or JSON with a list of rows"
            )
        times = -(-count // len(self.rows))
        return self._write((self.rows * times)[:count])

    def of_bytes(self, size: int) -> tuple[bytes, int]:
        """
        Return the largest request of at most ``size`` bytes and the number of its rows.
        """
        one, many = len(self.of(1)), len(self.of(1 + 10 * len(self.rows)))
        each = (many - one) / (10 * len(self.rows))
        count = max(1, int((size - one) / each))
        body = self.of(count)
        while len(body) > size and count > 1:
            count = max(1, count - max(1, count // 1000))
            body = self.of(count)
        return body, count

    def _write(self, rows: list[Any]) -> bytes:
        if self.kind in (CSV, LINES):
            return self.head + b"".join(row + b"\n" for row in rows)
        if self._around is None:
            return json.dumps(rows).encode()
        if self._key == "dataframe_split":
            inside = self._around[self._key] | {"data": rows}
            inside.pop("index", None)
            return json.dumps(self._around | {self._key: inside}).encode()
        if _is_tensor(self._around[self._key]):
            tensor = self._around[self._key][0]
            data = [value for row in rows for value in row]
            tensor = tensor | {"shape": [len(rows), *tensor["shape"][1:]], "data": data}
            return json.dumps(self._around | {self._key: [tensor]}).encode()
        return json.dumps(self._around | {self._key: rows}).encode()

    def with_bad_rows(self, count: int = 5) -> Iterator[Bad]:
        """
        Yield requests in which one row, in the middle, is bad.
        """
        rows = (self.rows * count)[:count] if self.rows else []
        for what, bad in self._bad_rows(rows[count // 2] if rows else None):
            body = self._write([*rows[: count // 2], bad, *rows[count // 2 + 1 :]])
            yield Bad(f"{count} rows, the middle one {what}", body, self.content_type, count)

    def _bad_rows(self, row: Any) -> Iterator[tuple[str, Any]]:
        if self.kind == CSV:
            cells = row.split(b",")
            if len(cells) > 1 and b'"' not in row:
                yield "without its last column", b",".join(cells[:-1])
                yield "with a column too many", row + b",1"
                yield "with text in its first column", b",".join([NONSENSE.encode(), *cells[1:]])
            else:
                yield "with other text", NONSENSE.encode()
        elif self.kind == LINES:
            yield "cut off", row[: max(1, len(row) // 2)]
            yield "null", b"null"
        elif self.kind == LIST and not (self._around and _is_tensor(self._around[self._key])):
            yield "null", None
            yield "another kind of value", NONSENSE

    def wrong(self) -> Iterator[Bad]:
        """
        Yield requests that are wrong as a whole, then those with a bad row.
        """
        opaque = self.kind == OPAQUE
        zero = 0 if self.kind in (CSV, LINES) else None
        yield Bad("an empty body", b"", self.content_type, zero, opaque)
        noise = b"\xff\xfe\x00\x81\n" * 50
        yield Bad("bytes that are not text", noise, self.content_type, None, opaque)
        yield Bad("JSON that is cut off", b'{"instances": [[1, ', "application/json")
        yield from self.with_bad_rows()


def count_rows(answer: Answer) -> int:
    """
    Return how many predictions an answer holds; raises NotTried where that does not show.
    """
    lines = answer.content_type in JSON_LINES
    if lines or not answer.content_type.endswith("json"):
        return len([line for line in answer.body.splitlines() if line.strip()])
    value = answer.json()
    if isinstance(value, dict):
        if _is_tensor(value.get("outputs")):
            return int(value["outputs"][0]["shape"][0])
        lengths = {len(item) for item in value.values() if isinstance(item, list)}
        if len(lengths) != 1:
            raise NotTried(f"the rows of the answer cannot be counted: {answer}")
        return lengths.pop()
    return len(value) if isinstance(value, list) else 1


def read_sample(path: Path, content_type: str = "") -> Sample:
    """
    Read the file that a person gave; raises ValueError where its type is not known.
    """
    content_type = content_type or MEDIA_TYPES.get(path.suffix, "")
    if not content_type:
        raise ValueError(f"what is in {path.name}? Say it: --content-type TYPE, such as text/csv")
    return Sample(path.read_bytes(), content_type)


def described(model: Path) -> Sample | None:
    """
    Return the example of the OpenAPI description in a model's folder, if there is one.
    """
    for path in sorted(model.glob("**/openapi*.json")):
        try:
            operation = json.loads(path.read_bytes())["paths"]["/invocations"]["post"]
            content = operation["requestBody"]["content"]
        except (ValueError, KeyError, TypeError, OSError):
            continue
        for media_type in sorted(
            content, key=lambda name: (name != "text/csv", "json" not in name)
        ):
            example = _example(content[media_type])
            if example is not None:
                text = example if isinstance(example, str) else json.dumps(example)
                return Sample(text.encode(), media_type)
    return None


def _example(media: Any) -> Any:
    if "example" in media:
        return media["example"]
    examples = media.get("examples", {})
    found: Any = next(iter(examples.values()), {}) if isinstance(examples, dict) else {}
    return found.get("value")


def _is_tensor(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and {"shape", "data"} <= value[0].keys()
        and bool(value[0]["shape"])
    )


def _has_number(line: str) -> bool:
    for cell in line.split(","):
        try:
            float(cell.strip().strip('"'))
        except ValueError:
            continue
        return True
    return False
