"""
What the tests of script mode share.
"""

from pathlib import Path

import pytest

from project import TOP, assemble

PACKAGE = (TOP / "examples/script_mode/script_mode_model/__init__.py").read_text(encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A job's tree of files."""
    return tmp_path / "ml"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program folder of script mode without scripts."""
    return assemble(tmp_path / "program", PACKAGE, "scripts")
