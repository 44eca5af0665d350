"""
Captured requests as rows: what was asked, column by column, and what was predicted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from monitoring import answers, events
from monitoring.events import Event
from monitoring.questions import Questions
from sagemaker_runtime.baseline import outcomes
from sagemaker_runtime.formats import values
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.table import Table

# Events whose texts are held at a time, and the bytes of these texts.
AT_ONCE, AT_ONCE_BYTES = 20_000, 32 * 1024**2
# Rows that are kept at most, the newest: about 100 MB for each million of them.
MOST_ROWS = 1_000_000


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

    def between(self, since: datetime | None, until: datetime | None) -> "Captured":
        """
        Return the rows of a window, whose ends may be left open.
        """
        inside = np.ones(len(self), bool)
        if (since or until) and (timeless := int(np.isnat(self.times).sum())):
            self.counts["rows without a time"] += timeless
        if since:
            inside &= self.times >= _in_utc(since)
        if until:
            inside &= self.times < _in_utc(until)
        return self.take(inside)


def read(lines: Iterable[bytes], table: Table, most: int = MOST_ROWS) -> Captured:
    """
    Read lines of captured requests for a table, in the order of their times.
    """
    counts: Counter[str] = Counter()
    return joined(events.read(lines, counts), table, counts, most)


def joined(
    found: Iterable[Event], table: Table, counts: Counter[str], most: int = MOST_ROWS
) -> Captured:
    """
    Put events together, in the order of their times; ``counts`` goes on to count.

    Of an id that comes twice the newest event counts. Of more than ``most`` rows, the newest stay.
    """
    reader = _Reader(table, counts)
    whole = reader.nothing()
    for some in _portions(found):
        whole = _added(whole, reader.read(some))
        if len(whole) > 2 * most:
            whole = _tidy(whole, most)
    whole = _tidy(whole, most)
    whole.counts, whole.unknown = counts, reader.questions.unknown
    return whole


def _portions(found: Iterable[Event]) -> Iterator[list[Event]]:
    some: list[Event] = []
    size = 0
    for event in found:
        some.append(event)
        size += sum(len(side.body) for side in (event.given, event.answered) if side)
        if len(some) >= AT_ONCE or size >= AT_ONCE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _added(first: Captured, second: Captured) -> Captured:
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
        self.questions = Questions(table, counts)
        self._label = table.label or Column("prediction", "text", "")
        self._counts = counts

    def nothing(self, rows: int = 0) -> Captured:
        empty = np.empty(rows, object)
        columns = {each.name: values.absent(each, rows) for each in self.questions.table.features}
        none = np.zeros(rows, bool)
        times = np.empty(rows, "datetime64[s]")
        return Captured(
            empty, np.zeros(rows, np.int64), times, columns, none, self._read([]), self._counts
        )

    def read(self, some: Sequence[Event]) -> Captured:
        """
        Return the rows of events, in their order.
        """
        predicted = [self._predictions(event) for event in some]
        asked, columns = self.questions.read(some)
        numbers = asked.tolist()
        for place, answered in enumerate(predicted):
            if numbers[place] and answered and len(answered) != numbers[place]:
                self._counts["unreadable answers"] += 1
                predicted[place] = []
            numbers[place] = numbers[place] or len(answered)
        if not sum(numbers):
            return self.nothing()
        made = self.nothing(sum(numbers))
        made.ids[:] = np.repeat(np.array([event.id for event in some], object), numbers)
        made.numbers[:] = np.concatenate([np.arange(each) for each in numbers])
        made.times[:] = np.repeat(_times([event.time for event in some]), numbers)
        made.asked[:] = np.repeat(asked > 0, numbers)
        for name, column in columns.items():
            made.columns[name][made.asked] = column
        made.predicted = self._read(
            [
                each
                for answered, number in zip(predicted, numbers, strict=True)
                for each in answered or [None] * number
            ]
        )
        return made

    def _read(self, predicted: Sequence[Any]) -> np.ndarray:
        """
        Read predictions by the rule of the label; those that break it are counted.
        """
        found = outcomes.read(self._label, predicted)
        told = sum(each is not None for each in predicted)
        if unreadable := told - int(outcomes.present(found).sum()):
            self._counts["unreadable predictions"] += unreadable
        return found

    def _predictions(self, event: Event) -> list[Any]:
        if event.answered is None:
            self._counts["events without answer"] += 1
            return []
        try:
            return answers.read(event.answered)
        except (ValueError, TypeError, AttributeError):
            self._counts["unreadable answers"] += 1
            return []


def _in_utc(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None))


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
