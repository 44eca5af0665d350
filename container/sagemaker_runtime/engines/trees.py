"""
An ensemble of regression trees as plain arrays: written after training, scored when serving.

``Trees.walk`` says in numpy what a prediction is; trees.c computes the same, to the last bit and
some forty times faster, where container/compile.sh has made a library of it.
"""

import ctypes
import logging
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.resources import cpus

# Rows that walk takes at a time: the working arrays (rows x trees) stay within a processor's cache.
ROWS_AT_ONCE = 256
LESS_OR_EQUAL = 3  # treelite's code of the only comparison that trees for numbers use
LEAF = -1
# Keeps every number that trees.c multiplies by its lanes within 32 bits.
MOST_NODES = 2**28

LIBRARY = Path(__file__).with_name("libtrees.so")

logger = logging.getLogger(__name__)


class _Trees(ctypes.Structure):
    """
    ``struct trees`` of trees.c.
    """

    _fields_ = (
        ("number", ctypes.c_void_p),
        ("step", ctypes.c_void_p),
        ("root", ctypes.c_void_p),
        ("column", ctypes.c_void_p),
        ("trees", ctypes.c_size_t),
        ("columns", ctypes.c_size_t),
        ("base", ctypes.c_double),
        ("scale", ctypes.c_double),
    )


@dataclass(frozen=True)
class Trees:
    """
    All nodes of all trees, one tree after the other, each tree level by level.

    ``feature`` (int32, -1 in a leaf), ``number`` (float64, the threshold of a split or the value of
    a leaf) and ``missing_left`` (bool) have shape (nodes,), ``sizes`` (int32, nodes of a tree) has
    shape (trees,). A row goes left when its feature is at most the threshold, and where
    ``missing_left`` says when it is NaN. The prediction is ``base`` plus ``scale`` (float64) times
    the sum of the leaves' values.

    A tree's first split has the nodes 1 and 2 as children, its second 3 and 4, and so on: no file
    can name a child that does not exist, or lead in a circle. Raises ValueError for arrays that
    are no such trees.
    """

    feature: np.ndarray
    number: np.ndarray
    missing_left: np.ndarray
    sizes: np.ndarray
    base: np.ndarray
    scale: np.ndarray

    def __post_init__(self) -> None:
        nodes, trees = (np.size(self.feature),), (np.size(self.sizes),)
        for name, kind, shape in (
            ("feature", np.int32, nodes),
            ("number", np.float64, nodes),
            ("missing_left", np.bool_, nodes),
            ("sizes", np.int32, trees),
            ("base", np.float64, ()),
            ("scale", np.float64, ()),
        ):
            array = np.asanyarray(getattr(self, name))
            if array.dtype != kind or array.shape != shape:
                raise ValueError(
                    f"{name} is {array.dtype} of shape {array.shape}; "
                    f"expected {np.dtype(kind)} of shape {shape}"
                )
        if not len(self.sizes) or self.sizes.min() < 1 or self.sizes.sum() != len(self.feature):
            raise ValueError(f"the trees' sizes are not those of {len(self.feature)} nodes")
        if len(self.feature) > MOST_NODES or self.feature.min() < LEAF:
            raise ValueError(f"expected at most {MOST_NODES} nodes, and features from 0")
        usable = np.isfinite(self.number) | (self._splits & ~np.isnan(self.number))
        if not (usable.all() and np.isfinite(self.base) and np.isfinite(self.scale)):
            raise ValueError("a threshold is not a number, or a value is not finite")
        counts = np.add.reduceat(self._splits, self._roots, dtype=np.int64)
        early = self._left > np.arange(len(self.feature))
        if (self.sizes != 2 * counts + 1).any() or not early[self._splits].all():
            raise ValueError("the nodes of a tree are not in the order of its levels")
        # Now rather than at the first prediction: workers forked later share its memory.
        _ = self._compiled

    @property
    def is_compiled(self) -> bool:
        """
        Tell whether ``predict`` has the compiled library.
        """
        return self._compiled is not None

    @cached_property
    def width(self) -> int:
        """
        The number of feature columns that the splits look at.
        """
        return int(self.feature.max()) + 1

    def save(self, path: Path) -> None:
        """
        Write the arrays as an uncompressed .npz file.
        """
        np.savez(path, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Trees":
        """
        Read what ``save`` wrote; nothing in the file is executed.

        Raises OSError for an unreadable file, ValueError for a damaged one.
        """
        try:
            # Opened here: numpy leaves a damaged file open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (OSError, ValueError):
            raise
        except Exception as error:  # zipfile and numpy meet damage with a dozen kinds of them
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def predict(self, features: np.ndarray, threads: int | None = None) -> np.ndarray:
        """
        Return the predictions, shape (rows,), for ``features``, float64 (rows, features).

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
        rows, width = features.shape
        predictions = np.empty(rows)
        failed = self._compiled.functions.trees_predict_1(
            self._compiled.trees,
            features.ctypes.data,
            width,
            rows,
            predictions.ctypes.data,
            _processors() if threads is None else threads,
        )
        if failed:
            raise MemoryError(f"no memory to score {rows} rows")
        return predictions

    def walk(self, features: np.ndarray) -> np.ndarray:
        """
        Return what ``predict`` does, without the compiled library.
        """
        return np.concatenate(
            [
                self._walk(features[start : start + ROWS_AT_ONCE])
                for start in range(0, max(len(features), 1), ROWS_AT_ONCE)
            ]
        )

    def _walk(self, features: np.ndarray) -> np.ndarray:
        rows = np.arange(len(features))[:, np.newaxis]
        node = np.broadcast_to(self._roots, (len(features), len(self._roots)))
        while (split := self._splits[node]).any():
            value = features[rows, self.feature[node]]
            left = (value <= self.number[node]) | (np.isnan(value) & self.missing_left[node])
            node = np.where(split, self._left[node] + ~left, node)
        # Summed tree by tree, as the estimators do, and not pairwise: equal to the last bit.
        total = np.add.accumulate(self.number[node], axis=1)[:, -1]
        return np.asarray(self.base + self.scale * total)

    @cached_property
    def _splits(self) -> np.ndarray:
        return self.feature > LEAF

    @cached_property
    def _roots(self) -> np.ndarray:
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def _left(self) -> np.ndarray:
        """
        The left child of each split, with the right one behind it; a leaf is its own child.
        """
        before = np.cumsum(self._splits) - self._splits
        root = np.repeat(self._roots, self.sizes)
        left = root + 1 + 2 * (before - before[root])
        return np.where(self._splits, left, np.arange(len(left)))

    @cached_property
    def _compiled(self) -> "_Compiled | None":
        library = _library()
        return _Compiled(library, self) if library else None


class _Compiled:
    """
    The arrays in the layout of trees.c, kept as long as the library may read them.
    """

    def __init__(self, library: ctypes.CDLL, trees: Trees) -> None:
        lanes = ctypes.c_uint32.in_dll(library, "trees_lanes").value
        splits = trees._splits
        # A staged column for each feature and each way that missing values go.
        wanted = trees.feature[splits].astype(np.uint32) * 2 + trees.missing_left[splits]
        used, place = np.unique(wanted, return_inverse=True)
        step = np.zeros((len(trees.feature), 2), np.uint32)
        step[splits, 0] = (1 + place) * lanes
        step[:, 1] = trees._left
        number = np.ascontiguousarray(trees.number)
        column = np.concatenate(([0], used)).astype(np.uint32)
        root = trees._roots.astype(np.uint32)
        self.functions = library
        self._kept = (number, step, root, column)
        self._struct = _Trees(
            *(array.ctypes.data for array in self._kept),
            len(root),
            len(column),
            float(trees.base),
            float(trees.scale),
        )
        self.trees = ctypes.byref(self._struct)


@cache
def _library() -> ctypes.CDLL | None:
    """
    Load the compiled twin of ``Trees.walk``, which only ever comes with the program.
    """
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.trees_predict_1.argtypes = (
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_size_t,
            ctypes.c_void_p,
            ctypes.c_size_t,
        )
    except (OSError, AttributeError) as error:
        logger.info(
            "scoring without compiled code, some forty times slower (%s); "
            "container/compile.sh makes it",
            error,
        )
        return None
    return library


@cache
def _processors() -> int:
    return ceil(cpus())


def from_estimator(estimator: Any) -> Trees:
    """
    Take the trees out of a fitted regressor of scikit-learn or LightGBM, or of LightGBM's booster.

    Raises ValueError for an estimator that is not made of such trees.
    """
    import treelite

    try:
        if type(estimator).__module__.startswith("lightgbm."):
            model = treelite.frontend.from_lightgbm(getattr(estimator, "booster_", estimator))
        else:
            model = treelite.sklearn.import_model(estimator)
    except treelite.TreeliteError as error:
        raise ValueError(f"{type(estimator).__name__} holds no trees: {error}") from error
    header = model.get_header_accessor()
    parts = []
    for number in range(model.num_tree):
        field = model.get_tree_accessor(number).get_field
        left, right, compare = field("cleft"), field("cright"), field("cmp")
        leaf = left < 0
        if field("has_categorical_split")[0] or (compare[~leaf] != LESS_OR_EQUAL).any():
            raise ValueError(f"{type(estimator).__name__} splits otherwise than by 'at most'")
        order = _by_level(left, right)
        parts.append(
            (
                np.where(leaf, LEAF, field("split_index"))[order],
                np.where(leaf, field("leaf_value"), field("threshold"))[order],
                field("default_left").astype(bool)[order],
            )
        )
    feature, amount, missing_left = map(np.concatenate, zip(*parts, strict=True))
    averaged = bool(header.get_field("average_tree_output")[0])
    return Trees(
        feature=feature.astype(np.int32),
        number=amount.astype(np.float64),
        missing_left=missing_left,
        sizes=np.array([len(tree) for tree, *_ in parts], np.int32),
        base=np.array(header.get_field("base_scores")[0], np.float64),
        scale=np.array(1.0 / len(parts) if averaged else 1.0, np.float64),
    )


def _by_level(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """
    Return a tree's nodes in the order of its levels, from its children's numbers (negative: none).
    """
    levels = [np.zeros(1, np.intp)]
    while (splits := levels[-1][left[levels[-1]] >= 0]).size:
        levels.append(np.stack((left[splits], right[splits]), axis=1).ravel())
    return np.concatenate(levels)
