"""
Scripts for tests of script mode.
"""

from pathlib import Path

# Saves a model.
SAVE = """
import os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text("trained")
"""


def write(program: Path, source: str, name: str = "train.py") -> None:
    """
    Put a script into the package of the program folder.
    """
    (program / "scripts" / name).write_text(source, encoding="utf-8")
