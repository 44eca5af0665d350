"""
Captured requests as rows: what was asked, column by column, and what was predicted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
import orjson

from monitoring import answers, events
from monitoring.events import Event, Side
from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.formats import values
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.media_types import CSV, JSON, MEDIA_TYPES
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

# Events whose texts are held at a time.
AT_ONCE = 20_000
# Rows that are kept at most, the newest: about 100 MB for each million of them.
MOST_ROWS = 1_000_000

Key = tuple[str, bytes, int]


@dataclass
class Captured:
    """
    Rows of requests: a row's name is its event's id and its number in the event, from 0.

    ``asked`` tells which rows were captured with their values, ``predicted`` is NaN or "" where no
    prediction was. ``counts`` says what was met on the way, ``unknown`` in how many events a column
    was that the table does not have.
    """

    ids: np.ndarray
    numbers: np.ndarray
    times: np.ndarray
    columns: Columns
    asked: np.ndarray
    predicted: np.ndarray
    counts: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Captured":
        """
        Return some of the rows, by their places or by a truth for each.
        """
        return replace(
            self,
            ids=self.ids[rows],
            numbers=self.numbers[rows],
            times=self.times[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
            asked=self.asked[rows],
            predicted=self.predicted[rows],
        )

    def between(self, since: str, until: str) -> "Captured":
        """
        Return the rows of a window, whose ends may be left open by "".
        """
        inside = np.ones(len(self), bool)
        if since:
            inside &= self.times >= np.datetime64(since)
        if until:
            inside &= self.times < np.datetime64(until)
        return self.take(inside)


def read(lines: Iterable[bytes], table: Table, most: int = MOST_ROWS) -> Captured:
    """
    Read lines of captured requests for a table, in the order of their times.

    Of an id that comes twice the newest event counts. Of more than ``most`` rows, the newest stay.
    """
    counts: Counter[str] = Counter()
    return _joined(events.read(lines, counts), table, counts, most)


def _joined(found: Iterable[Event], table: Table, counts: Counter[str], most: int) -> Captured:
    reader = _Reader(table, counts)
    whole = reader.nothing()
    found = iter(found)
    while some := list(islice(found, AT_ONCE)):
        whole = _added(whole, reader.read(some))
        if len(whole) > 2 * most:
            whole = _tidy(whole, most)
    whole = _tidy(whole, most)
    whole.counts, whole.unknown = counts, reader.unknown
    return whole


def _added(first: Captured, second: Captured) -> Captured:
    if first.predicted.dtype != second.predicted.dtype:
        first, second = (
            replace(each, predicted=answers.as_array([*each.predicted.tolist(), "text"])[:-1])
            for each in (first, second)
        )
    both: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("ids", "numbers", "times", "asked", "predicted")
    }
    columns = {n: np.concatenate([v, second.columns[n]]) for n, v in first.columns.items()}
    return replace(first, columns=columns, **both)


def _tidy(whole: Captured, most: int) -> Captured:
    """
    Leave out all events of an id but the newest, and rows beyond ``most``; sort by time.
    """
    begins = np.flatnonzero(whole.numbers == 0)
    newest: dict[str, int] = {}
    for event in np.argsort(whole.times[begins], kind="stable").tolist():
        newest[whole.ids[begins[event]]] = event
    whole.counts["duplicates"] += len(begins) - len(newest)
    event_of = np.cumsum(whole.numbers == 0) - 1
    stays = np.zeros(len(begins), bool)
    stays[list(newest.values())] = True
    rows = np.flatnonzero(stays[event_of]) if len(begins) else np.arange(0)
    rows = rows[np.argsort(whole.times[rows], kind="stable")]
    if len(rows) > most:
        whole.counts["rows left out"] += len(rows) - most
        rows = rows[-most:]
    return whole.take(rows)


class _Reader:
    """
    Reads events of a table.
    """

    def __init__(self, table: Table, counts: Counter[str]) -> None:
        # Whatever was answered is read: rules on what may be missing are the server's.
        features = [replace(each, optional=True, omittable=True) for each in table.features]
        self._table = Table(*features, label=table.label, ignored=table.ignored)
        self._known = {each.name for each in (*table.features, *table.unread)}
        self._counts = counts
        self.unknown: Counter[str] = Counter()

    def nothing(self, rows: int = 0) -> Captured:
        empty = np.empty(rows, object)
        columns = {each.name: values.absent(each, rows) for each in self._table.features}
        none = np.zeros(rows, bool)
        times = np.empty(rows, "datetime64[s]")
        return Captured(
            empty, np.zeros(rows, np.int64), times, columns, none, np.empty(rows), self._counts
        )

    def read(self, some: Sequence[Event]) -> Captured:
        """
        Return the rows of events, in their order.
        """
        predicted = [self._predictions(event) for event in some]
        groups: dict[Key, list[int]] = {}
        for place, event in enumerate(some):
            if event.given:
                groups.setdefault(self._key(event.given), []).append(place)
        asked: dict[int, Columns] = {}
        for key, places in groups.items():
            sides = {place: side for place in places if (side := some[place].given)}
            asked |= self._columns(key, sides)
        rows, kept = [], []
        for place in range(len(some)):
            given, answered = asked.get(place), predicted[place]
            number = len(answered) if given is None else count(given)
            if given is not None and answered and len(answered) != number:
                self._counts["unreadable answers"] += 1
                predicted[place] = []
            if number:
                rows.append(number)
                kept.append(place)
        return self._rows(some, rows, kept, asked, predicted)

    def _rows(
        self,
        some: Sequence[Event],
        rows: Sequence[int],
        kept: Sequence[int],
        asked: dict[int, Columns],
        predicted: Sequence[list[Any]],
    ) -> Captured:
        if not kept:
            return self.nothing()
        made = self.nothing(sum(rows))
        made.ids[:] = np.repeat(np.array([some[place].id for place in kept], object), rows)
        made.numbers[:] = np.concatenate([np.arange(each) for each in rows])
        made.times[:] = np.repeat(_times([some[place].time for place in kept]), rows)
        is_asked = np.array([place in asked for place in kept])
        made.asked[:] = np.repeat(is_asked, rows)
        pieces = [asked[place] for place in kept if place in asked]
        for name, column in made.columns.items():
            if pieces:
                column[made.asked] = np.concatenate([piece[name] for piece in pieces])
        made.predicted = answers.as_array(
            [
                each
                for place, number in zip(kept, rows, strict=True)
                for each in predicted[place] or [None] * number
            ]
        )
        return made

    def _predictions(self, event: Event) -> list[Any]:
        if event.answered is None:
            self._counts["events without answer"] += 1
            return []
        try:
            return answers.read(event.answered)
        except (ValueError, TypeError, AttributeError):
            self._counts["unreadable answers"] += 1
            return []

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
                pieces = [*self._table.read(BytesIO(text), kind, "utf-8")]
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


def _times(written: Sequence[str]) -> np.ndarray:
    try:
        return np.array([each[:19] for each in written], "datetime64[s]")
    except ValueError:
        return np.array([_time(each) for each in written], "datetime64[s]")


def _time(written: str) -> np.datetime64:
    try:
        return np.datetime64(written[:19], "s")
    except ValueError:
        return np.datetime64("NaT")
