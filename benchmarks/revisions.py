# ruff: noqa: S603, S607 - runs git, tar and this project's own compile.sh
"""
The program as it was at another revision.
"""

import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def check_out(revision: str, folder: Path) -> Path:
    """
    Put ``container/`` of a revision into ``folder``, compiled, and return its path.
    """
    packed = subprocess.run(
        ["git", "archive", revision, "container"], cwd=TOP, stdout=subprocess.PIPE, check=True
    ).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=packed, check=True)
    program = folder / "container"
    subprocess.run([program / "compile.sh"], stdout=subprocess.DEVNULL, check=True)
    return program
