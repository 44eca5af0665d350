"""
The verdict on a challenger: statistics of paired errors.
"""

import json

import numpy as np
import pytest
from monitoring import card
from monitoring.compare import FEWEST_ROWS, MOST_DRAWN, compare, cross_fitted

from sagemaker_runtime.algorithm import Column
from sagemaker_runtime.errors import DataError

LABEL = Column("label", "number", "1")


@pytest.fixture
def labels() -> np.ndarray:
    """Labels of 400 rows."""
    return np.random.default_rng(1).gamma(2.0, 5.0, 400)


def near(labels: np.ndarray, spread: float, seed: int = 2) -> np.ndarray:
    """Predictions that err by so much."""
    return labels + spread * np.random.default_rng(seed).standard_normal(len(labels))


def test_a_smaller_error_is_better_and_a_larger_one_worse(labels):
    """The interval of the paired difference lies on one side of zero, and says so in words."""
    good, bad = near(labels, 1.0), near(labels, 2.0, seed=3)
    better, worse = compare(labels, bad, good), compare(labels, good, bad)
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.low > 0 > worse.high
    assert better.gain == pytest.approx(-worse.gain)
    assert better.sentence().startswith("the challenger is better: mean absolute error 0.8")
    assert "on 400 rows" in better.sentence()
    assert better.challenger.mae == pytest.approx(np.abs(good - labels).mean())
    assert better.champion.bias == pytest.approx((bad - labels).mean())


def test_an_undecided_comparison_says_how_many_rows_would_decide(labels):
    """As many rows as it says, of the same kind, decide about half of the time."""
    rng = np.random.default_rng(4)

    def pairs(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        true = rng.gamma(2.0, 5.0, rows)
        return true, true + rng.normal(0, 1.1, rows), true + rng.normal(0, 1.0, rows)

    undecided = compare(*pairs(60))
    while undecided.verdict != "undecided" or undecided.gain < 0.05:
        undecided = compare(*pairs(60))
    assert undecided.rows_to_decide > 60
    assert f"about {undecided.rows_to_decide:,} rows would decide" in undecided.sentence()
    assert compare(*pairs(20_000)).verdict == "better"
    alike = compare(labels, labels, labels)
    assert (alike.verdict, alike.rows_to_decide) == ("undecided", None)
    assert "both err alike" in alike.sentence()


def test_a_few_rows_decide_nothing(labels):
    """However clear they are."""
    few = labels[: FEWEST_ROWS - 1]
    found = compare(few, few + 5, few)
    assert (found.verdict, found.rows_to_decide) == ("undecided", FEWEST_ROWS)


def test_labels_in_disorder_make_nothing_better(labels):
    """A model that has learned to say the mean of shuffled labels is not better for it."""
    shuffled = np.random.default_rng(7).permutation(labels)
    found = compare(shuffled, labels, np.full(len(labels), np.median(labels)))
    assert found.low > 0
    assert (found.verdict, found.belongs) == ("undecided", False)
    assert "the labels do not belong to the rows" in found.sentence()


def test_a_plain_mean_would_not_see_what_pairs_show(labels):
    """Rows that are hard for both models do not hide a small gain that is there in each row."""
    hard = 20 * np.random.default_rng(5).standard_normal(len(labels))
    found = compare(labels, labels + hard, labels + hard * 0.99)
    assert found.verdict == "better"


def test_many_rows_are_judged_alike():
    """Above some rows the interval is computed; it agrees with the one that is drawn."""
    rng = np.random.default_rng(6)
    true = rng.gamma(2.0, 5.0, MOST_DRAWN + 1)
    champion, challenger = true + rng.normal(0, 2, true.size), true + rng.normal(0, 2, true.size)
    computed = compare(true, champion, challenger)
    drawn = compare(true[1:], champion[1:], challenger[1:])
    assert computed.low == pytest.approx(drawn.low, abs=0.002)
    assert computed.high == pytest.approx(drawn.high, abs=0.002)


def test_texts_are_right_or_wrong():
    """Of labels that are texts, the share of wrong predictions is compared."""
    true = np.array(["a", "b"] * 60, object)
    found = compare(true, np.array(["a"] * 120, object), true)
    assert "share of wrong predictions 0 instead of " in found.sentence()
    assert found.verdict == "better"
    assert (found.champion.mae, found.challenger.mae) == (0.5, 0.0)


def test_a_row_without_prediction_is_refused(labels):
    """It says whose and how many."""
    with pytest.raises(DataError, match="the challenger has no prediction for 1 of 400 rows"):
        compare(labels, labels, np.concatenate([[np.nan], labels[1:]]))


def test_cross_fitting_never_judges_a_row_by_a_model_that_saw_it(labels):
    """Each of five challengers is given all rows but the consecutive block that it predicts."""
    new = {"place": np.arange(400.0), "label": labels}

    def fit(some):
        assert len(some["place"]) == 320

        def predict(asked):
            assert not set(asked["place"]) & set(some["place"])
            assert np.array_equal(np.diff(asked["place"]), np.ones(79))
            return asked["label"]

        return predict

    found = cross_fitted(new, LABEL, lambda asked: asked["label"] + 1, fit)
    assert (found.verdict, found.rows, found.gain) == ("better", 400, pytest.approx(1))


def test_a_model_card_has_the_form_of_sagemaker(labels):
    """Its parts, and types of figures, are those of a model card; figures are in it."""
    found = compare(labels, labels + 1, labels)
    text = card.content(found, "some rows", "price", {"rounds": "5"}, ["s3://b/data/"], "abc")
    content = json.loads(text)
    assert set(content) == {
        "model_overview",
        "training_details",
        "evaluation_details",
        "additional_information",
    }
    (evaluation,) = content["evaluation_details"]
    assert "the challenger is better" in evaluation["evaluation_observation"]
    data = evaluation["metric_groups"][0]["metric_data"]
    assert {each["type"] for each in data} == {"number"}
    assert {"name": "gain", "type": "number", "value": 1.0} in data
