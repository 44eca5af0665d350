"""Labels that are not numbers: predictions are right or wrong, in training and while it serves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monitoring import captured, page, plain, report, truth, verdict
from monitoring.report import Report
from monitoring.verdict import Verdict
from prometheus_client import CollectorRegistry

from captures import event, side
from sagemaker_runtime.algorithm import Column, Rows, Table
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.baseline.seen import Seen
from sagemaker_runtime.formats import values
from sagemaker_runtime.serving import drift

ROWS = 400
KINDS: dict[str, tuple[Column, Sequence[str], Sequence[Any]]] = {
    # The label, as it is written for a row of either class, and what predict returns.
    "boolean": (Column("label", "boolean", "true"), ("true", "false"), (True, False)),
    "0 and 1": (Column("label", "boolean", "1", optional=True), ("1", "0"), (1.0, 0.0)),
    "True": (Column("label", "boolean", "True"), ("True", "False"), (1, 0)),
    "digits": (Column("label", "text", "007"), ("007", "1"), ("007", "1")),
    "nan": (Column("label", "text", "nan"), ("nan", "1.0"), ("nan", "1.0")),
    "codes": (Column("label", "text", "1"), ("1", "2"), (1, 2)),
    "texts": (Column("label", "text", "a"), ("a", "b, c"), ("a", "b, c")),
    "days": (Column("label", "timestamp", "2014-01-01"), ("2014-01-01", "2014-01-02"), ()),
}


def classes(rows: int, wrong: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's class, 0 or 1, and the predicted one."""
    random = np.random.default_rng(seed)
    actual = random.integers(0, 2, rows)
    return actual, np.where(random.random(rows) < wrong, 1 - actual, actual)


def trained(folder: Path, kind: str, wrong: float) -> Baseline:
    """Leave the baseline of a model that is wrong so often."""
    label, written, returned = KINDS[kind]
    actual, predicted = classes(2_000, wrong, seed=1)
    columns = {
        "size": np.random.default_rng(2).normal(size=len(actual)),
        "label": values.convert(label, [written[each] for each in actual]),
    }
    seen = Seen()
    list(seen.watch([columns]))
    seen.judge(columns, [(returned or written)[each] for each in predicted])
    seen.save(folder, Table(Column("size", "number", "1"), label=label))
    found = Baseline.load(folder)
    assert found
    return found


def served(
    baseline: Baseline, kind: str, wrong: float, media_type: str = "text/csv", seed: int = 3
) -> Report:
    """Return the report on requests that were answered as a server answers, with their labels."""
    _, written, returned = KINDS[kind]
    actual, predicted = classes(ROWS, wrong, seed)
    answer = Rows().write([([(returned or written)[each] for each in predicted], ROWS)], media_type)
    sizes = "\n".join(f"{each}" for each in np.random.default_rng(4).normal(size=ROWS))
    lines = [event(side(sizes), side(answer.decode(), media_type), "a")]
    labels = ["inference_id,row,label", *(f'a,{n},"{written[e]}"' for n, e in enumerate(actual))]
    assert baseline.table.label
    told = truth.read([f"{line}\n".encode() for line in labels], baseline.table.label)
    return report.make(baseline, captured.read(lines, baseline.table), told)


@pytest.mark.parametrize("media_type", ["text/csv", "application/json"])
@pytest.mark.parametrize("kind", KINDS)
def test_as_many_are_wrong_as_in_training(tmp_path: Path, kind: str, media_type: str) -> None:
    """Whatever a label is and however it is written, a right prediction is right."""
    baseline = trained(tmp_path, kind, wrong=0.1)
    assert baseline.errors
    assert baseline.errors.mae == pytest.approx(0.1, abs=0.02)
    found = served(baseline, kind, 0.1, media_type)
    assert found.accuracy
    assert found.accuracy.moments.rows == ROWS
    assert found.accuracy.moments.mae == pytest.approx(0.1, abs=0.04)
    assert verdict.of(found) == Verdict.QUIET
    assert "11.5% of predictions are wrong on 400 labelled rows" in verdict.sentence(found)


def test_more_wrong_predictions_are_an_alarm_fewer_are_none(tmp_path: Path) -> None:
    """The sentence and the page say which share is wrong; nothing is called too low or too high."""
    baseline = trained(tmp_path, "texts", wrong=0.2)
    worse = served(baseline, "texts", 0.4)
    assert verdict.of(worse) == Verdict.ERRORS
    assert "% of predictions are wrong instead of 2" in verdict.sentence(worse)
    assert "wrong predictions" in page.render(worse)
    assert "label less prediction" not in page.render(worse)
    json.dumps(plain.as_json(worse), allow_nan=False)
    assert verdict.of(served(baseline, "texts", 0.02)) == Verdict.QUIET


def test_what_is_no_value_of_the_label_is_counted(tmp_path: Path) -> None:
    """An answer of another kind is no prediction, and is not silently wrong."""
    baseline = trained(tmp_path, "boolean", wrong=0.1)
    rows = captured.read([event(side("1\n2\n3"), side("0.7\ntrue\n\n"), "a")], baseline.table)
    assert rows.predicted.tolist() == ["", "true", ""]
    assert rows.counts["unreadable predictions"] == 1


@pytest.mark.parametrize(
    ("kind", "predicted", "why"),
    [
        ("boolean", np.full((2_000, 2), 0.7), "no row has both a label and a prediction"),
        ("texts", np.full((2_000, 2), 0.7), "no prediction, such as '0.7', is among the labels"),
    ],
)
def test_probabilities_are_no_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, predicted: np.ndarray, why: str
) -> None:
    """Training says that it keeps no errors of them, instead of calling all of them wrong."""
    label, written, _ = KINDS[kind]
    columns = {
        "size": np.arange(2_000.0),
        "label": values.convert(label, [written[row % 2] for row in range(2_000)]),
    }
    seen = Seen()
    list(seen.watch([columns]))
    seen.judge(columns, predicted)
    seen.save(tmp_path, Table(Column("size", "number", "1"), label=label))
    found = Baseline.load(tmp_path)
    assert found
    assert found.errors is None
    assert why in caplog.text


def test_metrics_count_classes_as_the_baseline_does(tmp_path: Path) -> None:
    """What predict returns is counted by the label's rule, so that the index is near zero."""
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        baseline, (_, written, returned) = trained(tmp_path / kind, kind, 0.1), KINDS[kind]
        registry, bins = CollectorRegistry(), drift.bins_of(baseline)
        _, predicted = classes(ROWS, 0.1, seed=3)
        answered = [(returned or written)[each] for each in predicted]
        drift.Newest(bins, baseline.table.label, registry).add([({}, answered)])
        (index,) = (
            sample.value
            for metric in drift.WithIndex(registry, bins).collect()
            for sample in metric.samples
            if sample.name == drift.INDEX
        )
        assert index < 0.05, kind
