"""Captured requests become rows, however they were written, and what cannot be read is counted."""

import multiprocessing
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from monitoring import captured
from monitoring.captured import Captured

from captures import JSON, LINES, TABLE, event, side
from sagemaker_runtime.algorithm import Column, Table


def read(*lines: bytes, **options: Any) -> Captured:
    return captured.read(lines, TABLE, **options)


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        (side("84.5,flat\n120,\n"), side("310\n400\n", "text/csv; charset=utf-8")),
        (side("size,kind\r\n84.5,flat\r\n120,\r\n"), side("310\n400")),
        (side("k1,310,84.5,flat\nk2,400,120,"), side('{"predictions": [310.0, 400.0]}', JSON)),
        (
            side('{"instances": [{"size": 84.5, "kind": "flat"}, {"size": 120}]}', JSON),
            side('{"predictions": [[310.0, 1], [400.0, 2]]}', JSON),
        ),
        (
            side('{"size": 84.5, "kind": "flat"}\n{"size": 120}\n', LINES),
            side('{"price": 310.0}\n{"price": 400.0}\n', LINES),
        ),
        (side("84.5,flat\n120,\n", "text/csv", "BASE64"), side("310\n400\n", "text/csv", "BASE64")),
    ],
    ids=["csv", "header", "json answer", "json", "json lines", "base64"],
)
def test_every_form_is_the_same_rows(given: dict[str, str], answered: dict[str, str]) -> None:
    """A request of two rows in whichever format has two rows, named by id and number."""
    rows = read(event(given, answered, "house"))
    assert rows.ids.tolist() == ["house", "house"]
    assert rows.numbers.tolist() == [0, 1]
    assert rows.columns["size"].tolist() == [84.5, 120]
    assert rows.columns["kind"].tolist() == ["flat", ""]
    assert rows.predicted.tolist() == [310, 400]
    assert rows.times.astype(str).tolist() == ["2012-09-04T12:00:00"] * 2


def test_requests_of_several_forms_stay_beside_their_answers() -> None:
    """What is read at once, by form, comes back in the order of the requests."""
    rows = read(
        event(side("1,a\n2,b"), side("10\n20"), "csv", at=1),
        event(side('[{"size": 3, "kind": "c"}]', JSON), side("30"), "json", at=2),
        event(side("kind,size\nd,4\n"), side("40"), "header", at=3),
        event(side('{"size": 5, "kind": "e"}\n', LINES), side("50"), "lines", at=4),
        event(side("6,f"), side("60"), "csv again", at=5),
    )
    assert rows.columns["size"].tolist() == [1, 2, 3, 4, 5, 6]
    assert rows.columns["kind"].tolist() == ["a", "b", "c", "d", "e", "f"]
    assert rows.predicted.tolist() == [10, 20, 30, 40, 50, 60]


def test_without_an_id_of_the_caller_the_platforms_counts() -> None:
    """The event's own id names the rows then."""
    assert read(event(side("1,a"), side("2"))).ids.tolist() == ["event-0"]


def test_a_side_may_be_absent() -> None:
    """An answer alone has predictions, a request alone has values."""
    rows = read(event(None, side("1\n2\n"), at=1), event(side("5,a"), None, at=2))
    assert rows.asked.tolist() == [False, False, True]
    assert rows.predicted[:2].tolist() == [1, 2]
    assert np.isnan(rows.predicted[2])
    assert rows.columns["size"][2] == 5
    assert rows.counts["events without answer"] == 1


def test_of_a_repeated_id_the_newest_event_counts() -> None:
    """Whichever line comes first, the later time stays, and the rest is counted."""
    late, early = (event(side(f"{n},a"), side(f"{n}"), "x", at=n) for n in (9, 3))
    rows = read(late, early, event(side("1,a\n2,a"), side("1\n2"), "y", at=5))
    assert rows.columns["size"].tolist() == [1, 2, 9]
    assert rows.counts["duplicates"] == 1


def test_bad_lines_are_counted_and_leave_the_others_alone() -> None:
    """Log lines, cut events, requests of another table, answers of another length."""
    rows = read(
        b"{'level': 'INFO'}\n",
        event(side("1,a"), side("1"))[:-40] + b"\n",
        event(side("one,a"), side("1"), "bad", at=1),
        event(side("1,2,3,4,5,6"), side("1"), "wide", at=2),
        event(side("3,a"), side("1\n2\n"), "long", at=3),
        event(side("4,a"), side('{"error": 1', JSON), "cut", at=4),
        *(event(side(f"{n},a"), side(f"{n}"), f"good-{n}", at=n) for n in (5, 6, 7)),
    )
    assert rows.counts["other lines"] == 1
    assert rows.counts["unreadable events"] == 1
    assert rows.counts["unreadable requests"] == 2
    assert rows.counts["unreadable answers"] == 2
    assert rows.columns["size"][rows.asked].tolist() == [3, 4, 5, 6, 7]
    assert np.isnan(rows.predicted[rows.asked][:2]).all()
    assert rows.predicted[rows.asked][2:].tolist() == [5, 6, 7]


def test_unknown_columns_are_named() -> None:
    """A column that the table does not have is counted by its name."""
    rows = read(
        event(side("size,kind,garden\n1,a,2\n"), side("1"), at=1),
        event(side('{"size": 1, "kind": "a", "attic": 2}', JSON), side("1"), at=2),
    )
    assert rows.unknown == {"garden": 1, "attic": 1}


def test_labels_that_are_texts() -> None:
    """Predictions of classes stay texts; of several outputs the first counts."""
    table = Table(*TABLE.features, label=Column("price", "text", "cheap"))
    lines = [event(side("1,a\n2,b\n3,c"), side('cheap,0.9\n"dear, very",0.8\n007,0.5\n'))]
    assert captured.read(lines, table).predicted.tolist() == ["cheap", "dear, very", "007"]


def test_a_record_that_got_an_error_has_no_prediction() -> None:
    """What stands in the place of a bad record's prediction is not one."""
    rows = read(event(side("1,a\n2,b"), side('310\n"{""error"": {}}"\n')))
    assert rows.predicted[0] == 310
    assert np.isnan(rows.predicted[1])


def test_no_event_is_no_row() -> None:
    """Nothing captured is an empty table."""
    assert len(read()) == 0


def test_a_window_is_cut_by_the_events_times() -> None:
    """The beginning belongs to it, the end does not."""
    rows = read(*(event(side(f"{n},a"), side("1"), f"{n}", at=n) for n in range(10)))
    window = rows.between(
        datetime(2012, 9, 4, 12, 0, 3, tzinfo=UTC),
        datetime(2012, 9, 4, 14, 0, 5, tzinfo=timezone(timedelta(hours=2))),
    )
    assert window.columns["size"].tolist() == [3, 4]


def many(events: int) -> Sequence[bytes]:
    return [event(side(f"{n},flat\n"), side("310\n"), f"{n}", at=n % 3600) for n in range(events)]


def peak(times: int) -> int:
    """
    Return the most memory that reading 500 events so many times over takes, in bytes.
    """
    captured.AT_ONCE = 500
    tracemalloc.start()
    lines = many(500)
    base = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    endless = (
        line.replace(b'Id": "', f'Id": "{n}-'.encode()) for n in range(times) for line in lines
    )
    rows = captured.read(endless, TABLE, most=500)
    assert len(rows) == 500
    found = tracemalloc.get_traced_memory()[1] - base
    tracemalloc.stop()
    return found


def test_memory_does_not_grow_with_the_events() -> None:
    """Beyond the rows that are kept, the newest ones, more events take no more memory."""
    # In a process of its own: what other tests' threads take would be counted too.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        few, many_more = pool.map(peak, (5, 20))
    assert many_more < 1.5 * few
