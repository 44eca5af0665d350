"""The file of trees: what is loaded is what was saved, and no file does harm."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from random_trees import WIDTH, random_features, random_trees
from sagemaker_runtime.engines import arrays as files
from sagemaker_runtime.engines.trees import Trees

LABELS = [
    (),
    (np.array(["no", "yes"]),),
    (np.array([3, 5, 8]),),
    (np.array([True, False]), np.array([1.5])),
    (np.array(["a", "b"]), np.array(["c", "dé"]), np.array(["", "z"])),
]


@pytest.mark.parametrize("classes", LABELS, ids=str)
def test_trees_survive_their_file(tmp_path: Path, classes: tuple[np.ndarray, ...]) -> None:
    """What is loaded predicts the same bits; saved twice, the files are equal."""
    ensemble, features = random_trees(4, outputs=3), random_features(4, 40)
    if len(classes) == 1 and classes[0].size == 2:
        ensemble = random_trees(4)
    trees = Trees(ensemble, "sigmoid", 2.0, classes)
    trees.save(tmp_path / "a.npz")
    trees.save(tmp_path / "b.npz")
    loaded = Trees.load(tmp_path / "a.npz")
    assert loaded.predict(features).tobytes() == trees.predict(features).tobytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    if classes:
        chances = zip(loaded.predict_proba(features), trees.predict_proba(features), strict=True)
        assert all(one.tobytes() == other.tobytes() for one, other in chances)


def test_a_name_without_an_ending_is_kept(tmp_path: Path) -> None:
    """The file has the name that was asked for."""
    Trees(random_trees(0)).save(tmp_path / "model")
    assert Trees.load(tmp_path / "model").width == WIDTH


def test_trees_without_classes_have_no_probabilities() -> None:
    """The message says what predict gives."""
    with pytest.raises(ValueError, match="predict gives probabilities"):
        Trees(random_trees(0), "sigmoid").predict_proba(random_features(0, 1))


def arrays() -> dict[str, Any]:
    """
    Return two trees: a split with two leaves, and a leaf.
    """
    return {
        "feature": np.array([0, -1, -1, -1], np.int32),
        "number": np.array([0.5, 1.0, 2.0, 3.0]),
        "missing_left": np.array([True, False, False, False]),
        "sizes": np.array([3, 1], np.int32),
        "output": np.array([0, 0], np.int32),
        "vectors": np.empty((0, 0)),
        "base": np.array([0.25]),
        "scale": np.array(1.0),
        "single": np.array(False),
        "link": np.array("identity"),
        "factor": np.array(1.0),
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("feature", np.array([0, -1, -1, -1]), "feature is int64"),
        ("feature", np.array([0, -1, -1, -1], ">i4"), "feature is >i4"),
        ("feature", np.int32(0), "feature is int32 of shape"),
        ("feature", np.array([0, -1, -1], np.int32), r"number is .* of shape \(4,\)"),
        ("feature", np.array([-2, -1, -1, -1], np.int32), "features from 0"),
        ("feature", np.array([-1, -1, -1, -1], np.int32), "order of its levels"),
        ("feature", np.array([0, 0, 0, 0], np.int32), "order of its levels"),
        ("feature", np.array([-1, 0, -1, -1], np.int32), "order of its levels"),
        ("number", np.array([0.5, 1.0, 2.0, 3.0], np.float32), "number is float32"),
        ("number", np.array([np.nan, 1.0, 2.0, 3.0]), "not a number"),
        ("number", np.array([0.5, np.inf, 2.0, 3.0]), "not finite"),
        ("missing_left", np.ones(4, np.int8), "missing_left is int8"),
        ("missing_left", np.ones(5, np.bool_), r"shape \(5,\)"),
        ("sizes", np.array([3, 2], np.int32), "sizes are not those of 4 nodes"),
        ("sizes", np.array([5, -1], np.int32), "sizes are not those of 4 nodes"),
        ("sizes", np.array([1, 3], np.int32), "order of its levels"),
        ("sizes", np.array([4, 0], np.int32), "sizes are not those of 4 nodes"),
        ("sizes", np.array([2, 2], np.int32), "order of its levels"),
        ("sizes", np.array([], np.int32), "output is int32 of shape"),
        ("output", np.array([0, 1], np.int32), "an output other than 0 to 0"),
        ("output", np.array([0, -1], np.int32), "an output other than 0 to 0"),
        ("output", np.array([0], np.int32), r"expected int32 of shape \(2,\)"),
        ("vectors", np.zeros((3, 2)), r"expected float64 of shape \(3, 1\)"),
        ("vectors", np.zeros((0, 1)), r"expected float64 of shape \(0, 0\)"),
        ("vectors", np.array(1.0), r"expected float64 of shape \(0, 0\)"),
        ("vectors", np.zeros((3, 1)), "not one of the 3 rows"),
        ("vectors", np.full((4, 1), np.nan), "not finite"),
        ("base", np.array([np.nan]), "not finite"),
        ("base", np.array(0.0), r"expected float64 of shape \(1,\)"),
        ("base", np.array([]), "an output other than"),
        ("scale", np.array(np.inf), "not finite"),
        ("scale", np.array("x" * 9), "scale is <U9"),
        ("single", np.array(1), "single is int64"),
        ("number", np.array([{}] * 4, object), r"expected numbers, booleans or text"),
        ("number", np.zeros((2, 2), order="F"), r"row by row"),
        ("link", np.array("eval"), "link is 'eval'"),
        ("link", np.array(["identity"]), "link or factor is not a single value"),
        ("factor", np.array(np.nan), "factor nan"),
        ("factor", np.array(1), "link or factor is not a single value"),
        ("surprise", np.array(1), "these are not the arrays"),
        ("classes_0", np.array([1, 2, 3]), r"1 outputs do not fit \[3\] classes"),
        ("classes_0", np.array([[1, 2]]), "do not fit"),
        ("classes_0", np.array(1), "do not fit"),
        ("classes_0", np.array([], np.int64), "do not fit"),
    ],
)
def test_a_crafted_file_is_refused(tmp_path: Path, name: str, value: Any, message: str) -> None:
    """No file makes the scoring read out of bounds, run in circles, or answer with NaN."""
    file = tmp_path / "trees.npz"
    np.savez(file, **arrays())
    rows = np.array([[0.0], [1.0], [np.nan]])
    assert Trees.load(file).predict(rows).tolist() == [4.25, 5.25, 4.25]
    np.savez(file, **(arrays() | {name: value}))
    with pytest.raises(ValueError, match=message):
        Trees.load(file)


@pytest.mark.parametrize("number", [0.5, -1.0, 4.0, 1e300])
def test_a_leaf_outside_its_vectors_is_refused(tmp_path: Path, number: float) -> None:
    """A leaf's row of values must be one that is there."""
    file = tmp_path / "trees.npz"
    vectors = {"vectors": np.arange(4.0)[:, np.newaxis]}
    np.savez(file, **(arrays() | vectors))
    assert Trees.load(file).predict(np.array([[0.0], [1.0]])).tolist() == [4.25, 5.25]
    np.savez(file, **(arrays() | vectors | {"number": np.array([0.5, 1.0, 2.0, number])}))
    with pytest.raises(ValueError, match="not one of the 4 rows"):
        Trees.load(file)


def test_an_array_that_is_absent_is_told(tmp_path: Path) -> None:
    """The message lists what the file holds."""
    file = tmp_path / "trees.npz"
    np.savez(file, **{name: array for name, array in arrays().items() if name != "scale"})
    with pytest.raises(ValueError, match=r"base, factor, .*; these are not the arrays"):
        Trees.load(file)


def test_a_damaged_file_is_refused_or_harmless(tmp_path: Path) -> None:
    """Whichever byte is wrong, and wherever the file ends, there is a ValueError or a model."""
    file = tmp_path / "trees.npz"
    np.savez(file, **arrays())
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        file.write_bytes(damaged[: rng.integers(len(whole) // 2, 4 * len(whole))])
        try:
            trees = Trees.load(file)
        except ValueError:
            refused += 1
        else:
            trees.predict(np.zeros((20, trees.width)))
    assert refused > 100


def header_of(shape: str, kind: str = "<f8") -> bytes:
    """
    Return an array's header in an .npy file, with one number behind it.
    """
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header_of("(400000000,)"), "of shape .400000000,. in 8 bytes"),
        (header_of("(4294967296, 4294967297)"), "in 8 bytes"),
        (header_of("(-1, -1)"), "in 8 bytes"),
        (header_of("()", "<U100000000"), "in 8 bytes"),
        (header_of("()", "|O"), "in 8 bytes"),
        (b"\x93NUMPY\x03\x00" + bytes(100), "of format"),
        (b"", "EOF: reading magic string"),
    ],
    ids=["3 GB", "overflow", "negative", "long text", "object", "format", "nothing"],
)
def test_an_absurd_shape_takes_no_memory(tmp_path: Path, content: bytes, message: str) -> None:
    """An array is as large as its bytes in the file, whatever its header says."""
    file = tmp_path / "trees.npz"
    np.savez(file, **{name: array for name, array in arrays().items() if name != "scale"})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("scale.npy", content)
    with pytest.raises(ValueError, match=message):
        Trees.load(file)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    """A file that would grow when read is refused before it does."""
    file = tmp_path / "trees.npz"
    np.savez_compressed(file, **(arrays() | {"number": np.zeros(2_000_000)}))
    assert file.stat().st_size < 100_000
    with pytest.raises(ValueError, match="expected no compression"):
        Trees.load(file)


def test_a_file_beyond_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is compared with the container's memory before anything is read."""
    monkeypatch.setattr(files, "memory_mb", lambda: 1024)
    file = tmp_path / "trees.npz"
    with file.open("wb") as stream:
        stream.truncate(3_000_000_000)  # takes no room on the disk
    with pytest.raises(ValueError, match=r"3,000 MB; expected at most 128 MB in a container of"):
        Trees.load(file)


def test_a_file_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    """It is an OSError, not a damaged model."""
    with pytest.raises(FileNotFoundError):
        Trees.load(tmp_path / "trees.npz")
