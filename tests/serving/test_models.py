"""
What the workers of a multi-model endpoint agree on, and its application under Flask's hooks.
"""

import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from flask import request

import predictor
import probe
from api import create_app
from fake_algorithm import FakeAlgorithm
from guests import make
from harness import wait_until
from http_assertions import assert_error
from loading import Models
from sagemaker_runtime.algorithm import Json
from sagemaker_runtime.serving.models import Entry, NoMemory, Registry
from sagemaker_runtime.settings import Settings
from served import all_gone

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


def test_waiting_for_another_model_takes_no_time_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The time to load a model begins with it, not while another one takes the only thread."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("probe.measure", lambda folder, limit_s: 0)
    models = Models(
        FakeAlgorithm(lambda value: value, Json(example=1), Json(example=1)),
        Settings.from_environ({}),
    )
    begun, release = [], threading.Event()
    timeout = gevent.Timeout
    monkeypatch.setattr(
        gevent, "Timeout", lambda seconds: begun.append(release.is_set()) or timeout(seconds)
    )
    monkeypatch.setattr(
        "loading.Predictor", lambda *about: release.wait(30) and predictor.Predictor(*about)
    )
    both = [gevent.spawn(models.load, name, str(make(tmp_path / name))) for name in ("a", "b")]
    gevent.idle()
    release.set()
    assert all(each.get().loaded for each in both)
    assert begun == [False, True]


def test_a_process_forked_while_loading_delays_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a model has started may live on: it ends with the process that tried the model."""
    program = tmp_path / "program.py"
    started = tmp_path / "started"
    program.write_text(
        "import os, pathlib, signal\n"
        "if not (forked := os.fork()):\n"
        "    signal.pause()\n"
        f"pathlib.Path({str(started)!r}).write_text(str(forked))\n"
        f"os.write({probe.PIPE}, b'{{\"size\": 7}}\\n')\n"
        "os._exit(0)\n"
    )
    monkeypatch.setattr(probe, "__file__", str(program))
    assert probe.measure(tmp_path, 20) == 7
    wait_until(lambda: all_gone([int(started.read_text())]), what="the forked process has ended")


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
