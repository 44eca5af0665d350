"""
The model is judged forward: one of earlier trips on later ones.
"""

from collections.abc import Callable

import numpy as np
import pytest

from sagemaker_runtime.algorithm import Columns
from taxi_fare import features, forward
from taxi_fare.cleaning import clean, split
from taxi_fare.evaluation import evaluate
from taxi_fare.evaluation_page import render
from taxi_fare.simulation import simulate


@pytest.fixture(scope="module")
def trips():
    return clean([simulate(20_000, seed=3)])


def constant(fare: float) -> Callable[[Columns], np.ndarray]:
    return lambda columns: np.full(len(columns["pickup_datetime"]), fare)


def judged(trips, fit, predicted=None):
    known, held_out = split(trips[0], 0.2, seed=0)
    if predicted is None:
        predicted = held_out["fare_amount"]
    return forward.judge(known, held_out | {"predicted": predicted}, fit)


def test_the_earlier_model_sees_no_later_trip(trips):
    """It is fitted on trips before the date and asked for held-out ones from the date on."""
    seen = []

    def fit(columns):
        seen.append(columns["pickup_datetime"])

        def predict(later):
            seen.append(later["pickup_datetime"])
            return later["fare_amount"] + 2.0

        return predict

    result = judged(trips, fit)
    since = np.datetime64(result["since"])
    assert seen[0].max() < seen[1].min()
    assert seen[1].min() >= since
    assert result["rows"] == len(seen[1]) > 600
    assert result["mae"] == pytest.approx(2.0)
    assert result["same_time"]["mae"] == 0.0
    assert sum(group["rows"] for group in result["by_age"]) == result["rows"]
    assert [group["mae"] for group in result["by_age"]] == pytest.approx([2.0] * forward.AGES)


def test_trips_of_a_few_weeks_are_not_judged_forward(trips):
    """Within two months a model hardly ages, and nothing is said."""
    start = np.datetime64("2013-05-01")
    rows = (trips[0]["pickup_datetime"] - start) / np.timedelta64(1, "D")
    month = {name: values[(rows >= 0) & (rows < 40)] for name, values in trips[0].items()}
    many = {name: np.tile(values, 40) for name, values in month.items()}
    many["predicted"] = many["fare_amount"]
    assert forward.judge(many, many, constant(9.0)) is None


def test_the_page_says_which_error_to_expect(trips):
    """The forward error stands beside the other one, with the price of age and a picture."""
    result = judged(trips, lambda known: lambda later: later["fare_amount"] + 2.0)
    columns, report = trips
    evaluation = evaluate(columns["fare_amount"], columns["fare_amount"] + 1.5, columns)
    page = render(evaluation | {"forward": result}, {"hour": 1.0}, report, {}, {})
    assert "<b>Expect a miss of about $2.00</b> rather than the $1.50 above" in page
    assert "Mean absolute error by age of the model" in page
    assert "+2.00 dollars in the first" in page
    without = render(evaluation, {"hour": 1.0}, report, {}, {})
    assert "is not known here" in " ".join(without.split())


def test_days_stop_a_quarter_before_the_last_trip(trips):
    """To the model, a trip of next year is one of its last quarter."""
    columns = {name: values[:2].copy() for name, values in trips[0].items()}
    columns["pickup_datetime"][:] = np.datetime64("2016-03-01")
    last_day = features.last_day(trips[0])
    newest = trips[0]["pickup_datetime"].max().astype("datetime64[D]")
    assert last_day == (newest - np.datetime64("2009-01-01")).astype(int) - 90
    days = features.build(columns, last_day=last_day)[:, features.FEATURES.index("days")]
    assert days.tolist() == [last_day] * 2
