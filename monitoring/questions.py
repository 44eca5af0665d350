"""
Columns out of captured requests: the bodies of many events read at once, whatever their format.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import orjson

from monitoring.events import Event, Side
from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.media_types import CSV, JSON, MEDIA_TYPES
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

Key = tuple[str, bytes, int]


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

    def read(self, some: Sequence[Event]) -> dict[int, Columns]:
        """
        Return the columns of each event that can be read, by its place; others are counted.
        """
        groups: dict[Key, list[int]] = {}
        for place, event in enumerate(some):
            if event.given:
                groups.setdefault(self._key(event.given), []).append(place)
        asked: dict[int, Columns] = {}
        for key, places in groups.items():
            sides = {place: side for place in places if (side := some[place].given)}
            asked |= self._columns(key, sides)
        return asked

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

    def _columns(self, key: Key, sides: dict[int, Side]) -> dict[int, Columns]:
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
                pieces = [*self.table.read(BytesIO(text), kind, "utf-8")]
                whole = {n: np.concatenate([p[n] for p in pieces]) for n in pieces[0]}
                if len(sides) == 1:
                    return dict.fromkeys(sides, whole)
                if count(whole) == sum(lines):
                    ends = np.cumsum(lines).tolist()
                    return {
                        place: {n: v[end - rows : end] for n, v in whole.items()}
                        for place, end, rows in zip(sides, ends, lines, strict=True)
                    }
            except (RequestError, ValueError, IndexError):
                pass
        if len(sides) == 1:
            self._counts["unreadable requests"] += 1
            return {}
        places = list(sides)
        halves = (places[: len(places) // 2], places[len(places) // 2 :])
        found: dict[int, Columns] = {}
        for half in halves if kind != JSON else [[place] for place in places]:
            found |= self._columns(key, {place: sides[place] for place in half})
        return found


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
