"""
Boosted or random trees as plain arrays, and their scores: sums over the leaves that a row reaches.

``Ensemble.walk`` says in numpy what a score is; trees.c computes the same, to the last bit and
some forty times faster, where container/compile.sh has made a library of it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sagemaker_runtime.engines.compiled import MOST_NODES, Compiled, library

# Rows that walk takes at a time: the working arrays (rows x trees) stay within a processor's cache.
ROWS_AT_ONCE = 256
LEAF = -1


@dataclass(frozen=True, eq=False)
class Ensemble:
    """
    All nodes of all trees, one tree after the other, each tree level by level.

    ``feature`` (int32, -1 in a leaf), ``number`` (float64, the threshold of a split or the value of
    a leaf) and ``missing_left`` (bool) have shape (nodes,), ``sizes`` (int32, nodes of a tree) has
    shape (trees,). A row goes left when its feature is at most the threshold, and where
    ``missing_left`` says when it is NaN. Where ``single`` (bool) says so, features are rounded to
    single precision before.

    A row's score in an output is its ``base`` (float64, shape (outputs,)) plus ``scale`` (float64)
    times the sum of the leaves' values. A tree adds to the one output that ``output`` (int32, shape
    (trees,)) names; or, where ``vectors`` (float64) has shape (any, outputs) instead of (0, 0), to
    all: a leaf's number is then the row of its values in there.

    A tree's first split has the nodes 1 and 2 as children, its second 3 and 4, and so on: no file
    can name a child that does not exist, or lead in a circle. Raises ValueError for arrays that
    are not such trees.
    """

    feature: np.ndarray
    number: np.ndarray
    missing_left: np.ndarray
    sizes: np.ndarray
    output: np.ndarray
    vectors: np.ndarray
    base: np.ndarray
    scale: np.ndarray
    single: np.ndarray

    def __post_init__(self) -> None:
        _check(self)
        # Now rather than at the first prediction: workers forked later share its memory.
        _ = self._compiled

    @property
    def is_compiled(self) -> bool:
        """
        Tell whether ``score`` has the compiled library.
        """
        return self._compiled is not None

    @cached_property
    def width(self) -> int:
        """
        The number of feature columns that the splits look at.
        """
        return int(self.feature.max()) + 1

    def score(self, features: np.ndarray, threads: int | None = None) -> np.ndarray:
        """
        Return the scores, shape (rows, outputs), for ``features``, float64 (rows, features).

        Large batches are split over ``threads``, by default as many as processors are granted.
        Raises ValueError for fewer columns than the trees look at.
        """
        features = np.ascontiguousarray(features, np.float64)
        if features.ndim != 2 or features.shape[1] < self.width:
            raise ValueError(
                f"features have shape {features.shape}; expected (rows, at least {self.width})"
            )
        if self._compiled is None:
            return self.walk(features)
        return self._compiled.score(features, threads)

    def walk(self, features: np.ndarray) -> np.ndarray:
        """
        Return what ``score`` does, without the compiled library.
        """
        if self.single:
            with np.errstate(over="ignore"):
                features = features.astype(np.float32).astype(np.float64)
        return np.concatenate(
            [
                self._walk(features[start : start + ROWS_AT_ONCE])
                for start in range(0, max(len(features), 1), ROWS_AT_ONCE)
            ]
        )

    def _walk(self, features: np.ndarray) -> np.ndarray:
        rows = np.arange(len(features))[:, np.newaxis]
        node = np.broadcast_to(self.roots, (len(features), len(self.roots)))
        while (split := self.splits[node]).any():
            value = features[rows, self.feature[node]]
            left = (value <= self.number[node]) | (np.isnan(value) & self.missing_left[node])
            node = np.where(split, self.left[node] + ~left, node)
        # Summed tree by tree, as the estimators do, and not pairwise: equal to the last bit.
        total = np.full((len(features), len(self.base)), -0.0)
        for leaf, output in zip(self.number[node].T, self.output, strict=True):
            if len(self.vectors):
                total += self.vectors[leaf.astype(np.intp)]
            else:
                total[:, output] += leaf
        return np.asarray(self.base + self.scale * total)

    @cached_property
    def splits(self) -> np.ndarray:
        """
        Which nodes are splits, bool.
        """
        return self.feature > LEAF

    @cached_property
    def roots(self) -> np.ndarray:
        """
        Each tree's first node.
        """
        return np.cumsum(self.sizes, dtype=np.int64) - self.sizes

    @cached_property
    def left(self) -> np.ndarray:
        """
        The left child of each split, with the right one behind it; a leaf is its own child.
        """
        before = np.cumsum(self.splits, dtype=np.int32) - self.splits
        # A tree's splits begin to count anew at its root.
        shift = self.roots + 1 - 2 * before[self.roots]
        left = 2 * before + np.repeat(shift.astype(np.int32), self.sizes)
        return np.where(self.splits, left, np.arange(len(left), dtype=np.int32))

    @cached_property
    def _compiled(self) -> Compiled | None:
        found = library()
        return Compiled(found, self) if found else None


def _check(trees: Ensemble) -> None:
    """
    Raise ValueError unless the arrays are what the class says.
    """
    nodes, count = (np.size(trees.feature),), (np.size(trees.sizes),)
    outputs = np.size(trees.base)
    rows = len(trees.vectors) if np.ndim(trees.vectors) else 0
    for name, kind, shape in (
        ("feature", np.int32, nodes),
        ("number", np.float64, nodes),
        ("missing_left", np.bool_, nodes),
        ("sizes", np.int32, count),
        ("output", np.int32, count),
        ("vectors", np.float64, (rows, outputs) if rows else (0, 0)),
        ("base", np.float64, (outputs,)),
        ("scale", np.float64, ()),
        ("single", np.bool_, ()),
    ):
        array = np.asanyarray(getattr(trees, name))
        if array.dtype != kind or array.shape != shape:
            raise ValueError(
                f"{name} is {array.dtype} of shape {array.shape}; "
                f"expected {np.dtype(kind)} of shape {shape}"
            )
    if not count[0] or trees.sizes.min() < 1 or trees.sizes.sum(dtype=np.int64) != nodes[0]:
        raise ValueError(f"the trees' sizes are not those of {nodes[0]} nodes")
    if nodes[0] > MOST_NODES or trees.feature.min() < LEAF:
        raise ValueError(f"expected at most {MOST_NODES} nodes, and features from 0")
    if trees.output.min() < 0 or trees.output.max() >= outputs:
        raise ValueError(f"a tree adds to an output other than 0 to {outputs - 1}")
    splits = trees.splits
    usable = np.isfinite(trees.number) | (splits & ~np.isnan(trees.number))
    values = (trees.base, trees.scale, trees.vectors)
    if not (usable.all() and all(np.isfinite(value).all() for value in values)):
        raise ValueError("a threshold is not a number, or a value is not finite")
    if rows:
        leaf = trees.number[~splits]
        if leaf.min() < 0 or leaf.max() >= rows or (leaf != np.floor(leaf)).any():
            raise ValueError(f"a leaf's values are not one of the {rows} rows of vectors")
    counts = np.add.reduceat(splits, trees.roots, dtype=np.int64)
    early = trees.left > np.arange(nodes[0], dtype=np.int32)
    if (trees.sizes != 2 * counts + 1).any() or not early[splits].all():
        raise ValueError("the nodes of a tree are not in the order of its levels")
