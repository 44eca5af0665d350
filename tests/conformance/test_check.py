"""
The kit as people run it: on this project's image, with mistakes, and its page.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conformance.areas import CHECKS
from conformance.command import ExitCode, code, judge
from conformance.lab import Given
from conformance.opt_ml import TrainingData
from conformance.report import markdown
from conformance.sample import OPAQUE, Sample
from conformance.verdicts import Check, Outcome, Verdict

from containers import Job
from project import SAMPLE, TOP, own_algorithm, quick

CHECK = TOP / "local_test/check.sh"
MULTI_MODEL = "several models"  # a separate build
# What an image may lack, and says so.
OPTIONAL = {"inputs-pipe", "two-hosts", "checkpoints", "execution-parameters", "metrics"}


def check(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script and return what came of it."""
    command = [str(CHECK), *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True)


@pytest.mark.docker
@pytest.mark.timeout(1800)  # about a hundred containers, where others run beside it
def test_the_projects_image_passes_all(image, tmp_path):
    """Nothing fails, and what is not offered is optional, for whatever algorithm is inside."""
    job = Job(tmp_path / "ml", SAMPLE, **quick())
    content_type, body = own_algorithm().input.example(5)
    sample = Sample(body, content_type)
    told = Given(image, sample, TrainingData.read(job.root))
    verdicts = judge(told, CHECKS, quiet=True)
    failed = {v.check.name: v.evidence for v in verdicts if v.outcome == Outcome.FAIL}
    assert failed == {}
    lacking = {v.check.name for v in verdicts if v.outcome == Outcome.NOT_OFFERED}
    several = {check.name for check in CHECKS if check.area == MULTI_MODEL}
    assert lacking <= OPTIONAL | several
    if sample.kind != OPAQUE:
        untried = {v.check.name: v.evidence for v in verdicts if v.outcome == Outcome.NOT_TRIED}
        assert untried == {}


@pytest.mark.docker
def test_the_command_says_what_it_found(image, tmp_path):
    """Without a sample and data it tries what it can, and never calls the rest a pass."""
    path = tmp_path / "report.json"
    done = check(image, "--only", "image", "--only", "rows-few", "--json", path)
    assert done.returncode == ExitCode.NOT_TRIED, done.stdout + done.stderr
    assert "NOT TRIED   rows-few" in done.stdout
    assert "--sample FILE" in done.stdout
    assert "PASS        architecture" in done.stdout
    assert "[ 1/8] " in done.stderr
    report = json.loads(path.read_text())
    assert report["image"] == image
    assert report["summary"]["FAIL"] == 0
    assert {one["outcome"] for one in report["checks"]} == {"PASS", "NOT TRIED"}
    told = {"name", "area", "holds", "consequence", "remedy", "evidence"}
    assert all(told <= one.keys() for one in report["checks"])


@pytest.mark.docker
def test_an_unknown_image_is_said(tmp_path):
    """An image that is not there ends with its own code."""
    done = check("container-suite/never-built")
    assert done.returncode == ExitCode.NO_DOCKER
    assert "container-suite/never-built" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("image", "--only", "everything"), "--list"),
        (("image", "--sample", "request.unknown"), "--content-type"),
        (("image", "--training", "nowhere"), "input/data/training"),
        (("image", "--model", "nowhere"), "nowhere"),
        (("image", "--env", "MODE"), "NAME=VALUE"),
        ((), "which image?"),
    ],
)
def test_mistakes_are_explained(arguments, words, tmp_path):
    """Each mistake of the caller is named with what to do instead."""
    (tmp_path / "request.unknown").touch()
    arguments = [str(tmp_path / a) if a == "request.unknown" else a for a in arguments]
    done = check(*arguments)
    assert done.returncode == ExitCode.USAGE, done.stdout
    assert words in done.stderr


def test_a_missing_engine_is_said(tmp_path):
    """Without Docker it ends with its own code and the remedy."""
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = check("my-model", PATH=str(tmp_path), PYTHON=sys.executable)
    assert done.returncode == ExitCode.NO_DOCKER, done.stderr
    assert "docker is not installed" in done.stderr


def test_nothing_but_a_pass_counts_as_one():
    """0 needs that everything passes or is not offered; what was not tried is 3, a failure 1."""

    def of(*outcomes: Outcome) -> ExitCode:
        made = Check("a", "area", "It holds.", "Bad.", "Fix it.", False, lambda lab: "")
        return code([Verdict(made, outcome, "", 0) for outcome in outcomes])

    assert of(Outcome.PASS, Outcome.NOT_OFFERED) == ExitCode.PASSED
    assert of(Outcome.PASS, Outcome.NOT_TRIED) == ExitCode.NOT_TRIED
    assert of(Outcome.NOT_TRIED, Outcome.FAIL) == ExitCode.FAILED


def test_it_imports_nothing_of_the_program():
    """The kit runs with Python's own library alone, wherever it is copied."""
    folders = f"import sys; sys.path[:0] = [{str(TOP)!r}]; import conformance.command"
    done = subprocess.run(["python3", "-I", "-S", "-c", folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_lists_every_check():
    """The table of docs/conformance.md is the one that --list prints."""
    listed = check("--list")
    assert listed.returncode == 0
    assert listed.stdout == markdown(CHECKS)
    assert listed.stdout.strip() in (TOP / "docs/conformance.md").read_text(encoding="utf-8")


def test_each_check_is_told_apart():
    """Names are unique, and each check says in a sentence what holds."""
    names = [one.name for one in CHECKS]
    assert len(names) == len(set(names))
    for one in CHECKS:
        assert one.holds.endswith("."), one.name
        assert one.consequence.endswith("."), one.name
