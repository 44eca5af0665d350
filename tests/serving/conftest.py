"""
What the tests of the application share: a client, and what was logged.
"""

import json
import logging.config
import sys
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from application import Lines, client_of
from sagemaker_runtime.logs import logging_config


@pytest.fixture
def client() -> FlaskClient:
    return client_of()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Set logging up as the server does; call for what stdout and stderr got, parsed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    streams = StringIO(), StringIO()
    # pytest puts streams of its own in place again before the test itself runs.
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
