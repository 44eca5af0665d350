"""What a report says of a window beyond drift and errors."""

from pathlib import Path

import pytest
from monitoring import captured, page, plain, report
from monitoring.captured import Captured

import watched
from captures import TABLE, event, side
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.formats.schema import Columns


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    return watched.train(tmp_path)


def rows() -> Captured:
    """One request of three rows, and an answer whose request was not captured."""
    lines = (
        event(side("-1,flat\n2,\n-3,flat\n"), side("3\n6\n9\n")),
        event(None, side("1\n"), at=1),
    )
    return captured.read(lines, TABLE)


def signs(columns: Columns) -> dict[str, object]:
    return {"sign": ~(columns["size"] >= 0), "kind": columns["kind"] == "boat"}


def test_repaired_rows_are_counted_by_the_algorithms_rules(baseline: Baseline) -> None:
    """The rules are asked about rows as they came; what was not captured is no part of them."""
    found = report.make(baseline, rows(), repairs=signs)
    assert plain.as_json(found)["repaired_rows"] == {"sign": 2, "kind": 0}
    assert "Rows that the model puts right: sign 66.67% (2), kind 0.00% (0)." in page.render(found)


def test_without_rules_nothing_is_claimed(baseline: Baseline) -> None:
    """An algorithm that does not say what it puts right has no such line."""
    found = report.make(baseline, rows())
    assert plain.as_json(found)["repaired_rows"] is None
    assert "puts right" not in page.render(found)
