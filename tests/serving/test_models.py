"""
What the workers of a multi-model endpoint agree on, and its application under Flask's hooks.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from flask import request

from api import create_app
from fake_algorithm import FakeAlgorithm
from guests import make
from http_assertions import assert_error
from loading import Models
from sagemaker_runtime.algorithm import Json
from sagemaker_runtime.serving.models import Entry, NoMemory, Registry
from sagemaker_runtime.settings import Settings

HERE = os.getpid()


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_model_being_loaded_is_not_listed(tmp_path: Path) -> None:
    """Only what can be asked is found and listed."""
    registry = Registry(tmp_path / "models")
    assert registry.page("") == ([], None)
    entry = Entry("a%2Fb", "/models/a", 7, HERE, loaded=False)
    registry.reserve(entry, lambda: 7)
    assert registry.find(entry.key) is None
    assert registry.page("") == ([], None)
    registry.write(replace(entry, loaded=True))
    assert registry.page("") == ([registry.find(entry.key)], None)


def test_pages_go_on_where_the_last_one_ended(tmp_path: Path) -> None:
    """A model that is unloaded between two pages neither hides another nor repeats one."""
    registry = Registry(tmp_path)
    for number in range(9):
        registry.write(Entry(str(number), "/m", 1, HERE, loaded=True))
    first, token = registry.page("", 4)
    assert token
    registry.remove(first[0].key)
    registry.remove(first[3].key)
    second, token = registry.page(token, 4)
    assert token
    third, token = registry.page(token, 4)
    assert token is None
    assert {entry.key for entry in first + second + third} == set("012345678")


def test_memory_is_counted_once(ended: int, tmp_path: Path) -> None:
    """
    What is about to be loaded counts, and what an ended worker had, which nobody has loaded again;
    what is loaded is in use already, and what an ended worker was about to load is not expected.
    """
    registry = Registry(tmp_path)
    for number, (loaded, worker) in enumerate(
        [(True, HERE), (False, HERE), (True, ended), (False, ended)]
    ):
        registry.write(Entry(str(number), "/m", 10**number, worker, loaded))
    new = Entry("new", "/m", 1000, HERE, loaded=False)
    with pytest.raises(NoMemory, match="takes 0 MB"):
        registry.reserve(new, lambda: 10 + 100 + 999)
    assert not list(tmp_path.glob("*.new"))
    registry.reserve(new, lambda: 10 + 100 + 1000)


def test_hooks_see_the_calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hooks of Flask see requests for models, whose body they may read first."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    algorithm = FakeAlgorithm(lambda value: value, Json(example=1), Json(example=1))
    models = Models(algorithm, replace(Settings.from_environ({}), workers=1))
    monkeypatch.setattr("probe.measure", lambda folder, limit_s: 0)
    client = create_app(models, replace(Settings.from_environ({}), workers=1)).test_client()
    seen = []
    client.application.before_request(lambda: seen.append((request.path, request.get_json())))
    body = {"model_name": "a b/c", "url": str(make(tmp_path / "one"))}
    assert client.post("/models", json=body).status_code == 200
    assert client.post("/models/a%20b%2Fc/invoke", json=[1, 2]).json == [1, 2]
    assert_error(client.post("/models/other/invoke", json=1), 404, "model_not_loaded")
    invocations = [("/models/a%20b%2Fc/invoke", [1, 2]), ("/models/other/invoke", 1)]
    assert seen == [("/models", body), *invocations]
