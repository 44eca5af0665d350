"""
The sample chooses to be linted, and what it may import.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import CONTAINER, TOP

PACKAGE = CONTAINER / "taxi_fare"
# Of the program, it may import what an algorithm provides and is given, not what serves it.
FORBIDDEN = {"api", "flask", "gevent", "gunicorn", "predictor", "werkzeug", "wsgi"}


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "container/taxi_fare", "tests/taxi_fare"),
        ("ruff", "format", "--check", "container/taxi_fare", "tests/taxi_fare"),
        ("mypy", "container/taxi_fare"),
    ],
    ids=" ".join,
)
def test_the_linters_find_nothing(command):
    """The rules of pyproject.toml hold for the sample too."""
    program = str(Path(sys.executable).parent / command[0])
    done = subprocess.run([program, *command[1:]], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_does_not_know_the_server():
    """It imports neither Flask nor gunicorn nor the program's parts that do."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module}
            assert not {name.partition(".")[0] for name in names} & FORBIDDEN, path


def test_serving_imports_no_training_library(tmp_path):
    """Serving a trained model loads neither pandas, scipy, scikit-learn nor pyarrow."""
    environ = os.environ | {"SAGEMAKER_BASE_DIR": str(tmp_path)}
    shutil.copytree(TOP / "local_test/test_dir/input/data", tmp_path / "input/data")
    (tmp_path / "input/config").mkdir()
    (tmp_path / "input/config/hyperparameters.json").write_text(json.dumps({"rounds": "2"}))
    command = [sys.executable, str(CONTAINER / "train")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code = "import sys, wsgi; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CONTAINER, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"flask", "numpy", "taxi_fare"} <= loaded
    training = {"joblib", "lightgbm", "pandas", "pyarrow", "scipy", "sklearn", "skops", "treelite"}
    assert not loaded & training
