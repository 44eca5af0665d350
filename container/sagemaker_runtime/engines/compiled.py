"""
The compiled twin of ``Ensemble.walk``: trees.c by ctypes.
"""

import ctypes
import logging
from functools import cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sagemaker_runtime.resources import cpus

if TYPE_CHECKING:
    from sagemaker_runtime.engines.ensemble import Ensemble

LIBRARY = Path(__file__).with_name("libtrees.so")
# Keeps every number that trees.c multiplies by its lanes within 32 bits.
MOST_NODES = 2**28

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
        ("output", ctypes.c_void_p),
        ("vectors", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("trees", ctypes.c_size_t),
        ("columns", ctypes.c_size_t),
        ("outputs", ctypes.c_size_t),
        ("scale", ctypes.c_double),
        ("single", ctypes.c_int),
    )


class Compiled:
    """
    The arrays in the layout of trees.c, kept as long as the library may read them.
    """

    def __init__(self, library: ctypes.CDLL, trees: "Ensemble") -> None:
        lanes = ctypes.c_uint32.in_dll(library, "trees_lanes").value
        splits = trees.splits
        # A staged column for each feature and each way that missing values go.
        wanted = trees.feature[splits].astype(np.uint32) * 2 + trees.missing_left[splits]
        used, place = np.unique(wanted, return_inverse=True)
        step = np.zeros((len(trees.feature), 2), np.uint32)
        step[splits, 0] = (1 + place) * lanes
        step[:, 1] = trees.left
        self._kept = (
            np.ascontiguousarray(trees.number),
            step,
            trees.roots.astype(np.uint32),
            np.concatenate(([0], used)).astype(np.uint32),
            np.ascontiguousarray(trees.output),
            np.ascontiguousarray(trees.vectors),
            np.ascontiguousarray(trees.base),
        )
        number, steps, root, column, output, vectors, base = (a.ctypes.data for a in self._kept)
        self._outputs = len(trees.base)
        self._struct = _Trees(
            number,
            steps,
            root,
            column,
            output,
            vectors if len(trees.vectors) else None,
            base,
            len(trees.sizes),
            len(used) + 1,
            self._outputs,
            float(trees.scale),
            bool(trees.single),
        )
        self._trees = ctypes.byref(self._struct)
        self._predict = library.trees_predict_2

    def score(self, features: np.ndarray, threads: int | None) -> np.ndarray:
        """
        Return the scores, shape (rows, outputs), of contiguous float64 ``features``.
        """
        rows, width = features.shape
        scores = np.empty((rows, self._outputs))
        failed = self._predict(
            self._trees,
            _address(features),
            width,
            rows,
            _address(scores),
            _processors() if threads is None else threads,
        )
        if failed:
            raise MemoryError(f"no memory to score {rows} rows")
        return scores


def _address(array: np.ndarray) -> Any:
    """
    Return where the array lies, for ctypes.
    """
    if array.size and array.flags.writeable:
        # Half the time of array.ctypes: counts for one row.
        return ctypes.byref(ctypes.c_double.from_buffer(array))  # type: ignore[arg-type]  # it is one
    return array.ctypes.data


@cache
def library() -> ctypes.CDLL | None:
    """
    Load the library, which only ever comes with the program.
    """
    try:
        found = ctypes.CDLL(str(LIBRARY))
        found.trees_predict_2.argtypes = (
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
    return found


@cache
def _processors() -> int:
    return ceil(cpus())
