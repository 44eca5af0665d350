"""The workflows as files: valid, safe, pinned, and their scripts clean; ci.yml is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import TOP, clone
from workflows import FOLDER, Runner, path_with, program, steps, workflows

PROGRAMS = Path(sys.executable).parent
ALL = workflows()
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def tool(*command: str | Path, **given: str) -> None:
    """Run a tool of requirements-dev.txt; raises AssertionError with what it found."""
    words = [PROGRAMS / command[0], *command[1:]]
    done = subprocess.run(words, cwd=TOP, capture_output=True, text=True, **given)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_workflows():
    """GitHub's schema takes each file."""
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FOLDER.glob("*.yml"))


def test_zizmor_finds_nothing():
    """In the strictest of its moods, and without asking GitHub."""
    tool("zizmor", "--offline", "--no-progress", "--persona=auditor", FOLDER)


@pytest.mark.parametrize("name", ALL)
def test_shellcheck_finds_nothing(name):
    """Each run block is clean as the script that the runner makes of it."""
    for step in steps(ALL[name]):
        if "run" in step:
            tool("shellcheck", "--shell=bash", "-", input=f"set -eo pipefail\n{step['run']}\n")


@pytest.mark.parametrize("name", ALL)
def test_actions_are_pinned(name):
    """By the commit of a release, whose version stands beside it; no two versions of one."""
    lines = [
        line.strip().removeprefix("- ")
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert lines
    for line in lines:
        assert PINNED.fullmatch(line), line
    assert len(set(lines)) == len({line.partition("@")[0] for line in lines})


@pytest.mark.parametrize("name", ALL)
def test_each_job_has_no_more_rights_than_it_needs(name):
    """Nothing is granted to all; a token for AWS where credentials are asked for; no secrets."""
    assert ALL[name]["permissions"] == {}
    assert "secrets." not in (FOLDER / name).read_text(encoding="utf-8")
    for job in ALL[name]["jobs"].values():
        uses = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
        expected = {"contents": "read"}
        if "aws-actions/configure-aws-credentials" in uses:
            expected["id-token"] = "write"
        assert job["permissions"] == expected
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


def test_what_changes_the_endpoint_waits_for_approval():
    """The jobs that deploy and roll back name the environment, whose reviewers GitHub asks."""
    jobs = ALL["release.yml"]["jobs"]
    assert {name: job["environment"] for name, job in jobs.items()} == {
        "build": "release",
        "train": "release",
        "evaluate": "release",
        "deploy": "production",
        "roll_back": "production",
    }
    assert jobs["deploy"]["needs"] == ["build", "train", "evaluate"]


def test_ci_runs_the_same_script(tmp_path):
    """
    ci.yml's blocks are executed in a clone whose .ci/run only says that it was started.
    Result: it was, as root, weekly too, and nothing was removed from a disk with room.
    """
    (folder := tmp_path / "clone").mkdir()
    clone(folder)
    (folder / ".ci/run").write_text("echo started as $WHO\n", encoding="utf-8")
    program(tmp_path / "bin", "sudo", '#!/bin/sh\nshift\nWHO=root exec "$@"\n')
    environ = {"PATH": path_with(tmp_path / "bin"), "HOME": str(tmp_path), "GITHUB_ACTIONS": "true"}
    runner = Runner(folder, tmp_path / "jobs", environ, {}, {})
    (ended,) = runner.run("ci.yml").values()
    assert ended.result == "success", ended.log
    assert "started as root" in ended.log
    assert "removing" not in ended.log
    assert runner.blocks == {step["run"] for step in steps(ALL["ci.yml"]) if "run" in step}
    assert ALL["ci.yml"][True]["schedule"]  # YAML reads "on" as true


@pytest.mark.parametrize(
    ("wanted", "where", "removed"),
    [("1000000", "true", True), ("1000000", "", False), ("0", "true", False)],
)
def test_room_is_made_where_there_is_too_little(tmp_path, wanted, where, removed):
    """On a hosted runner only, and only what is there."""
    root = tmp_path / "root"
    for folder in ("usr/share/dotnet", "usr/share/kept"):
        (root / folder).mkdir(parents=True)
    program(tmp_path / "bin", "sudo", '#!/bin/sh\nexec "$@"\n')
    done = subprocess.run(
        [TOP / ".github/release/free-disk.sh", wanted],
        env=os.environ
        | {"PATH": path_with(tmp_path / "bin"), "RUNNER_ROOT": str(root), "GITHUB_ACTIONS": where},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (root / "usr/share/dotnet").exists() != removed
    assert (root / "usr/share/kept").exists()
    assert ("removing /usr/share/dotnet" in done.stdout) == removed
