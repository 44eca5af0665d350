"""
Where the project's files are, which algorithm it holds, and program folders with another inside.
"""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from sagemaker_runtime.algorithm import Algorithm, find_algorithm

TOP = Path(__file__).resolve().parents[2]
CONTAINER = TOP / "container"
SAMPLE = TOP / "local_test/test_dir/input/data/training"


def packages(program: Path = CONTAINER) -> list[str]:
    """
    Return the names of the packages beside ``sagemaker_runtime``, which users replace.
    """
    found = {init.parent.name for init in program.glob("*/__init__.py")}
    return sorted(found - {"sagemaker_runtime"})


def _name() -> str:
    name = os.environ.pop("ALGORITHM", "")  # programs that tests put together have their own
    if not name and len(packages()) != 1:
        raise RuntimeError(
            f"container/ holds {len(packages())} packages ({', '.join(packages()) or 'none'}) "
            "beside sagemaker_runtime; say which is the algorithm: ALGORITHM=... "
            "local_test/test.sh"
        )
    return name or packages()[0]


# The algorithm's name, found as the program does it, but without importing the package.
ALGORITHM = _name()


def own_algorithm(name: str = ALGORITHM) -> Algorithm:
    """
    Return the project's algorithm.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALGORITHM", name)
        return find_algorithm()


def quick(name: str = ALGORITHM) -> dict[str, str]:
    """
    Return the hyperparameters of a short training, which the algorithm's own tests may state.
    """
    path = TOP / "tests" / name / "hyperparameters.json"
    stated: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return stated


def tracked() -> list[Path]:
    """
    Return the files that git knows or would add.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(
        TOP / name for name in listed.stdout.split("\0") if name and (TOP / name).is_file()
    )


def is_users(path: Path) -> bool:
    """
    Tell whether a file belongs to the algorithm: its code, its tests, its data and requests.
    """
    parts = path.relative_to(TOP).parts
    return (
        (parts[0] == "container" and parts[1] in packages())
        or parts[:2] == ("tests", ALGORITHM)
        or path.is_relative_to(TOP / "local_test/test_dir/input")
        or (parts[0] == "local_test" and path.stem == "payload")
    )


def scripts() -> list[Path]:
    """
    Return the shell scripts that people run; those without a run bit are sourced by others.
    """
    return [p for p in tracked() if p.suffix == ".sh" and p.stat().st_mode & 0o100]


def clone(folder: Path) -> Path:
    """
    Make what a user has who cloned the project, with everything in one commit, and return it.
    """
    for path in tracked():
        copy = folder / path.relative_to(TOP)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        (*identity, "commit", "-q", "-m", "The template"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def open_parents(folder: Path) -> None:
    """
    Let other users pass through the folders above one, which pytest keeps closed.
    """
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(0o711)


def assemble(folder: Path, algorithm: str | Path, name: str = "toy") -> Path:
    """
    Copy container/ to ``folder`` with ``algorithm`` in the place of the project's and return it.

    ``algorithm`` is a package's folder, or the source of an ``__init__.py``.
    """
    ignore = shutil.ignore_patterns(*packages(), "__pycache__")
    shutil.copytree(CONTAINER, folder, ignore=ignore)
    if isinstance(algorithm, Path):
        shutil.copytree(algorithm, folder / algorithm.name)
    else:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(algorithm, encoding="utf-8")
    return folder
