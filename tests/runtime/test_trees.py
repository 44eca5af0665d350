import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression

from harness import CONTAINER
from sagemaker_runtime.engines.trees import LIBRARY, Trees, from_estimator

WIDTH = 5
# Few values, so that features often equal thresholds, and the ones that arithmetic treats apart.
SPECIAL = np.array([-np.inf, -1e300, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, 1e300, np.inf])

compiled = pytest.mark.skipif(
    not LIBRARY.exists(), reason="no compiled library: run container/compile.sh, it needs a cc"
)


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


def random_trees(seed: int, trees: int = 30, leaves: int = 40, chain: bool = False) -> Trees:
    rng = np.random.default_rng(seed)
    grown = [random_tree(rng, int(rng.integers(1, leaves + 1)), chain) for _ in range(trees)]
    feature, number, missing_left = zip(*(node for tree in grown for node in tree), strict=True)
    return Trees(
        feature=np.array(feature, np.int32),
        number=np.array(number, np.float64),
        missing_left=np.array(missing_left, np.bool_),
        sizes=np.array([len(tree) for tree in grown], np.int32),
        base=np.array(rng.normal()),
        scale=np.array(rng.choice([1.0, 1 / trees])),
    )


def random_features(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = rng.choice(np.append(SPECIAL, np.nan), size=(rows, WIDTH))
    return np.where(rng.random(features.shape) < 0.3, rng.normal(size=features.shape), features)


def path_of(trees: Trees, row: np.ndarray) -> float:
    """
    Predict for one row the way the documentation of Trees tells it, node by node.
    """
    total, root = -0.0, 0
    for size in trees.sizes.tolist():
        tree = slice(root, root + size)
        feature, number, missing_left = (
            array[tree].tolist() for array in (trees.feature, trees.number, trees.missing_left)
        )
        node = 0
        while feature[node] >= 0:
            value = row[feature[node]]
            left = missing_left[node] if np.isnan(value) else value <= number[node]
            node = 2 * sum(f >= 0 for f in feature[:node]) + (1 if left else 2)
        total += number[node]
        root += size
    return float(trees.base + trees.scale * total)


@pytest.mark.parametrize("seed", range(5))
def test_the_prediction_is_what_the_documentation_says(seed: int) -> None:
    """Walking one row node by node in plain Python gives the same bits."""
    trees, features = random_trees(seed), random_features(seed, 60)
    plain = np.array([path_of(trees, row) for row in features])
    assert trees.walk(features).tobytes() == plain.tobytes()
    assert trees.predict(features).tobytes() == plain.tobytes()


@compiled
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rows", [0, 1, 2, 11, 12, 13, 95, 96, 97, 109, 700])
def test_compiled_and_plain_scoring_agree_to_the_last_bit(seed: int, rows: int) -> None:
    """Whatever the trees, and however many rows, with missing, infinite and equal values."""
    trees = random_trees(seed, trees=1 + seed * 3, leaves=1 + seed * 7, chain=seed % 2 == 1)
    features = random_features(1000 * seed + rows, rows)
    assert trees.is_compiled
    assert trees.predict(features).shape == (rows,)
    assert trees.predict(features).tobytes() == trees.walk(features).tobytes()


@compiled
@pytest.mark.parametrize("threads", [0, 1, 2, 7, 1000])
def test_threads_change_no_bit(threads: int) -> None:
    """A batch split over any number of threads gives the same bits as the plain walk."""
    trees, features = random_trees(1, trees=8), random_features(1, 5003)
    assert trees.predict(features, threads).tobytes() == trees.walk(features).tobytes()


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
    assert trees.predict(features).tobytes() == trees.walk(tidy).tobytes()


def test_trees_of_one_leaf_need_no_features() -> None:
    """Trees that never split predict their sum for each row, even of no columns."""
    trees = random_trees(0, trees=20, leaves=1)
    assert trees.width == 0
    total = sum(trees.number.tolist())
    expected = float(trees.base + trees.scale * total)
    assert trees.predict(np.empty((30, 0))).tolist() == [expected] * 30


@pytest.mark.parametrize("shape", [(WIDTH,), (3, WIDTH - 1), (3, 0), (2, 3, WIDTH)])
def test_features_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Nothing is read beyond the end of a row."""
    with pytest.raises(ValueError, match=r"expected \(rows, at least 5\)"):
        random_trees(0).predict(np.zeros(shape))


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingRegressor(max_iter=20, random_state=0),
        GradientBoostingRegressor(n_estimators=20, random_state=0),
        RandomForestRegressor(n_estimators=7, random_state=0),
        ExtraTreesRegressor(n_estimators=7, random_state=0),
        LGBMRegressor(n_estimators=20, random_state=0, verbose=-1),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_the_trees_predict_what_their_estimator_does(estimator: Any) -> None:
    """Within the rounding of a sum, missing values included where the estimator takes them."""
    rng = np.random.default_rng(0)
    # Forests round features to single precision; these numbers are exact in it.
    features = rng.integers(-50, 50, size=(400, WIDTH)) / 8
    target = features[:, 0] * features[:, 1] + rng.normal(size=400)
    if isinstance(estimator, HistGradientBoostingRegressor | LGBMRegressor):
        features[rng.random(features.shape) < 0.1] = np.nan
    estimator.fit(features, target)
    trees = from_estimator(estimator)
    assert trees.predict(features) == pytest.approx(estimator.predict(features), abs=1e-11)


def test_a_value_that_lightgbm_never_missed_counts_as_its_estimator_says() -> None:
    """Without missing values to learn from, LightGBM takes one for zero, and so do the trees."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, WIDTH))
    estimator = LGBMRegressor(n_estimators=20, random_state=0, verbose=-1)
    estimator.fit(features, features[:, 0] * features[:, 1])
    features[rng.random(features.shape) < 0.3] = np.nan
    predicted = from_estimator(estimator).predict(features)
    assert predicted == pytest.approx(estimator.predict(features), abs=1e-11)


def test_an_estimator_without_trees_is_refused() -> None:
    """The error names the estimator."""
    with pytest.raises(ValueError, match="LinearRegression holds no trees"):
        from_estimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))


def test_trees_survive_their_file(tmp_path: Path) -> None:
    """What is loaded predicts the same bits; saved twice, the files are equal."""
    trees, features = random_trees(4), random_features(4, 40)
    trees.save(tmp_path / "a.npz")
    trees.save(tmp_path / "b.npz")
    loaded = Trees.load(tmp_path / "a.npz")
    assert loaded.predict(features).tobytes() == trees.predict(features).tobytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def arrays() -> dict[str, Any]:
    """
    Return two trees: a split with two leaves, and a leaf.
    """
    return {
        "feature": np.array([0, -1, -1, -1], np.int32),
        "number": np.array([0.5, 1.0, 2.0, 3.0]),
        "missing_left": np.array([True, False, False, False]),
        "sizes": np.array([3, 1], np.int32),
        "base": np.array(0.25),
        "scale": np.array(1.0),
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
        ("sizes", np.array([], np.int32), "sizes are not those of 4 nodes"),
        ("base", np.array(np.nan), "not finite"),
        ("base", np.array([0.0]), "base is float64 of shape"),
        ("scale", np.array(np.inf), "not finite"),
        ("scale", np.array("x" * 9), "scale is <U9"),
        ("number", np.array([{}] * 4, object), "allow_pickle=False"),
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


def test_a_damaged_file_is_refused_or_harmless(tmp_path: Path) -> None:
    """Whichever byte is wrong, and wherever the file ends, there is a ValueError or a model."""
    file = tmp_path / "trees.npz"
    np.savez_compressed(file, **arrays())
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        file.write_bytes(damaged[: rng.integers(len(whole) // 2, 2 * len(whole))])
        try:
            trees = Trees.load(file)
        except ValueError:
            refused += 1
        else:
            trees.predict(np.zeros((20, trees.width)))
    assert refused > 100


def test_a_file_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    """It is an OSError, not a damaged model."""
    with pytest.raises(FileNotFoundError):
        Trees.load(tmp_path / "trees.npz")


def run(
    folder: Path, code: str = "", container: Path = CONTAINER
) -> subprocess.CompletedProcess[str]:
    """
    Compare predict with what walk says here, in a process of its own, then run more code there.
    """
    trees, features = random_trees(2), random_features(2, 3000)
    trees.save(folder / "trees.npz")
    np.save(folder / "features.npy", features)
    np.save(folder / "expected.npy", trees.walk(features))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", COMPARE + code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(container), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


COMPARE = """
import logging, os, pathlib, sys
import numpy as np
from sagemaker_runtime.engines.trees import Trees
logging.basicConfig(level=logging.INFO)
trees = Trees.load(pathlib.Path("trees.npz"))
features, expected = np.load("features.npy"), np.load("expected.npy")
def compare():
    assert trees.predict(features, 4).tobytes() == expected.tobytes()
compare()
print(trees.is_compiled)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """
    A copy of the program without its libraries.
    """
    return Path(
        shutil.copytree(
            CONTAINER, tmp_path / "container", ignore=shutil.ignore_patterns("*.so", "__pycache__")
        )
    )


@pytest.mark.parametrize("content", [None, b"", b"\x7fELF of another processor"])
def test_without_the_library_the_plain_walk_scores(copy: Path, content: bytes | None) -> None:
    """It is missing or does not load: one line of the log says so and names the remedy."""
    if content is not None:
        (copy / "sagemaker_runtime/engines" / LIBRARY.name).write_bytes(content)
    done = run(copy, container=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"
    assert done.stderr.count("INFO:sagemaker_runtime.engines.trees:") == 1
    assert "container/compile.sh" in done.stderr


@pytest.mark.skipif(not shutil.which("cc"), reason="compile.sh needs a C compiler, cc")
def test_the_script_compiles_the_library(copy: Path) -> None:
    """It leaves the library beside its source and nothing else; an older one is replaced."""
    library = copy / "sagemaker_runtime/engines" / LIBRARY.name
    library.write_bytes(b"old")
    before = {path.name for path in library.parent.iterdir()}
    done = subprocess.run([copy / "compile.sh"], cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(library) in done.stdout.splitlines()
    assert {path.name for path in library.parent.iterdir()} == before
    done = run(copy, container=copy)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_a_source_that_does_not_compile_leaves_the_old_library(copy: Path) -> None:
    """The compiler's failure is the script's, and no temporary file stays behind."""
    library = copy / "sagemaker_runtime/engines" / LIBRARY.name
    library.write_bytes(b"old")
    before = {path.name for path in library.parent.iterdir()}
    done = subprocess.run([copy / "compile.sh"], env={**os.environ, "CC": "false"})
    assert done.returncode != 0
    assert library.read_bytes() == b"old"
    assert {path.name for path in library.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "text"),
    [
        (["--help"], {}, 0, "Usage: container/compile.sh"),
        (["--fast"], {}, 64, "unknown argument '--fast'"),
        ([], {"CC": "no-such-cc"}, 69, "apt-get install gcc libc6-dev"),
    ],
)
def test_the_script_explains_itself(
    copy: Path, arguments: list[str], environ: dict[str, str], code: int, text: str
) -> None:
    """Help goes to stdout with 0, what went wrong with its remedy to stderr."""
    done = subprocess.run(
        [copy / "compile.sh", *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert text in (done.stderr if code else done.stdout)


@compiled
def test_threads_work_under_gevent_and_after_a_fork(tmp_path: Path) -> None:
    """
    1. gevent has replaced Python's threads 2. the parent scores in threads 3. it forks.

    Result: parent and child get the same bits.
    """
    done = run(
        tmp_path,
        "import gevent.monkey; gevent.monkey.patch_all()\n"
        "compare()\n"
        "child = os.fork()\n"
        "compare()\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n",
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "True"), done.stderr


@compiled
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone has it")
def test_threads_leave_the_callers_processors_alone(tmp_path: Path) -> None:
    """With all processors and with one the bits are the same, and the caller keeps its own."""
    done = run(
        tmp_path,
        "allowed = os.sched_getaffinity(0)\n"
        "compare()\n"
        "assert os.sched_getaffinity(0) == allowed\n"
        "os.sched_setaffinity(0, {min(allowed)})\n"
        "compare()\n",
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "True"), done.stderr
