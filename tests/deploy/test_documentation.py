"""docs/deploying.md and the help: what they say is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.__main__ import COMMANDS, main

from project import ALGORITHM, TOP, clone, own_algorithm, quick

CLOUD_LOCK = "requirements-cloud.txt"
PAGE = (TOP / "docs/deploying.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: str(each.name))
def test_each_command_has_an_example_that_is_valid(command, capsys):
    """In its help, and on the page; the options that it names exist."""
    assert main([str(command.name), "--help"]) == 0
    shown = capsys.readouterr().out
    known = set(re.findall(r"--[a-z-]+", shown))
    assert f"./deploy.sh {command.name}" in shown
    examples = re.findall(rf"`\./deploy\.sh {command.name}( [^`]*)?`", PAGE)
    assert examples
    for example in examples:
        assert set(re.findall(r"--[a-z-]+", example)) <= known


def test_each_command_that_is_named_exists():
    """No message and no page names a command that does not exist."""
    for path in (*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("deploy/*.py")):
        named = re.findall(r"\./deploy\.sh ([a-z]+)", path.read_text(encoding="utf-8"))
        assert set(named) <= {command.name for command in COMMANDS}, path


def environment(folder: Path, room: str, lock: str) -> None:
    """The tests' packages as a script's own environment, instead of a download."""
    venv = folder / room / ".venv"
    venv.mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (venv / part).symlink_to(Path(sys.prefix) / part)
    counted = subprocess.run(["cksum", lock], cwd=folder, capture_output=True, check=True)
    (venv / "installed").write_bytes(counted.stdout)


@pytest.mark.docker
def test_the_rehearsal_works_as_it_is_written(image, tmp_path):
    """From a clone to an endpoint of the local cloud that answers, and back."""
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    folder = clone(tmp_path / "clone")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for room, lock in (("deploy", "requirements-deploy.txt"), ("local_cloud", CLOUD_LOCK)):
        environment(folder, room, lock)
    # Another stream of tests may have the usual port, and what was built is not built again.
    script = script.replace("cloud.sh start", "cloud.sh start --port 0")
    script = script.replace("./build.sh taxi-fare\n", "")
    script = script.replace("push taxi-fare", f"push {image} taxi-fare")
    given = " ".join(f"--set {name}={value}" for name, value in quick().items())
    script = script.replace("train --local", f"train --local {given}")
    if own_algorithm().input.example()[0] != "text/csv":
        script = script.replace("invoke --local", "invoke --local --content-type application/json")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap './local_test/cloud.sh stop' EXIT\n{script}"],
        cwd=folder,
        env=os.environ | {"ALGORITHM": ALGORITHM},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "InService" in done.stdout
