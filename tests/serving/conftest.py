"""
Folders that the tests of ``serve`` share.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import assemble
from served import ALGORITHM


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """
    A folder that every user may enter, which pytest's own are not.
    """
    with tempfile.TemporaryDirectory(prefix="test-serve-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def program(shared: Path) -> Path:
    return assemble(shared / "program", ALGORITHM)


@pytest.fixture
def model(shared: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=shared) as root:
        Path(root).chmod(0o755)
        model = Path(root, "model")
        model.mkdir()
        model.chmod(0o777)
        yield model
