"""
Columns out of captured requests: the bodies of many events read at once, whatever their format.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import NamedTuple

import numpy as np
import orjson

from monitoring.events import Event, Side
from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.formats.columns import count, join
from sagemaker_runtime.formats.media_types import CSV, JSON, MEDIA_TYPES
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

Key = tuple[str, bytes, int]


class Piece(NamedTuple):
    """
    Rows that were read at once: of the events at these places, so many of each.
    """

    places: list[int]
    numbers: list[int]
    columns: Columns


class Questions:
    """
    Reads what was asked of a table. ``unknown`` says in how many events a column was that the table
    does not have.
    """

    def __init__(self, table: Table, counts: Counter[str]) -> None:
        # Whatever was answered is read: rules on what may be missing are the server's.
        features = [replace(each, optional=True, omittable=True) for each in table.features]
        self.table = Table(*features, label=table.label, ignored=table.ignored)
        self.unknown: Counter[str] = Counter()
        self._known = {each.name for each in (*table.features, *table.unread)}
        self._counts = counts

    def read(self, some: Sequence[Event]) -> tuple[np.ndarray, Columns]:
        """
        Return how many rows each event asked for, and all of these, in the order of the events; 0
        for an event that cannot be read, which is counted.
        """
        groups: dict[Key, list[int]] = {}
        for place, event in enumerate(some):
            if event.given:
                groups.setdefault(self._key(event.given), []).append(place)
        numbers = np.zeros(len(some), np.int64)
        pieces, places_of = [], []
        for key, places in groups.items():
            sides = {place: side for place in places if (side := some[place].given)}
            for piece in self._pieces(key, sides):
                numbers[piece.places] = piece.numbers
                pieces.append(piece.columns)
                places_of.append(np.repeat(piece.places, piece.numbers))
        if not pieces:
            return numbers, {}
        order = np.argsort(np.concatenate(places_of), kind="stable")
        return numbers, {name: values[order] for name, values in join(pieces).items()}

    def _key(self, given: Side) -> Key:
        """
        Return what events have in common that can be read at once: the media type and, of CSV, the
        header and the width; others are read one by one.
        """
        kind = MEDIA_TYPES.get(given.media_type, "")
        if kind != CSV:
            for name in _names(given.body):
                if name not in self._known:
                    self.unknown[name] += 1
            return kind, b"", 0
        line = given.body.partition(b"\n")[0]
        names = [each.strip(b' \t\r"').decode(errors="replace") for each in line.split(b",")]
        if self._known.isdisjoint(names):
            return kind, b"", len(names)
        self.unknown.update(set(names) - self._known)
        return kind, line, len(names)

    def _pieces(self, key: Key, sides: dict[int, Side]) -> Iterator[Piece]:
        """
        Read the bodies of events: all at once, halved until what is bad stands alone.
        """
        kind, header, _ = key
        bodies = [
            side.body.strip(b"\r\n").removeprefix(header).strip(b"\r\n") for side in sides.values()
        ]
        lines = [body.count(b"\n") + 1 for body in bodies]
        if kind and (len(sides) == 1 or kind != JSON):
            text = b"\n".join([header, *bodies] if header else bodies)
            try:
                whole = join(self.table.read(BytesIO(text), kind, "utf-8"))
            except (RequestError, ValueError, IndexError):
                pass
            else:
                numbers = [count(whole)] if len(sides) == 1 else lines
                if count(whole) == sum(numbers):
                    yield Piece(list(sides), numbers, whole)
                    return
        if len(sides) == 1:
            self._counts["unreadable requests"] += 1
            return
        places = list(sides)
        halves = (places[: len(places) // 2], places[len(places) // 2 :])
        for half in halves if kind != JSON else [[place] for place in places]:
            yield from self._pieces(key, {place: sides[place] for place in half})


def _names(body: bytes) -> Iterator[str]:
    """
    Return the names that the first row of a body in JSON has.
    """
    try:
        content = orjson.loads(body.partition(b"\n")[0])
    except ValueError:
        return iter(())
    for _ in range(2):  # rows may stand in a list, and that under one key
        if isinstance(content, dict) and len(content) == 1:
            inside = next(iter(content.values()))
            content = inside if isinstance(inside, list | dict) else content
        if isinstance(content, list) and content:
            content = content[0]
    return iter(content if isinstance(content, dict) else ())
