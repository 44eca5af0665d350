"""
Models for tests of a multi-model endpoint: what is in their folder says what they do.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness import Answer, ServeProcess
from served import children_of, master_of, start_serve

# A model is a folder with a file model.json, such as {"value": 3, "mb": 100}.
ALGORITHM = """
import json
import os
import time

from sagemaker_runtime.algorithm import Json

INPUT, OUTPUT = Json(example=1), Json(example=1)
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    model = json.loads((model_dir / "model.json").read_text())
    (model_dir / f"loaded.{os.getpid()}").touch()
    if model.get("load") == "exit":
        os._exit(9)
    while model.get("load") == "hang":
        time.sleep(0.01)
    while (model_dir / "wait").exists() and not (model_dir / f"go.{os.getpid()}").exists():
        sum(range(1000))  # gevent would let others run while it sleeps
    # Half of it in large pieces, half in small ones, which C's allocator keeps for itself.
    half = int(model.get("mb", 0) * 500_000)
    model["memory"] = b"\\1" * half, [bytes([x % 251]) * 2_000 for x in range(half // 2_000)]
    return model, model_dir


def predict(model, asked):
    model, model_dir = model
    if asked == "raise":
        raise RuntimeError("told to")
    if asked == "exit":
        os._exit(9)
    if asked == "stream":
        return pieces(model_dir)
    if isinstance(asked, list):  # long, so that it is worked on in a thread
        wait(model_dir)
    return {"value": model["value"], "worker": os.getpid()}


def pieces(model_dir):
    yield b"first,"
    wait(model_dir)
    yield b"last"


def wait(model_dir):
    (model_dir / "held").touch()
    while not (model_dir / "release").exists():
        time.sleep(0.01)
"""

JSON = {"Content-Type": "application/json"}
# Large enough to be worked on in a thread.
HOLD = json.dumps(["x" * 70_000])


def make(folder: Path, **model: Any) -> Path:
    """
    Write a model into a new folder and return that.
    """
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "model.json").write_text(json.dumps({"value": 1, **model}), encoding="utf-8")
    return folder


def load(serve: ServeProcess, name: str, folder: Path | str, timeout: float = 60) -> Answer:
    """
    Ask for a model to be loaded.
    """
    body = json.dumps({"model_name": name, "url": str(folder)})
    return serve.call("/models", body, headers=JSON, timeout=timeout)


def unload(serve: ServeProcess, name: str, timeout: float = 60) -> Answer:
    """
    Ask for a model to be unloaded.
    """
    return serve.call(f"/models/{quote(name, safe='')}", method="DELETE", timeout=timeout)


def invoke(serve: ServeProcess, name: str, body: str = "1", timeout: float = 60) -> Answer:
    """
    Ask a model.
    """
    path = f"/models/{quote(name, safe='')}/invoke"
    return serve.call(path, body, headers=JSON, timeout=timeout)


def start(program: Path, model: Path, **options: Any) -> ServeProcess:
    """
    Start a multi-model endpoint.
    """
    return start_serve(program, model, SAGEMAKER_MULTI_MODEL="true", **options)


def listed(serve: ServeProcess) -> list[dict[str, str]]:
    """
    Return the models on all pages.
    """
    found: list[dict[str, str]] = []
    path = "/models"
    while True:
        content = serve.call(path).json
        found += content["models"]
        if "nextPageToken" not in content:
            return found
        path = f"/models?next_page_token={content['nextPageToken']}"


def workers_of(serve: ServeProcess) -> list[int]:
    """
    Return the process ids of the workers.
    """
    return children_of(master_of(serve, "gunicorn"))


def registry_of(serve: ServeProcess) -> Path:
    """
    Return the folder on which the workers agree.
    """
    environ = Path(f"/proc/{master_of(serve, 'gunicorn')}/environ").read_bytes()
    [temporary] = re.findall(rb"\0TMPDIR=([^\0]+)", environ)
    return Path(temporary.decode(), "models")
