"""The documentation says what the program does, and its commands run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import ALGORITHM, TOP, clone, scripts, tracked
from sagemaker_runtime import settings
from sagemaker_runtime.errors import ExitCode

README = (TOP / "README.md").read_text(encoding="utf-8")
KIT = (TOP / "examples/pretrained/README.md").read_text(encoding="utf-8")
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
    """README's table is the one that the code makes."""
    assert settings.markdown().strip() in README


@pytest.mark.parametrize("code", ExitCode)
def test_each_exit_code_is_explained(code):
    """Whoever meets a code finds its meaning."""
    assert f"| {code.value} | `{code.name}` |" in README


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_each_script_is_mentioned(script):
    """A script that nobody can find is of no use."""
    pages = [path.read_text(encoding="utf-8") for path in tracked() if path.suffix == ".md"]
    assert any(str(script.relative_to(TOP)) in page for page in pages)


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
    assert words in README.partition("## Troubleshooting")[2]


@pytest.mark.parametrize("page", [p for p in tracked() if p.suffix == ".md"], ids=str)
def test_links_lead_somewhere(page):
    """No link inside the project is dead."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


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
@pytest.mark.parametrize("page", [README, KIT], ids=["README", "examples/pretrained"])
def test_the_docker_commands_work(page, tmp_path):
    """Every shell block that needs Docker runs as written, in order."""
    folder = clone(tmp_path)
    blocks = [block for block in commands(page) if "quickstart" not in block]
    script = "\n".join(block for block in blocks if block != NOT_AGAIN)
    assert script
    images = " ".join(sorted(set(re.findall(r"build\.sh (\S+)", script))))
    remove = f"for i in {images}; do docker ps -aqf label=local_test.serve=$i; done"
    remove += " | xargs -r docker rm --force"
    done = shell(f"trap '{remove}' EXIT\n{script}", folder)
    assert done.returncode == 0, done.stdout + done.stderr
