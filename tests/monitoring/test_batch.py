"""Answers of batch jobs become rows, beside what was asked or joined with it."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from monitoring import batch, captured
from monitoring.captured import Captured

from captures import TABLE
from sagemaker_runtime.algorithm import Column, Table

IDS = [f"1f1d57b1-2e6f-488c-8c30-db4e6d75786{n}" for n in range(2)]
WHEN = "2022-08-30T00:49:15Z"


def read(name: str, answered: str, given: str | None = None, table: Table = TABLE) -> Captured:
    counts: Counter[str] = Counter()
    asked = None if given is None else given.encode()
    found = batch.events(name, answered.encode(), asked, table, counts)
    return captured.joined(found, table, counts)


@pytest.mark.parametrize(
    ("name", "answered", "given"),
    [
        ("a.csv", "310\n400\n", "84.5,flat\n120,\n"),
        ("a.csv", "310,0.9\n400,0.8\n", "size,kind\n84.5,flat\n120,\n"),
        ("a.csv", "84.5,flat,310\n120,,400\n", None),
        ("a.csv", '{"price": 310}\n{"price": 400}\n', "84.5,flat\n120,\n"),
        (
            "a.jsonl",
            '{"price": 310}\n{"price": 400}\n',
            '{"size": 84.5, "kind": "flat"}\n{"size": 120}',
        ),
        (
            "a.jsonl",
            '{"size": 84.5, "kind": "flat", "SageMakerOutput": {"price": 310}}\n'
            '{"size": 120, "SageMakerOutput": 400}\n',
            None,
        ),
        (
            "a.json",
            '{"predictions": [310, 400]}',
            '{"instances": [{"size": 84.5, "kind": "flat"}, {"size": 120}]}',
        ),
    ],
    ids=["csv", "header", "joined csv", "other answers", "json lines", "joined json", "json"],
)
def test_rows_are_named_by_file_and_number(name: str, answered: str, given: str | None) -> None:
    """Without ids of the job, each form is the same rows."""
    rows = read(name, answered, given)
    assert rows.ids.tolist() == [name, name]
    assert rows.numbers.tolist() == [0, 1]
    assert rows.asked.all()
    assert rows.columns["size"].tolist() == [84.5, 120]
    assert rows.columns["kind"].tolist() == ["flat", ""]
    assert rows.predicted.tolist() == [310, 400]
    assert np.isnat(rows.times).all()


@pytest.mark.parametrize(
    ("answers", "given"),
    [
        (["310", "400"], "84.5,flat\n120,\n"),
        (["84.5,flat,310", "120,,400"], None),
    ],
    ids=["csv", "joined"],
)
def test_rows_are_named_by_the_ids_of_the_job(answers: list[str], given: str | None) -> None:
    """With GenerateInferenceId a row has an id of its own, and the time at which the job began."""
    lines = [f"{each},{name},{WHEN}\n" for each, name in zip(answers, IDS, strict=True)]
    rows = read("a.csv", "".join(lines), given)
    assert rows.ids.tolist() == IDS
    assert rows.numbers.tolist() == [0, 0]
    assert rows.columns["size"].tolist() == [84.5, 120]
    assert rows.predicted.tolist() == [310, 400]
    assert rows.times.astype(str).tolist() == [WHEN[:-1]] * 2


def test_ids_in_json_lines() -> None:
    """They are keys there, which are no part of the answer."""
    rest = f'"SageMakerInferenceId": "{IDS[0]}", "SageMakerInferenceTime": "{WHEN}"'
    rows = read("a.jsonl", f'{{"price": 310, {rest}}}\n', '{"size": 84.5}\n')
    assert rows.ids.tolist() == [IDS[0]]
    assert rows.predicted.tolist() == [310]
    joined = read("a.jsonl", f'{{"size": 84.5, "SageMakerOutput": 310, {rest}}}\n')
    assert joined.columns["size"].tolist() == [84.5]
    assert joined.predicted.tolist() == [310]
    assert not joined.unknown


def test_a_label_with_commas_is_parted_from_its_row() -> None:
    """It stands in quotes behind the row."""
    table = Table(*TABLE.features, label=Column("price", "text", "cheap"))
    rows = read("a.csv", '84.5,flat,"dear, very"\n120,,cheap\n', table=table)
    assert rows.predicted.tolist() == ["dear, very", "cheap"]
    assert rows.columns["kind"].tolist() == ["flat", ""]


def test_answers_alone_have_predictions() -> None:
    """Without the file that was asked, nothing is known of the columns."""
    rows = read("a.csv", "310,0.9\n400,0.8\n")
    assert not rows.asked.any()
    assert rows.predicted.tolist() == [310, 400]


def test_a_file_of_another_length_is_not_what_was_asked() -> None:
    """Rows are not put beside answers by guess; the file is counted."""
    rows = read("a.csv", f"310,{IDS[0]},{WHEN}\n", "84.5,flat\n120,\n")
    assert not rows.asked.any()
    assert rows.counts["unreadable requests"] == 1
    whole = read("a.csv", "310\n", "84.5,flat\n120,\n")
    assert np.isnan(whole.predicted).all()
    assert whole.counts["unreadable answers"] == 1


def test_rows_without_a_time_are_in_no_window() -> None:
    """They are counted when one is looked at."""
    rows = read("a.csv", "310\n", "84.5,flat\n")
    assert len(rows.between(None, None)) == 1
    window = rows.between(datetime(2012, 9, 4, tzinfo=UTC), None)
    assert len(window) == 0
    assert window.counts["rows without a time"] == 1
