"""An alarm takes a difference that matters and that chance does not make."""

import numpy as np
import pytest
from monitoring import accuracy, drift

from project import TOP
from sagemaker_runtime.baseline import moments
from sagemaker_runtime.baseline.bins import Bins
from sagemaker_runtime.baseline.moments import Moments

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.gamma(2, 5, 2_000)
BASELINE = Moments.of_baseline(LABELS, LABELS + RANDOM.normal(0, 2, 2_000))


def errors(rows: int, mean: float = 0.0, scale: float = 2.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, scale, rows)


def compared(found: np.ndarray, baseline: np.ndarray) -> drift.Drift:
    (one,) = drift.compare({"size": Bins.of(baseline)}, {"size": found})
    return one


def test_a_shifted_column_has_drifted() -> None:
    """A shift by a standard deviation is seen at a hundred rows, none and a small one are not."""
    baseline = RANDOM.normal(size=10_000)
    assert compared(RANDOM.normal(1, 1, 100), baseline).has_drifted
    assert not compared(RANDOM.normal(0, 1, 100), baseline).has_drifted
    small = compared(RANDOM.normal(0.1, 1, 100_000), baseline)
    assert small.p < 1e-6  # no chance, and yet of no matter
    assert not small.has_drifted


def test_few_rows_differ_by_chance() -> None:
    """An index above the threshold is no alarm while chance explains it."""
    indices = [compared(RANDOM.normal(size=50), RANDOM.normal(size=9_000)) for _ in range(50)]
    assert max(each.psi for each in indices) > drift.MATTERS
    assert sum(each.has_drifted for each in indices) <= 1
    assert drift.compare({"size": Bins.of(LABELS)}, {"size": LABELS[:49]}) == []


def test_the_bin_that_changed_most_is_named() -> None:
    """What is new, or missing all at once, is said."""
    baseline = np.array(["a", "b"] * 500, object)
    found = compared(np.array(["a", "a", "b", "c"] * 50, object), baseline)
    assert found.has_drifted
    assert found.most_changed in ("other", "b")
    found = compared(np.where(np.arange(200) < 100, np.nan, 1.0), np.ones(1000))
    assert (found.most_changed, found.share_now) == ("1", 0.5)


def test_the_page_states_the_figures_of_the_program() -> None:
    """What raises an alarm is written as it is computed."""
    page = " ".join((TOP / "docs/monitoring.md").read_text("utf-8").split())
    few, many = accuracy.NEWEST
    assert accuracy.FEWEST_ROWS == drift.FEWEST_ROWS
    assert (accuracy.MEAN_MARGIN, accuracy.MAE_MARGIN) == (1 / 5, 1 / 4)
    for text in (
        f"index above {drift.MATTERS}, and chi² with p below {drift.CHANCE:.0%} over all columns",
        f"a fifth of its mean absolute error, by {accuracy.ONCE} standard errors",
        f"a quarter above the baseline's, by {accuracy.ONCE} standard errors",
        f"quantiles {100 * moments.LOW:g} and {100 * moments.HIGH:g} %",
        f"newest {few} and {many} labelled rows whenever {accuracy.EVERY} more have come, and "
        f"takes {accuracy.AGAIN:g} standard errors",
        f"fewer than {drift.FEWEST_ROWS} were captured",
    ):
        assert text.replace("1%", "1 %") in page


@pytest.mark.parametrize(
    ("found", "has_shifted", "has_grown"),
    [
        (errors(500), False, False),
        (errors(500, mean=0.2), False, False),  # within the margin
        (errors(500, mean=1.5), True, False),
        (errors(500, scale=4), False, True),
        (errors(49, mean=9), False, False),  # too few
    ],
)
def test_errors_beyond_the_margin_raise_an_alarm(
    found: np.ndarray, has_shifted: bool, has_grown: bool
) -> None:
    """A shift shows in the mean, broken labels in the absolute error."""
    judged = accuracy.judge(BASELINE, found)
    assert judged.has_shifted() is has_shifted
    assert judged.has_grown() is has_grown or has_shifted


def test_one_mistyped_label_decides_nothing() -> None:
    """Errors are clipped where the baseline's end."""
    found = errors(500)
    found[7] = 1e6
    assert not accuracy.judge(BASELINE, found).alarms()


def test_texts_are_right_or_wrong() -> None:
    """Of classes the error is the share that is wrong."""
    labels = np.array(["a", "b"] * 500, object)
    wrong = np.where(np.arange(1000) % 10 == 0, "c", labels)
    baseline = Moments.of_baseline(labels, wrong)
    assert baseline.mae == pytest.approx(0.1)
    assert accuracy.judge(baseline, (np.arange(500) % 3 == 0).astype(float)).has_grown()
    assert not accuracy.judge(baseline, (np.arange(500) % 9 == 0).astype(float)).alarms()


def test_segments_are_compared_with_themselves() -> None:
    """A segment that always erred more is no news; one that begins to is."""
    baseline = {"part": {"easy": Moments.of(errors(500)), "hard": Moments.of(errors(500, 3))}}
    found = np.concatenate([errors(200, 2, seed=2), errors(200, 3, seed=3)])
    rows = {"part": {"easy": np.arange(400) < 200, "hard": np.arange(400) >= 200}}
    segments = accuracy.by_segment(baseline, BASELINE, found, rows)["part"]
    assert segments["easy"].z_mean > 5
    assert segments["hard"].z_mean < 1


def test_the_rolling_check_raises_its_alarm_soon_after_the_change() -> None:
    """A quiet stream stays quiet; after a change the first alarm names its row."""
    quiet = errors(2_000)
    assert accuracy.first_alarm(BASELINE, quiet) is None
    stream = np.concatenate([quiet, errors(500, mean=2, seed=5)])
    found = accuracy.first_alarm(BASELINE, stream)
    assert found is not None
    assert 2_000 < found <= 2_200
