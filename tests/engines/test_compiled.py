"""The compiled library: made by the script, absent, under threads and forks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import CONTAINER
from random_trees import random_features, random_trees
from sagemaker_runtime.engines.compiled import LIBRARY
from sagemaker_runtime.engines.trees import Trees

compiled = pytest.mark.skipif(
    not LIBRARY.exists(), reason="no compiled library: run container/compile.sh, it needs a cc"
)


def run(
    folder: Path, code: str = "", container: Path = CONTAINER
) -> subprocess.CompletedProcess[str]:
    """
    Compare predict with what walk says here, in another process, then run more code there.
    """
    ensemble, features = random_trees(2), random_features(2, 3000)
    Trees(ensemble).save(folder / "trees.npz")
    np.save(folder / "features.npy", features)
    np.save(folder / "expected.npy", ensemble.walk(features)[:, 0])
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
    assert done.stderr.count("INFO:sagemaker_runtime.engines.compiled:") == 1
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
