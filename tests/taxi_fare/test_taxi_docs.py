"""The sample's own pages and its table of fares."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import taxi_fare
from harness import free_port
from project import TOP, clone
from sagemaker_runtime.training import hyperparameters, metric_lines
from taxi_fare.metrics import METRICS

PAGE = (TOP / "container/taxi_fare/README.md").read_text(encoding="utf-8")


def quickstart(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [folder / "local_test/quickstart.sh"], capture_output=True, text=True, check=False
    )


def test_the_hyperparameters_are_current():
    """The page's table is the one that the code makes."""
    assert hyperparameters.markdown(taxi_fare.HYPERPARAMETERS).strip() in PAGE


@pytest.mark.parametrize("name", METRICS)
def test_the_metric_definitions_are_current(name):
    """The page gives the very expression that the log line is made for."""
    definition = metric_lines.definition(name)
    assert f'{{"Name": "{name}", "Regex": r"{definition["Regex"]}"}}' in PAGE


def test_the_quickstart_works_in_a_fresh_clone(tmp_path):
    """
    1. a user clones the project 2. runs quickstart.sh 3. runs it again.

    Result: a table of fares and the model's error, twice; the second time nothing is installed.
    """
    folder = clone(tmp_path)
    first = quickstart(folder)
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"^2\d{3}-\d\d-\d\d \d\d:\d\d .+ → .+ \d+\.\d\d \$$", first.stdout, re.M)
    assert re.search(r"off by \d\.\d\d \$ on average", first.stdout)
    assert (folder / "local_test/test_dir/output/data/evaluation.html").is_file()
    second = quickstart(folder)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "using " in second.stdout
    assert "Collecting" not in second.stdout


@pytest.mark.docker
def test_the_local_cloud_answers_by_what_its_page_says(image, tmp_path):
    """
    1. the page's commands are run as they stand, on a free port, with the session's image.

    Result: the endpoint answers a fare for each trip, and nothing runs afterwards.
    """
    folder = clone(tmp_path / "clone")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    text = (folder / "docs/local-cloud.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    blocks.sort(key=lambda block: "cloud.sh stop" in block)  # the end comes last
    with free_port() as port:
        pass
    script = "".join(blocks).replace("./build.sh taxi-fare\n", "").replace("taxi-fare", image)
    script = script.replace("cloud.sh start", f"cloud.sh start --port {port}")
    after = f"local_test/cloud.sh stop; docker image rm --force --no-prune {image}-mute"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap '{after}' EXIT\n{script}"],
        cwd=folder,
        env=os.environ
        | {
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.prefix)}/bin{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    fares = [line for line in done.stdout.splitlines() if re.fullmatch(r"\d+\.\d+", line)]
    assert len(fares) > 1
    assert "# Endpoint fares InService" in done.stdout
