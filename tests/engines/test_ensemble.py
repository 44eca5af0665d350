"""The scores of an ensemble: the plain walk, the compiled one, and what features they take."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from random_trees import WIDTH, random_features, random_trees
from sagemaker_runtime.engines.compiled import LIBRARY
from sagemaker_runtime.engines.ensemble import Ensemble
from sagemaker_runtime.engines.trees import Trees

compiled = pytest.mark.skipif(
    not LIBRARY.exists(), reason="no compiled library: run container/compile.sh, it needs a cc"
)


def path_of(trees: Ensemble, row: np.ndarray) -> list[float]:
    """
    Score one row the way the documentation of Ensemble tells it, node by node.
    """
    totals, root = [-0.0] * len(trees.base), 0
    if trees.single:
        with np.errstate(over="ignore"):
            row = row.astype(np.float32)
    for size, output in zip(trees.sizes.tolist(), trees.output.tolist(), strict=True):
        tree = slice(root, root + size)
        feature, number, missing_left = (
            array[tree].tolist() for array in (trees.feature, trees.number, trees.missing_left)
        )
        node = 0
        while feature[node] >= 0:
            value = float(row[feature[node]])
            left = missing_left[node] if np.isnan(value) else value <= number[node]
            node = 2 * sum(f >= 0 for f in feature[:node]) + (1 if left else 2)
        if len(trees.vectors):
            vector = trees.vectors[int(number[node])].tolist()
            totals = [total + value for total, value in zip(totals, vector, strict=True)]
        else:
            totals[output] += number[node]
        root += size
    return [
        base + float(trees.scale) * total
        for base, total in zip(trees.base.tolist(), totals, strict=True)
    ]


KINDS = pytest.mark.parametrize(
    "kind",
    [
        {},
        {"outputs": 3},
        {"outputs": 4, "vectors": True},
        {"single": True},
        {"outputs": 2, "single": True, "vectors": True},
    ],
    ids=str,
)


@KINDS
@pytest.mark.parametrize("seed", range(5))
def test_the_score_is_what_the_documentation_says(seed: int, kind: dict[str, Any]) -> None:
    """Walking one row node by node in plain Python gives the same bits."""
    trees, features = random_trees(seed, **kind), random_features(seed, 60)
    plain = np.array([path_of(trees, row) for row in features])
    assert trees.walk(features).tobytes() == plain.tobytes()
    assert trees.score(features).tobytes() == plain.tobytes()


@compiled
@KINDS
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rows", [0, 1, 2, 11, 12, 13, 95, 96, 97, 109, 700])
def test_compiled_and_plain_scoring_agree_to_the_last_bit(
    seed: int, rows: int, kind: dict[str, Any]
) -> None:
    """Whatever the trees, and however many rows, with missing, infinite and equal values."""
    chain = seed % 2 == 1
    trees = random_trees(seed, trees=1 + seed * 3, leaves=1 + seed * 7, chain=chain, **kind)
    features = random_features(1000 * seed + rows, rows)
    assert trees.is_compiled
    assert trees.score(features).shape == (rows, len(trees.base))
    assert trees.score(features).tobytes() == trees.walk(features).tobytes()


@compiled
@pytest.mark.parametrize("threads", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("outputs", [1, 3])
def test_threads_change_no_bit(threads: int, outputs: int) -> None:
    """A batch split over any number of threads gives the same bits as the plain walk."""
    trees, features = random_trees(1, trees=8, outputs=outputs), random_features(1, 5003)
    assert trees.score(features, threads).tobytes() == trees.walk(features).tobytes()


@pytest.mark.parametrize(
    "view",
    [
        lambda features: features[::2],
        lambda features: features[::-1],
        np.asfortranarray,
        lambda features: np.hstack((features, features)),
        lambda features: features.astype(object),
        lambda features: np.frombuffer(b"x" + features.tobytes(), offset=1).reshape(-1, WIDTH),
    ],
    ids=["every other row", "backwards", "by column", "more columns", "objects", "unaligned"],
)
def test_features_may_lie_in_memory_as_they_like(view: Callable[[Any], Any]) -> None:
    """The result depends on the values alone."""
    trees, features = random_trees(3), view(random_features(3, 50))
    tidy = np.array(features, np.float64, order="C")
    assert trees.score(features).tobytes() == trees.walk(tidy).tobytes()


def test_trees_of_one_leaf_need_no_features() -> None:
    """Trees that never split predict their sum for each row, even of no columns."""
    trees = random_trees(0, trees=20, leaves=1)
    assert trees.width == 0
    total = sum(trees.number.tolist())
    expected = float(trees.base[0] + trees.scale * total)
    assert Trees(trees).predict(np.empty((30, 0))).tolist() == [expected] * 30


@pytest.mark.parametrize("shape", [(WIDTH,), (3, WIDTH - 1), (3, 0), (2, 3, WIDTH)])
def test_features_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Nothing is read beyond the end of a row."""
    with pytest.raises(ValueError, match=r"expected \(rows, at least 5\)"):
        random_trees(0).score(np.zeros(shape))
