"""
Trees and rows made at random, with the values that arithmetic treats apart.
"""

import numpy as np

from sagemaker_runtime.engines.ensemble import Ensemble

WIDTH = 5
# Few values, so that features often equal thresholds, and the ones that arithmetic treats apart.
SPECIAL = np.array([-np.inf, -1e300, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, 1e300, np.inf])

Node = tuple[int, float, bool]  # feature, number, missing left


def random_tree(rng: np.random.Generator, leaves: int, chain: bool) -> list[Node]:
    """
    Return nodes level by level; in a chain each split has a leaf as one child.
    """
    children: dict[int, tuple[int, int]] = {}
    ends = [0]
    for _ in range(leaves - 1):
        split = ends.pop(-1 if chain else int(rng.integers(len(ends))))
        children[split] = (2 * len(children) + 1, 2 * len(children) + 2)
        ends.extend(children[split])
    order = [0]
    for node in order:
        order.extend(children.get(node, ()))
    return [
        (int(rng.integers(WIDTH)), float(rng.choice(SPECIAL)), bool(rng.integers(2)))
        if node in children
        else (-1, float(rng.normal() * 10.0 ** rng.integers(-8, 8)), bool(rng.integers(2)))
        for node in order
    ]


def random_trees(
    seed: int,
    trees: int = 30,
    leaves: int = 40,
    chain: bool = False,
    outputs: int = 1,
    vectors: bool = False,
    single: bool = False,
) -> Ensemble:
    rng = np.random.default_rng(seed)
    grown = [random_tree(rng, int(rng.integers(1, leaves + 1)), chain) for _ in range(trees)]
    feature, number, missing_left = zip(*(node for tree in grown for node in tree), strict=True)
    number = np.array(number, np.float64)
    if vectors:
        leaf = np.array(feature) < 0
        number[leaf] = rng.permutation(leaf.sum())
    return Ensemble(
        feature=np.array(feature, np.int32),
        number=number,
        missing_left=np.array(missing_left, np.bool_),
        sizes=np.array([len(tree) for tree in grown], np.int32),
        output=rng.integers(outputs, size=trees).astype(np.int32),
        vectors=rng.normal(size=(leaf.sum(), outputs)) if vectors else np.empty((0, 0)),
        base=rng.normal(size=outputs),
        scale=np.array(rng.choice([1.0, 1 / trees])),
        single=np.array(single),
    )


def random_features(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = rng.choice(np.append(SPECIAL, np.nan), size=(rows, WIDTH))
    return np.where(rng.random(features.shape) < 0.3, rng.normal(size=features.shape), features)
