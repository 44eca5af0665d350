"""
Retraining on real trips: which challengers pass the gate, and which do not.

Seconds with eight trips or more are left out: they come from the way in which the sample was drawn.
Models are fitted as train does it, without its pages and checks.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from monitoring.compare import Comparison, compare, cross_fitted
from monitoring.retraining import JUDGED
from monitoring.rows import COPIES

from project import TOP
from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.formats.columns import count, join
from sagemaker_runtime.training import tables
from taxi_fare import cleaning, training
from taxi_fare.hyperparameters import HYPERPARAMETERS
from taxi_fare.schema import FARE, INPUT

REAL = TOP.parent / "shared/data/nyc_taxi/train.csv.gz"
pytestmark = pytest.mark.skipif(
    not REAL.exists(), reason="the real trips are not beside the project"
)

TRAINED, RISE = "2012-08-01", "2012-09-04"
BROKEN = "2010-09-06", "2010-09-21"  # whose fares do not belong to the trips, in the real records

Predict = Callable[[Columns], np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """A second thread beside busy processes makes a fit many times as long."""
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT="1000")


@cache
def trips() -> Columns:
    """Return the cleaned trips in the order of their times."""
    with TemporaryDirectory() as folder:  # beside the file stand others that are no trips
        (Path(folder) / REAL.name).symlink_to(REAL)
        cleaned, _ = cleaning.clean([join(tables.read(Path(folder), INPUT))])
    times = cleaned["pickup_datetime"]
    seconds, number = np.unique(times, return_counts=True)
    rows = np.flatnonzero(~np.isin(times, seconds[number >= 8]))
    rows = rows[np.argsort(times[rows], kind="stable")]
    return {name: values[rows] for name, values in cleaned.items()}


def between(since: str, until: str, most: int | None = None) -> Columns:
    """Return the first trips of a time."""
    times = trips()["pickup_datetime"]
    ends = np.searchsorted(times, np.array([since, until], "datetime64[s]")).tolist()
    return {name: values[slice(*ends)][:most] for name, values in trips().items()}


def shuffled(columns: Columns) -> Columns:
    """Return trips with each other's fares."""
    fares = np.random.default_rng(0).permutation(columns[FARE.name])
    return {**columns, FARE.name: fares}


def fit(old: Columns | None, new: Columns) -> Predict:
    """Return what a challenger predicts that is trained on old and new trips."""
    hyperparameters: dict[str, Any] = {each.name: each.default for each in HYPERPARAMETERS}
    rows = join([*([old] if old else []), *[new] * (COPIES if old else 1)])
    kept, _ = cleaning.split(rows, hyperparameters["validation_fraction"], 0)
    job = SimpleNamespace(hyperparameters=hyperparameters)
    return training._fitted_on(cast(Any, job), kept)


@cache
def champion(until: str) -> Predict:
    """Return what the model predicts that is trained on all trips before a day."""
    return fit(None, between("2009-01-01", until))


def judged(until: str, old: Columns | None, new: Columns) -> Comparison:
    """Compare as a pipeline does: trained on the first new trips, judged on the last."""
    edge = round(count(new) * (1 - JUDGED))
    newest = {name: values[edge:] for name, values in new.items()}
    challenger = fit(old, {name: values[:edge] for name, values in new.items()})
    return compare(newest[FARE.name], champion(until)(newest), challenger(newest))


def test_500_trips_after_a_rise_make_a_better_model() -> None:
    """
    1. a model was trained before the rise of 2012-09-04 2. it meets 500 trips after it.
    Result: the challenger is better, and errs little in the second half of the following year.
    """
    old, new = between("2009-01-01", TRAINED), between(RISE, "2013-01-01", 500)
    found = cross_fitted(new, FARE, champion(TRAINED), lambda some: fit(old, some))
    assert found.verdict == "better", found.sentence()
    later = between("2013-06-01", "2013-12-01")
    errors = later[FARE.name] - fit(old, new)(later)
    print(found.sentence(), np.abs(errors).mean(), errors.mean())
    assert np.abs(errors).mean() <= 1.78
    assert abs(errors.mean()) <= 0.35


def test_new_trips_alone_are_worse() -> None:
    """700 of them do not make up for years that are left out."""
    found = judged(TRAINED, None, between(RISE, "2013-01-01", 700))
    assert found.verdict == "worse", found.sentence()


def test_shuffled_fares_are_refused() -> None:
    """Of the old trips by a mistake in the data: worse; of the new ones: never better."""
    old, new = between("2009-01-01", TRAINED), between(RISE, "2013-01-01", 500)
    found = judged(TRAINED, shuffled(old), new)
    assert found.verdict == "worse", found.sentence()
    found = judged(TRAINED, old, shuffled(new))
    assert found.verdict != "better", found.sentence()


def test_broken_fares_are_refused() -> None:
    """Those that were recorded in September 2010, trained on and judged on."""
    found = judged(BROKEN[0], between("2009-01-01", BROKEN[0]), between(*BROKEN))
    assert found.verdict != "better", found.sentence()


def test_a_plain_half_year_is_refused() -> None:
    """Trips of the first half of 2014 make no better model for its July and August."""
    new, judged_on = between("2014-01-01", "2014-07-01"), between("2014-07-01", "2014-09-01")
    challenger = fit(between("2009-01-01", "2014-01-01"), new)
    fares = judged_on[FARE.name]
    found = compare(fares, champion("2014-01-01")(judged_on), challenger(judged_on))
    assert found.verdict != "better", found.sentence()
