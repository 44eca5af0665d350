"""The documentation says what the program does, and its commands run."""

import json
import math
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from project import ALGORITHM, TOP, clone, scripts, tracked
from sagemaker_runtime import settings
from sagemaker_runtime.algorithm import Column, Rows, Table
from sagemaker_runtime.errors import ExitCode
from sagemaker_runtime.training import checkpoints, cluster_meeting, pipes


def page(name: str) -> str:
    """The text of a page, as seen from the top of the project."""
    return (TOP / name).read_text(encoding="utf-8")


README = page("README.md")
DOCKER_PAGES = ("README.md", "docs/multi-model.md", "examples/pretrained/README.md")
# test.sh is what runs this test.
NOT_AGAIN = "./local_test/test.sh\n"


def commands(text: str) -> list[str]:
    """The shell blocks of a page."""
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"ALGORITHM": ALGORITHM},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_settings_table_is_current():
    """The page's table is the one that the code makes."""
    assert settings.markdown().strip() in page("docs/settings.md")


def test_the_jobs_settings_are_on_the_page():
    """What train reads from a job's environment is there with its default."""
    for name, default in (
        (checkpoints.INTERVAL, checkpoints.INTERVAL_S),
        (pipes.PATIENCE, pipes.PATIENCE_S),
        (cluster_meeting.JOIN_NAME, cluster_meeting.JOIN_S),
        (cluster_meeting.PORT_NAME, cluster_meeting.PORT),
    ):
        assert f"| `{name}` | {default:g} |" in page("docs/settings.md")


@pytest.mark.parametrize("code", ExitCode)
def test_each_exit_code_is_explained(code):
    """Every code is on the page, with its meaning."""
    assert f"| {code.value} | `{code.name}` |" in page("docs/training.md")


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_each_script_is_mentioned(script):
    """A script that nobody can find is of no use."""
    pages = [path.read_text(encoding="utf-8") for path in tracked() if path.suffix == ".md"]
    assert any(str(script.relative_to(TOP)) in page for page in pages)


def test_the_readme_is_short():
    """A reader in a hurry reads it to its end."""
    assert README.count("\n") <= 130


def test_the_readme_deploys_as_the_page_does():
    """Its lines without an account are among those that the page of deploying rehearses."""
    shown = re.search(r"```text\n(\./local_test/cloud\.sh start\n.*?)```", README, re.S)
    rehearsed = page("docs/deploying.md").splitlines()
    assert [line for line in shown[1].splitlines() if line not in rehearsed] == []


def test_every_page_is_linked():
    """Each page of docs/ can be reached from README."""
    for path in (TOP / "docs").glob("*.md"):
        assert f"(docs/{path.name})" in README, path.name


SIZES = Table(
    Column("size", "number", example="84.5"), Column("rooms", "number", "3", optional=True)
)
QUESTIONS = re.findall(
    r"```(\w+)\n(.*?)```", page("docs/requests.md").partition("## Answers")[0], re.S
)


@pytest.mark.parametrize(("kind", "body"), QUESTIONS)
def test_each_question_of_the_page_asks_for_the_same_rows(kind, body):
    """Every shape that the page shows is read, as the two rows that it says."""
    lines = "application/jsonlines" if body.startswith("{") else "text/csv"
    media_type = "application/json" if kind == "json" else lines
    (columns,) = SIZES.read(BytesIO(body.encode()), media_type, "utf-8")
    assert columns["size"].tolist() == [84.5, 120]
    assert columns["rooms"][0] == 3
    assert math.isnan(columns["rooms"][1])


@pytest.mark.parametrize("number", [1, 2])
def test_the_answers_are_those_of_the_page(number):
    """The table of answers shows what Rows writes, with and without names."""
    named = Rows() if number == 1 else Rows("label", "probability")
    prediction = [310000.0] if number == 1 else [("cheap", 0.93)]
    rows = re.findall(r"^\| `(\S+)` \| `(.*)` \| `(.*)` \|$", page("docs/requests.md"), re.M)
    assert len(rows) == 3
    for media_type, *answers in rows:
        written = named.write([(prediction, 1)], media_type).decode().strip()
        same = json.loads if media_type != "text/csv" else str
        assert same(written) == same(answers[number - 1])


def test_the_map_names_each_folder():
    """Every folder at the top stands in README's table of folders."""
    folders = {path.relative_to(TOP).parts[0] for path in tracked() if path.parent != TOP}
    for folder in folders:
        assert folder.startswith(".") or f"`{folder}/`" in README, folder


@pytest.mark.parametrize(
    "words",
    [
        "did not pass the ping health check",
        'exec: "train"',
        "Unsupported manifest media type",
        "Estimator",
        "python3\\r",
        "upstream prematurely closed connection",
        "413",
        "SIGKILL",
        "root-owned files",
        "exec format error",
        "AlgorithmError: ExecuteUserScriptError: ExitCode 1",
        "415",
    ],
)
def test_troubleshooting_knows_the_error(words):
    """The strings that people paste into a search box stand in the troubleshooting table."""
    assert words in page("docs/troubleshooting.md")


@pytest.mark.parametrize("path", [p for p in tracked() if p.suffix == ".md"], ids=str)
def test_links_lead_somewhere(path):
    """No link inside the project is dead."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_quickstart_works_after_the_tests(tmp_path):
    """An environment that test.sh made serves quickstart.sh too, nothing is installed again."""
    folder = clone(tmp_path)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    done = shell("./local_test/quickstart.sh", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "using " in done.stdout


def test_the_quickstart_explains_a_missing_python(tmp_path):
    """Without a Python that is new enough the script says so and what to do."""
    done = shell("PYTHON=python0 ./local_test/quickstart.sh", clone(tmp_path))
    assert done.returncode != 0
    assert "No Python 3.11 or newer" in done.stderr
    assert "PYTHON=/path/to/python3.13" in done.stderr


@pytest.mark.docker
@pytest.mark.parametrize("name", DOCKER_PAGES)
def test_the_docker_commands_work(name, tmp_path):
    """Every shell block that needs Docker runs as written, in order."""
    folder = clone(tmp_path)
    blocks = [block for block in commands(page(name)) if "quickstart" not in block]
    script = "\n".join(block for block in blocks if block != NOT_AGAIN)
    assert script
    images = " ".join(sorted(set(re.findall(r"build\.sh (\S+)", script))))
    remove = f"for i in {images}; do docker ps -aqf label=local_test.serve=$i; done"
    remove += " | xargs -r docker rm --force"
    done = shell(f"trap '{remove}' EXIT\n{script}", folder)
    assert done.returncode == 0, done.stdout + done.stderr
