"""Which package is the algorithm, and what is said when that is not clear."""

import re
from pathlib import Path

import pytest

from jobs import train
from project import CONTAINER, TOP, assemble
from sagemaker_runtime.algorithm import PROGRAM, find_algorithm
from sagemaker_runtime.errors import AlgorithmError, ExitCode

PACKAGE = """
from sagemaker_runtime.algorithm import Column, Table
import helper

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = ()


def train(job):
    (job.model_dir / "model.txt").write_text(helper.TEXT)


def load(model_dir):
    return (model_dir / "model.txt").read_text()


def predict(model, columns):
    return columns["x"]
"""


def package(folder: Path, name: str, source: str = "") -> None:
    """
    Make a package.
    """
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source, encoding="utf-8")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program folder with the algorithm toy and a package that it imports."""
    folder = assemble(tmp_path / "program", PACKAGE)
    package(folder, "helper", "TEXT = 'helped'")
    return folder


def test_a_helper_package_may_stand_beside_the_named_algorithm(program, tmp_path):
    """With ALGORITHM set, as in the image, other packages may stand beside the algorithm."""
    done = train(program, tmp_path / "ml", ALGORITHM="toy")
    assert done.returncode == ExitCode.OK, done.stderr
    assert (tmp_path / "ml/model/model.txt").read_text() == "helped"


def test_several_packages_without_a_name_are_explained(program, tmp_path):
    """Where two packages could be meant, the job ends and says how to name one."""
    done = train(program, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_ALGORITHM
    failure = (tmp_path / "ml/output/failure").read_text()
    assert "2 packages beside sagemaker_runtime (helper, toy)" in failure
    assert "ALGORITHM=helper" in failure


def test_a_name_that_is_not_there_is_explained(program, tmp_path):
    """A misspelt ALGORITHM is named beside what there is."""
    done = train(program, tmp_path / "ml", ALGORITHM="tony")
    assert done.returncode == ExitCode.BAD_ALGORITHM
    assert "ALGORITHM is 'tony'" in done.stderr
    assert "(helper, toy)" in done.stderr


@pytest.mark.parametrize(
    ("name", "taken_by"),
    [
        ("predictor", "the program's predictor.py"),
        ("json", "Python's module json"),
        ("numpy", "the installed library numpy"),
    ],
)
def test_a_taken_name_is_refused(tmp_path, name, taken_by):
    """A package that would hide one of the program's modules or a library is refused by name."""
    folder = assemble(tmp_path / "program", PACKAGE, name)
    with pytest.raises(AlgorithmError, match=re.escape(taken_by)) as caught:
        find_algorithm(folder)
    assert f"such as my_{name}/" in str(caught.value)


def test_a_missing_name_is_explained(tmp_path):
    """A package that lacks a part of what an algorithm provides is told which."""
    program = assemble(tmp_path / "program", "INPUT = load = predict = None\n")
    done = train(program, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_ALGORITHM
    assert "toy/__init__.py lacks HYPERPARAMETERS, train" in done.stderr


def test_the_checkout_holds_one_algorithm():
    """The project's own program folder is found as it stands, other folders hold none."""
    assert PROGRAM == CONTAINER
    assert find_algorithm().input.media_types
    with pytest.raises(AlgorithmError, match="holds 0 packages"):
        find_algorithm(TOP / "docs")
