"""
Whether columns are distributed as in training: by counts per bin, without any training row.

A difference must be large enough to matter and too large for chance. Either alone is no use: with
enough rows every difference is significant, and of few rows many differences are large.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency

from sagemaker_runtime.baseline.bins import Bins, psi

# Population stability index above which a difference matters. On real windows of 500 rows, 0.1
# raised an alarm in every third, 0.2 in one of 83.
MATTERS = 0.2
# Probability of a difference by chance, over all columns together.
CHANCE = 0.01
# In fewer rows nothing is looked for.
FEWEST_ROWS = 50


@dataclass(frozen=True)
class Drift:
    """
    A column's distribution beside the baseline's: the index, the probability of such a difference
    by chance, and the bin whose share changed most.
    """

    name: str
    rows: int
    psi: float
    p: float
    has_drifted: bool
    most_changed: str
    share_before: float
    share_now: float
    counts: np.ndarray


def compare(baseline: Mapping[str, Bins], found: Mapping[str, np.ndarray]) -> list[Drift]:
    """
    Compare columns, of which those of too few rows are left out.
    """
    found = {
        name: values
        for name, values in found.items()
        if name in baseline and baseline[name].counts.any() and len(values) >= FEWEST_ROWS
    }
    return [_compared(name, baseline[name], found[name], len(found)) for name in found]


def _compared(name: str, bins: Bins, values: np.ndarray, columns: int) -> Drift:
    counts = bins.count(values)
    index = psi(bins.counts, counts)
    used = (bins.counts + counts) > 0
    p = 1.0
    if used.sum() > 1:
        p = float(chi2_contingency([bins.counts[used], counts[used]]).pvalue)
    before, now = bins.counts / bins.counts.sum(), counts / counts.sum()
    most = int(np.argmax(np.abs(now - before)))
    has_drifted = index > MATTERS and p < CHANCE / columns
    return Drift(
        name, len(values), index, p, has_drifted, bins.names[most], float(before[most]),
        float(now[most]), counts,
    )  # fmt: skip
