"""
Champion and challenger: the paired difference of their errors on rows that neither has seen.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Literal

import numpy as np

from monitoring import rows
from sagemaker_runtime.baseline import outcomes
from sagemaker_runtime.baseline.moments import errors_of
from sagemaker_runtime.errors import DataError
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.schema import Column, Columns

CONFIDENCE = 0.95
BLOCKS = 5
DRAWS = 4_000  # the interval's ends then differ by a hundredth of its length from seed to seed
ORDERS, CHANCE = 500, 0.01  # of shuffled labels, and the share of them that may be as near
FEWEST_ROWS = 50  # fewer decide nothing: a few odd labels among them would
# Of more rows than this, means are as good as normally distributed: drawing them shows no more.
MOST_DRAWN = 5_000


@dataclass(frozen=True)
class Errors:
    """
    What a model's errors, prediction less label, are like; of texts, the share that is wrong.
    """

    mae: float
    bias: float


@dataclass(frozen=True)
class Comparison:
    """
    The verdict on a challenger. ``gain`` is what its absolute error is smaller by on average,
    ``low`` and ``high`` are the ends of the 95 % interval; ``rows_to_decide`` is how many rows
    would decide an undecided comparison if the gain stays as it is; ``belongs`` tells whether the
    challenger is nearer to the labels than to shuffled ones; ``measure`` says what ``mae`` is.
    """

    verdict: Literal["better", "worse", "undecided"]
    rows: int
    gain: float
    low: float
    high: float
    champion: Errors
    challenger: Errors
    rows_to_decide: int | None = None
    belongs: bool = True
    measure: str = "mean absolute error"

    def sentence(self) -> str:
        """
        Say in one sentence what was found.
        """
        found = (
            f"{self.measure} {self.challenger.mae:.4g} instead of {self.champion.mae:.4g} on "
            f"{self.rows:,} rows, a gain of {self.gain:+.3g} [{self.low:+.3g}, {self.high:+.3g}]"
        )
        if self.verdict != "undecided":
            return f"the challenger is {self.verdict}: {found}"
        if not self.belongs:
            return f"undecided, the labels do not belong to the rows: {found}"
        if self.rows_to_decide is None:
            return f"undecided, both err alike: {found}"
        return f"undecided: {found}; about {self.rows_to_decide:,} rows would decide"

    def as_dict(self) -> dict[str, Any]:
        """
        Return it as plain values, ready for JSON.
        """
        return {**asdict(self), "sentence": self.sentence()}


def compare(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> Comparison:
    """
    Compare two models' predictions for the same rows, values as ``outcomes.read`` returns them, by
    a paired bootstrap of the absolute error.

    Raises DataError for rows that one of them has no prediction for.
    """
    errors = {
        name: _errors(labels, predicted, name)
        for name, predicted in (("champion", champion), ("challenger", challenger))
    }
    gains = np.abs(errors["champion"]) - np.abs(errors["challenger"])
    gain, number = float(gains.mean()), len(gains)
    low, high = _interval(gains)
    verdict: Literal["better", "worse", "undecided"] = "undecided"
    needed = None
    # Of labels in disorder the best guess is their mean: what saw some of them seems better.
    belongs = _belong(labels, challenger)
    if number >= FEWEST_ROWS and ((low > 0 and belongs) or high < 0):
        verdict = "better" if low > 0 else "worse"
    elif gain:
        # The interval shrinks with the root of the number of rows.
        needed = max(FEWEST_ROWS, number + 1, ceil(number * ((high - low) / 2 / gain) ** 2))
    described = {
        name: Errors(float(np.abs(each).mean()), float(each.mean()))
        for name, each in errors.items()
    }
    measure = "mean absolute error" if labels.dtype.kind == "f" else "share of wrong predictions"
    return Comparison(
        verdict, number, gain, low, high, **described,
        rows_to_decide=needed, belongs=belongs, measure=measure,
    )  # fmt: skip


def cross_fitted(
    new: Columns,
    label: Column,
    champion: Callable[[Columns], np.ndarray],
    fit: Callable[[Columns], Callable[[Columns], np.ndarray]],
) -> Comparison:
    """
    Compare a champion with challengers on all new rows: each of BLOCKS consecutive blocks is judged
    by a challenger that was fitted without it.

    ``fit`` is given new rows, adds the old ones and returns what predicts.
    """
    found = []
    for number, block in enumerate(rows.blocks(count(new), BLOCKS), 1):
        print(f"challenger {number} of {BLOCKS}", flush=True)
        challenger = fit(rows.without(new, block))
        found.append(challenger({name: values[block] for name, values in new.items()}))
    return compare(outcomes.read(label, new[label.name]), champion(new), np.concatenate(found))


def _errors(labels: np.ndarray, predicted: np.ndarray, name: str) -> np.ndarray:
    """
    Return each row's error: prediction less label, of texts 1 where they differ.
    """
    if missing := int((~outcomes.present(predicted)).sum()):
        raise DataError(
            f"the {name} has no prediction for {missing} of {len(labels)} rows; expected a value "
            "of the label for each. Leave these rows out, or let predict answer them."
        )
    return predicted - labels if labels.dtype.kind == "f" else errors_of(labels, predicted)


def _belong(labels: np.ndarray, predicted: np.ndarray) -> bool:
    """
    Tell whether predictions are nearer to their labels than to nearly all orders of these.
    """
    random = np.random.default_rng(0)
    own = np.abs(_errors(labels, predicted, "challenger")).mean()
    orders = [
        np.abs(_errors(random.permutation(labels), predicted, "challenger")).mean()
        for _ in range(ORDERS)
    ]
    return bool(own < np.quantile(orders, CHANCE))


def _interval(gains: np.ndarray) -> tuple[float, float]:
    """
    Return the ends of the interval in which the mean lies: those of means drawn with replacement.
    """
    number = len(gains)
    ends = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    random = np.random.default_rng(0)
    if number > MOST_DRAWN:
        deviations = random.standard_normal(DRAWS) * gains.std() / number**0.5
        means = gains.mean() + deviations
    else:
        means = np.array([gains[random.integers(0, number, number)].mean() for _ in range(DRAWS)])
    low, high = np.quantile(means, ends)
    return float(low), float(high)
