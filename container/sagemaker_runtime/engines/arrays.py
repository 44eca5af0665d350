"""
Arrays in an .npz file: written as numpy does, read without running or expanding anything.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sagemaker_runtime.resources import memory_mb

# What a model may take of the memory granted: the web server, requests and libraries need some.
SHARE = 0.5
# Memory that making a model of its file takes, in multiples of the file (3.3 measured): the arrays,
# their checks, and the copies for the compiled library.
COPIES = 4
KINDS = "biufU"  # booleans, numbers and text; an object could only be unpickled


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """
    Write the arrays, uncompressed; the same arrays give the same bytes.
    """
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path) -> dict[str, np.ndarray]:
    """
    Read what ``save`` wrote.

    No array takes more memory than it has bytes in the file, and the file must fit the container's
    memory. Raises OSError for an unreadable file, ValueError for one that is damaged or too large.
    """
    with path.open("rb") as file:
        size, most = path.stat().st_size, int(memory_mb() * SHARE / COPIES)
        if size > most * 1024**2:
            raise ValueError(
                f"{path.name} has {size / 1e6:,.0f} MB; expected at most {most:,} MB in a "
                f"container of {memory_mb():,} MB. Use a smaller model or more memory"
            )
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                if sum(member.file_size for member in members) > size:
                    raise ValueError("its parts are larger than the file; expected no compression")
                return {
                    member.filename.removesuffix(".npy"): _read(archive, member)
                    for member in members
                }
        except (ValueError, MemoryError):
            raise
        except Exception as error:  # zipfile and numpy meet damage with a dozen kinds of them
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"{member.filename} is an array of format {version}; expected (1, 0)")
        shape, by_column, kind = np.lib.format.read_array_header_1_0(stream)
        count = 1
        for length in shape:  # in Python's integers, which do not overflow
            count *= length
        rest = member.file_size - stream.tell()
        fits = min(shape, default=0) >= 0 and count * kind.itemsize == rest
        if kind.kind not in KINDS or by_column or not fits:
            raise ValueError(
                f"{member.filename} is said to be {kind} of shape {shape} in {rest} bytes; "
                "expected numbers, booleans or text row by row, and as many bytes as they take"
            )
        content = bytearray(stream.read())
    # Its own memory, so aligned, whatever place the file has it at.
    return np.frombuffer(content, kind).reshape(shape)
