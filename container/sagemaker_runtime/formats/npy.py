"""
Requests and answers that are arrays of numpy.
"""

import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from math import prod
from typing import IO, Any

import numpy as np

from sagemaker_runtime.errors import AlgorithmError, Malformed
from sagemaker_runtime.formats.messages import shown
from sagemaker_runtime.formats.plain import Whole

NPY = "application/x-npy"

# numpy's header is Python source, whose evaluation takes more the longer it is; real ones have
# about 100 bytes.
HEADER_BYTES = 10_000


class Npy(Whole):
    """
    Arrays as ``numpy.save`` writes them; nothing is ever unpickled.

    ``Npy(example=np.zeros((1, 28, 28), "float32"))``. ``predict`` is given an array that it may
    write to.
    """

    media_types = (NPY,)

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[np.ndarray]:
        """
        Yield the array; raises Malformed for what is not one, before any memory is taken for it.
        """
        yield _read(body)

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        """
        Return the media type and the example as a file.
        """
        return NPY, _write(np.asarray(self.given_example()))

    def write(self, predictions: Sequence[tuple[Any, int | None]], media_type: str) -> bytes:
        """
        Write an array; those of a table's parts are put together, one entry per row.
        """
        arrays = []
        for value, rows in predictions:
            array = np.asarray(_unmasked(value))
            if rows is not None and (array.ndim == 0 or len(array) != rows):
                raise AlgorithmError(
                    f"predict returned an array of shape {array.shape} for {rows} rows; expected "
                    f"one prediction per row, shape ({rows}, ...)"
                )
            arrays.append(array)
        return _write(arrays[0] if len(arrays) == 1 else np.concatenate(arrays or [np.empty(0)]))


def _unmasked(value: Any) -> Any:
    """
    Return a masked array with NaN where it is masked: numpy's files have no masks.
    """
    if not np.ma.is_masked(value):
        return value
    if value.dtype.kind != "f":
        raise AlgorithmError(
            f"predict returned a masked array of type {value.dtype}, whose mask would be lost; "
            "expected values of type float, which have NaN, or none that are masked"
        )
    return value.filled(np.nan)


def _write(array: np.ndarray) -> bytes:
    file = BytesIO()
    try:
        np.lib.format.write_array(file, array, allow_pickle=False)
    except ValueError:
        raise AlgorithmError(
            f"predict returned objects (an array of type {array.dtype}), which would be pickled; "
            "expected an array of numbers, booleans or texts"
        ) from None
    return file.getvalue()


def _read(body: IO[bytes]) -> np.ndarray:
    shape, fortran, dtype = _header(body)
    wanted = prod(shape) * dtype.itemsize
    content = bytearray(body.read())  # not bytes, so that predict may write to the array
    if len(content) != wanted:
        raise Malformed(
            f"the header says an array of shape {shown(str(shape))} of {shown(str(dtype))}, "
            f"{shown(wanted)} bytes; the body holds {len(content)}. Send what numpy.save wrote, "
            "whole"
        )
    try:
        array: np.ndarray = np.ndarray(shape, dtype, content, order="F" if fortran else "C")
    except ValueError as error:  # an empty array with other dimensions too large
        raise Malformed(f"the array has the shape {shown(str(shape))}: {error}") from None
    # The other byte order would be slow or refused wherever the array goes.
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(body: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(body)
        shape, fortran, dtype = readers[version](body, max_header_size=HEADER_BYTES)
    except Exception as error:  # noqa: BLE001 - evaluating what somebody sent may raise anything
        raise Malformed(
            f"the body is not an array that numpy.save wrote ({shown(str(error))}); send what "
            "numpy.save(file, array, allow_pickle=False) writes"
        ) from None
    if dtype.hasobject:
        raise Malformed(
            "the array holds objects, which would be unpickled; send an array of numbers, booleans "
            "or texts, such as array.astype('float32')"
        )
    if dtype.itemsize == 0 or any(not 0 <= size <= sys.maxsize for size in shape):
        raise Malformed(
            f"the header says an array of shape {shown(str(shape))} of {shown(str(dtype))}; "
            "expected sizes from 0 and values of at least one byte"
        )
    return shape, fortran, dtype
