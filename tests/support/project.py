"""
Where the project's files are, and program folders with another algorithm inside.
"""

import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CONTAINER = TOP / "container"
SAMPLE = TOP / "local_test/test_dir/input/data/training"


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


def scripts() -> list[Path]:
    """
    Return the shell scripts that people run; those without a run bit are sourced by others.
    """
    return [p for p in tracked() if p.suffix == ".sh" and p.stat().st_mode & 0o100]


def assemble(folder: Path, algorithm: str | Path, name: str = "toy") -> Path:
    """
    Copy container/ to ``folder`` with ``algorithm`` in the place of taxi_fare and return it.

    ``algorithm`` is a package's folder, or the source of an ``__init__.py``.
    """
    ignore = shutil.ignore_patterns("taxi_fare", "__pycache__")
    shutil.copytree(CONTAINER, folder, ignore=ignore)
    if isinstance(algorithm, Path):
        shutil.copytree(algorithm, folder / algorithm.name)
    else:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(algorithm, encoding="utf-8")
    return folder
