"""
What the tests of serving share: a client of the application and what was logged, and the folders
of a served program.
"""

import json
import logging.config
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from application import Lines, client_of
from project import assemble
from sagemaker_runtime.logs import logging_config
from served import ALGORITHM


@pytest.fixture
def client() -> FlaskClient:
    return client_of()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Set logging up as the server does; call for what stdout and stderr got, parsed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    streams = StringIO(), StringIO()
    # pytest puts its own streams in place again before the test itself runs.
    own_sys = SimpleNamespace(stdout=streams[0], stderr=streams[1])
    monkeypatch.setattr("sagemaker_runtime.logs.sys", own_sys)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        # dictConfig would close pytest's own handlers for good.
        patch.setattr(logging, "shutdown", lambda handlers: None)
        logging.config.dictConfig(logging_config("info"))

    def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        out, err = ([json.loads(x) for x in s.getvalue().splitlines()] for s in streams)
        return out, err

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


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
