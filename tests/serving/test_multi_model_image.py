"""
Multi-model endpoints in a container, with a limit on its memory.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import containers
from guests import ALGORITHM, JSON, make
from harness import Answer, call, wait_until
from http_assertions import assert_error
from project import ALGORITHM as PROJECTS

pytestmark = pytest.mark.docker

LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"
MB = 100  # of a model
LIMIT = ("--memory", "700m", "--memory-swap", "700m")


@pytest.fixture(scope="module")
def several(image: str) -> Iterator[str]:
    """
    The project's image, built with --multi-model.
    """
    with containers.built(f"multi-model-suite/{PROJECTS}:{os.getpid()}", "--multi-model") as tag:
        yield tag


def label(image: str) -> object:
    """
    Return the value of the label, None without one.
    """
    labels = containers.docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    return json.loads(labels).get(LABEL)


def test_the_label_is_there_when_the_build_asks_for_it(image: str, several: str) -> None:
    """SageMaker finds the label in the one image and not in the other."""
    assert label(image) is None
    assert label(several) == "true"


def test_models_are_loaded_until_memory_is_short(several: str, tmp_path: Path) -> None:
    """
    1. models are loaded until the answer is 507 2. one comes that is larger than the container
    3. two are unloaded, others are loaded
    Result: those that fit are loaded, all loaded ones answer, no process was killed.
    """
    (tmp_path / "several").mkdir()
    (tmp_path / "several/__init__.py").write_text(ALGORITHM)
    make(tmp_path / "models/one", mb=MB)
    make(tmp_path / "models/huge", mb=1500)
    url = "/opt/ml/models/one"
    mounts = [
        f"type=bind,source={tmp_path / 'several'},target=/opt/program/several,readonly",
        f"type=bind,source={tmp_path / 'models'},target=/opt/ml/models",
    ]
    options = [*LIMIT, *(word for mount in mounts for word in ("--mount", mount))]
    for variable in ("SAGEMAKER_MULTI_MODEL=true", "ALGORITHM=several", "MODEL_SERVER_WORKERS=2"):
        options += ["--env", variable]

    def ask(path: str, body: str | None = None, method: str = "") -> Answer:
        return call(server.port, path, body, JSON, method=method, timeout=60)

    def load(name: str) -> Answer:
        return ask("/models", json.dumps({"model_name": name, "url": url}))

    with containers.container(
        several, "serve", options=options, allow="insufficient_memory"
    ) as server:
        wait_until(server.healthy, timeout=containers.START_S, what="/ping answers 200")
        loaded = []
        while (answer := load(f"model-{len(loaded)}")).status == 200:
            loaded.append(f"model-{len(loaded)}")
            assert len(loaded) * MB < 700
        assert_error(answer, 507, "insufficient_memory", contains="unload others")
        body = json.dumps({"model_name": "huge", "url": "/opt/ml/models/huge"})
        assert ask("/models", body).status == 507
        assert len(loaded) >= 3
        for name in loaded[:2]:
            assert ask(f"/models/{name}", method="DELETE").status == 200
        assert load("another").status == load("one more").status == 200
        assert load("one too many").status == 507
        for name in [*loaded[2:], "another", "one%20more"]:
            assert ask(f"/models/{name}/invoke", "1").status == 200
        assert server.stop() == 0
