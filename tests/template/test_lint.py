"""
The rules of the code base that a program can check.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import CONTAINER, TOP, scripts, tracked

SCRIPTS = [TOP / ".ci/run", *scripts()]
EXECUTABLES = [CONTAINER / "train", CONTAINER / "serve", *SCRIPTS]


def tool(*command: str) -> None:
    """
    Run a tool of requirements-dev.txt at the top of the project; raises AssertionError with what
    it found.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which(command[0], path=path)
    assert program, f"{command[0]} is not installed; run local_test/test.sh"
    done = subprocess.run([program, *command[1:]], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_ignored_is_tracked():
    """What .gitignore names, such as a library compiled for one machine, is not in git."""
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    listed = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    assert listed.stdout == ""


def test_ruff_finds_nothing():
    """No rule of pyproject.toml is broken."""
    tool("ruff", "check", ".")


def test_ruff_would_change_nothing():
    """The Python files are formatted."""
    tool("ruff", "format", "--check", ".")


def test_types_agree():
    """mypy finds nothing in the program nor in the examples."""
    tool("mypy", "container", "examples")


def test_shellcheck_finds_nothing():
    """The shell scripts, and what they source, are clean."""
    tool("shellcheck", "--check-sourced", "--external-sources", *map(str, SCRIPTS))


def test_hadolint_finds_nothing():
    """The Dockerfile is clean but for the exceptions that .hadolint.yaml explains."""
    tool("hadolint", "Dockerfile")


@pytest.mark.parametrize("path", EXECUTABLES, ids=lambda path: path.name)
def test_scripts_can_be_run(path):
    """Each script has its run bit, here and in git, and names its interpreter."""
    assert os.access(path, os.X_OK)
    assert path.read_bytes().startswith(b"#!/usr/bin/env ")
    command = ["git", "ls-files", "--stage", str(path.relative_to(TOP))]
    staged = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout
    assert not staged or staged.startswith("100755")


def test_no_windows_line_endings():
    """Every text file has Unix line endings and ends with one."""
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content[:8192] or not content:
            continue
        assert b"\r\n" not in content, path
        assert content.endswith(b"\n"), path


def test_every_shell_script_stops_at_the_first_failure():
    """Each script sets -euo pipefail before anything else."""
    for path in SCRIPTS:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert lines[0] == "set -euo pipefail", path


def test_the_platforms_root_stands_in_one_file():
    """Of the program, only sagemaker_runtime/paths.py names /opt/ml."""
    named = [
        str(path.relative_to(CONTAINER))
        for path in tracked()
        if path.is_relative_to(CONTAINER)
        and b"\0" not in path.read_bytes()
        and "/opt/ml" in path.read_text(encoding="utf-8")
    ]
    assert named == ["sagemaker_runtime/paths.py"]


HTTP = {"answers", "api", "invocations", "threads", "wsgi"}

# Whoever stands on the left imports none of what stands on the right.
FORBIDDEN = {
    "sagemaker_runtime": HTTP | {"flask", "predictor", "taxi_fare", "werkzeug"},
    "taxi_fare": HTTP | {"flask", "gevent", "gunicorn", "predictor", "werkzeug"},
    "predictor.py": HTTP | {"flask", "taxi_fare", "werkzeug"},
    "answers.py": HTTP - {"answers"} | {"flask", "predictor", "taxi_fare"},
    "threads.py": {"api", "flask", "invocations", "predictor", "taxi_fare", "wsgi"},
    "invocations.py": {"api", "flask", "taxi_fare", "wsgi"},
    "api.py": {"taxi_fare", "wsgi"},
    "self_test.py": {"api", "flask", "taxi_fare", "werkzeug", "wsgi"},
    "wsgi.py": {"taxi_fare"},
}


def imported(path: Path) -> set[str]:
    """
    Return the top-level names of all that a file imports, at its head or inside a function.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_run_one_way(part):
    """The platform's contract knows neither Flask nor taxis, the API no taxis, they no API."""
    here = CONTAINER / part
    files = sorted(here.rglob("*.py")) if here.is_dir() else [here]
    assert files
    for path in files:
        assert not imported(path) & FORBIDDEN[part], path


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
