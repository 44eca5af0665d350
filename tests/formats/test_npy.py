import random
import struct
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import pytest

from sagemaker_runtime.algorithm import Npy
from sagemaker_runtime.errors import AlgorithmError, Malformed

NPY = "application/x-npy"


def read(body: bytes) -> np.ndarray:
    [array] = Npy().read(BytesIO(body), NPY, "utf-8")
    return array


def saved(array: Any, pickled: bool = False) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


def with_header(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """An npy file of another hand than numpy's."""
    text = header.encode("latin-1")
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def shaped(shape: str, descr: str = "'<f8'", data: bytes = b"") -> bytes:
    return with_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", data)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.arange(3, dtype=">f4"),
        np.array(7.5),
        np.zeros((0, 5), "float32"),
        np.array(["ž", "b"]),
        np.array([True, False]),
        np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
        np.array(["2020-01-01"], "datetime64[s]"),
    ],
)
def test_arrays_pass_both_ways(array: np.ndarray) -> None:
    """What numpy.save wrote is read, writable and in this machine's byte order, and written so."""
    got = read(saved(array))
    np.testing.assert_array_equal(got, array)
    assert got.dtype == array.dtype.newbyteorder("=")
    assert got.dtype.isnative
    assert got.flags.writeable
    written = Npy().write([(array, None)], NPY)
    np.testing.assert_array_equal(np.load(BytesIO(written), allow_pickle=False), array)


def test_a_large_body_is_read_from_disk() -> None:
    """A body that waits in a temporary file is read as one in memory."""
    with SpooledTemporaryFile(1000) as file:
        np.save(file, np.arange(1000.0))
        file.seek(0)
        [array] = Npy().read(file, NPY, "utf-8")  # type: ignore[arg-type]
    assert array.sum() == 499_500


def test_the_example_is_a_file() -> None:
    """Whatever numpy makes an array of may be the example; it has no rows."""
    reader = Npy(example=[[1, 2], [3, 4]])
    media_type, body = reader.example()
    assert media_type == NPY
    assert read(body).tolist() == [[1, 2], [3, 4]]
    assert reader.count(read(body)) is None
    with pytest.raises(AlgorithmError, match=r"INPUT = Npy.* has no example"):
        Npy().example()


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("something was unpickled",))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not an array that numpy.save wrote"),
        (b"PK\x03\x04" + b"\0" * 50, "not an array that numpy.save wrote .*send what"),
        (saved(np.ones(3))[:-1], r"shape '\(3,\)' of 'float64', 24 bytes; the body holds 23"),
        (saved(np.ones(3)) + b"x", "24 bytes; the body holds 25. Send what numpy.save wrote"),
        (saved(np.ones(3))[:20], "not an array that numpy.save wrote"),
        (saved(np.array([Bomb()]), pickled=True), "the array holds objects, which would be unpick"),
        (shaped("(10**12,)"), "not an array"),
        (shaped("(1000000000000,)"), "8000000000000 bytes; the body holds 0"),
        (shaped(f"({2**62}, {2**62})"), "an integer of more than 40 digits|the body holds 0"),
        (shaped(f"(0, {2**62}, {2**62})"), "the array has the shape"),
        (shaped(f"({2**70},)"), "expected sizes from 0"),
        (shaped("(-1,)"), "expected sizes from 0"),
        (shaped("(-1, -1)", data=b"x" * 8), "expected sizes from 0"),
        (shaped("(100000000,)", "'|V0'"), "values of at least one byte"),
        (shaped("(1,)", "'|O'"), "the array holds objects"),
        (shaped("(1,)", "[('a', '|O')]"), "the array holds objects"),
        (with_header("(" * 5000), "not an array"),
        (with_header("{}" + " " * 20_000), "not an array"),
        (with_header("__import__('os').abort()"), "not an array"),
        (with_header("{'descr': '<f8'}", version=3), "not an array"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31), "not an array"),
    ],
)
def test_bad_files_are_refused_before_memory_is_taken(body: bytes, message: str) -> None:
    """Damage, objects and absurd shapes are the caller's fault, and say so."""
    with pytest.raises(Malformed, match=message) as info:
        read(body)
    assert len(str(info.value)) < 400


def test_no_damage_passes_for_something_else() -> None:
    """However a file is damaged, it is an array of as many bytes or a clear refusal."""
    chance = random.Random(0)
    whole = saved(np.arange(6.0).reshape(2, 3))
    for _ in range(3000):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            array = read(bytes(body[: chance.choice([len(body), chance.randrange(len(body))])]))
        except Malformed:
            continue
        assert array.nbytes <= len(whole)


def test_only_arrays_without_objects_are_written() -> None:
    """Objects would be pickled: refused; a table's parts are one array, a row for each."""
    with pytest.raises(AlgorithmError, match=r"predict returned objects .*would be pickled"):
        Npy().write([([{"a": 1}], None)], NPY)
    parts = [(np.ones((2, 3)), 2), (np.zeros((1, 3)), 1)]
    assert read(Npy().write(parts, NPY)).tolist() == [[1] * 3, [1] * 3, [0] * 3]
    assert read(Npy().write([], NPY)).shape == (0,)
    with pytest.raises(AlgorithmError, match=r"shape \(3,\) for 2 rows; expected one prediction"):
        Npy().write([(np.ones(3), 2)], NPY)


def test_what_is_masked_is_not_shown() -> None:
    """Masked numbers are NaN; types without it are refused, since the file would show the rest."""
    floats = np.ma.array([1.5, 2.5], mask=[False, True])
    assert np.isnan(read(Npy().write([(floats, 2)], NPY))).tolist() == [False, True]
    whole = np.ma.array([1, 2])
    assert read(Npy().write([(whole, 2)], NPY)).tolist() == [1, 2]
    with pytest.raises(
        AlgorithmError, match="masked array of type int64, whose mask would be lost"
    ):
        Npy().write([(np.ma.array([1, 2], mask=[False, True]), 2)], NPY)
