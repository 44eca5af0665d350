"""The sample's own pages and its table of fares."""

import re
import subprocess
from pathlib import Path

import pytest

import taxi_fare
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
