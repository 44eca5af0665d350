"""
From trees as libraries keep them to an Ensemble.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sagemaker_runtime.engines.ensemble import LEAF, Ensemble


class Tree(NamedTuple):
    """
    A tree, its nodes in any order with the root first; a leaf has a negative ``left``.

    A row goes left when its feature is at most the threshold. ``values`` has shape (nodes,), or
    (nodes, outputs) where a leaf adds to all outputs.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray


def assemble(
    trees: Sequence[Tree], *, output: np.ndarray, base: Any, scale: float, single: bool
) -> Ensemble:
    """
    Put the trees one after the other, their nodes level by level; the rest as Ensemble says.

    Raises ValueError for no trees.
    """
    if not trees:
        raise ValueError("it has no trees; fit it with at least one round")
    feature, number, missing_left, vectors, sizes = [], [], [], [], []
    rows = 0
    for tree in trees:
        order = _by_level(tree.left, tree.right)
        leaf = tree.left[order] < 0
        values = tree.values[order]
        if values.ndim == 2:
            vectors.append(values[leaf])
            values = rows + np.cumsum(leaf) - 1
            rows += int(leaf.sum())
        feature.append(np.where(leaf, LEAF, tree.feature[order]).astype(np.int32))
        number.append(np.where(leaf, values, tree.threshold[order]).astype(np.float64))
        missing_left.append(tree.missing_left[order].astype(bool))
        sizes.append(len(order))
    return Ensemble(
        feature=np.concatenate(feature),
        number=np.concatenate(number),
        missing_left=np.concatenate(missing_left),
        sizes=np.array(sizes, np.int32),
        output=output.astype(np.int32),
        vectors=np.concatenate(vectors, dtype=np.float64) if vectors else np.empty((0, 0)),
        base=np.array(base, np.float64).ravel(),  # a copy: treelite's memory goes with its model
        scale=np.array(scale, np.float64),
        single=np.array(single),
    )


def _by_level(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """
    Return a tree's nodes in the order of its levels, from its children's numbers (negative: none).
    """
    levels = [np.zeros(1, np.intp)]
    while (splits := levels[-1][left[levels[-1]] >= 0]).size:
        levels.append(np.stack((left[splits], right[splits]), axis=1).ravel())
    return np.concatenate(levels)
