"""
The rules of the code base that a program can check.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import ALGORITHM, CONTAINER, TOP, is_users, packages, scripts, tracked

SCRIPTS = [TOP / ".ci/run", *scripts()]
# The packages beside sagemaker_runtime and the algorithm's tests are linted if they choose to be.
NOT_OURS = [
    f"--extend-exclude={folder}"
    for folder in (f"tests/{ALGORITHM}", *(f"container/{name}" for name in packages()))
]
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
    """No rule of pyproject.toml is broken; the algorithm's package may choose other rules."""
    tool("ruff", "check", ".", *NOT_OURS)


def test_ruff_would_change_nothing():
    """The Python files are formatted."""
    tool("ruff", "format", "--check", ".", *NOT_OURS)


def test_types_agree():
    """mypy finds nothing in the program, the commands and the examples."""
    excluded = (f"--exclude=^container/{name}/" for name in packages())
    folders = (
        "conformance",
        "container",
        "deploy",
        "examples",
        "infra",
        "local_cloud",
        "monitoring",
    )
    # As tutorials write it, on packages that are installed in images only.
    tool("mypy", *excluded, "--exclude=^conformance/examples/", *folders)


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
    """Every text file has Unix line endings and ends with one; data are as they came."""
    for path in tracked():
        if is_users(path) and path.suffix != ".py":
            continue
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
        and not is_users(path)
        and b"\0" not in path.read_bytes()
        and "/opt/ml" in path.read_text(encoding="utf-8")
    ]
    assert named == ["sagemaker_runtime/paths.py"]


HTTP = {"answers", "api", "invocations", "threads", "wsgi"}
ALGORITHMS = set(packages())

# What stands on the left imports none of what stands on the right.
FORBIDDEN = {
    "sagemaker_runtime": HTTP | {"flask", "predictor", "werkzeug"} | ALGORITHMS,
    "predictor.py": HTTP | {"flask", "werkzeug"} | ALGORITHMS,
    "answers.py": HTTP - {"answers"} | {"flask", "predictor"} | ALGORITHMS,
    "threads.py": {"api", "flask", "invocations", "predictor", "wsgi"} | ALGORITHMS,
    "invocations.py": {"api", "flask", "wsgi"} | ALGORITHMS,
    "middleware.py": {"api", "flask", "predictor", "wsgi"} | ALGORITHMS,
    "probe.py": {"api", "flask", "invocations", "werkzeug", "wsgi"} | ALGORITHMS,
    "loading.py": {"api", "flask", "werkzeug", "wsgi"} | ALGORITHMS,
    "multi_model.py": {"api", "wsgi"} | ALGORITHMS,
    "api.py": {"wsgi"} | ALGORITHMS,
    "self_test.py": {"api", "flask", "werkzeug", "wsgi"} | ALGORITHMS,
    "wsgi.py": ALGORITHMS,
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
    """The platform's contract does not know Flask, and nothing but its tests the algorithm."""
    here = CONTAINER / part
    files = sorted(here.rglob("*.py")) if here.is_dir() else [here]
    assert files
    for path in files:
        assert not imported(path) & FORBIDDEN[part], path


def test_only_its_own_tests_know_the_algorithm():
    """No test imports the algorithm's package but those in the folder of its name."""
    tests = [path for path in tracked() if path.is_relative_to(TOP / "tests")]
    for path in tests:
        if path.suffix == ".py" and not is_users(path):
            assert not imported(path) & ALGORITHMS, path
