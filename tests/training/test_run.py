"""``train`` as SageMaker starts it: a process with a tree of files."""

import json
import os
import signal

import pytest

from jobs import files, stopped, train, write_hyperparameters
from project import TOP, assemble
from sagemaker_runtime.errors import ExitCode

TOY = """
import sys
from sagemaker_runtime.algorithm import Column, Hyperparameter, Table
from sagemaker_runtime.errors import DataError, Stopped

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = (Hyperparameter("how", "well", "How it goes."),)


def train(job):
    how = job.hyperparameters["how"]
    (job.model_dir / "sub").mkdir()
    (job.model_dir / "sub/weights.txt").write_text("42")
    (job.model_dir / "a.txt").write_text("first")
    if how == "data":
        job.channels["training"]
    if how == "long":
        raise DataError("the cause. " + "word " * 1000)
    if how == "defect":
        raise ZeroDivisionError("by zero")
    if how == "exit":
        sys.exit()
    if how == "out of memory":
        raise MemoryError
    if how == "odd name":
        print("reading \\udcff.csv")
        raise DataError("\\udcff\\nmodel written to nowhere.csv: is empty. Remove the file.")
    if how == "metrics":
        job.metric("good", 0.5)
        job.metric("bad", float("nan"))
    if how == "link":
        (job.model_dir / "latest").symlink_to("sub")
    if how == "empty":
        for name in ("sub/weights.txt", "a.txt"):
            (job.model_dir / name).unlink()
    if how in ("stop", "give up"):
        print("fitting", flush=True)
        while not job.stopping():
            sys.stdin.read(1)
        if how == "give up":
            raise Stopped("asked to stop before there was a model.")


def load(model_dir): ...
def predict(model, columns): return columns["x"]
"""


@pytest.fixture
def toy(tmp_path):
    """A program folder with an algorithm that does as its hyperparameter says."""
    return assemble(tmp_path / "program", TOY)


@pytest.mark.parametrize("arguments", [[], ["train"]])
def test_the_model_is_published(toy, tmp_path, arguments):
    """The model's files arrive whole and readable, also where the platform repeats `train`."""
    done = train(toy, tmp_path / "ml", *arguments)
    assert done.returncode == ExitCode.OK, done.stderr
    model = tmp_path / "ml/model"
    assert files(model) == ["a.txt", "openapi.json", "sub/weights.txt"]
    assert (model / "sub/weights.txt").stat().st_mode & 0o444 == 0o444
    assert (model / "openapi.json").stat().st_mode & 0o444 == 0o444
    assert json.loads((model / "openapi.json").read_text())["info"]["title"] == "toy"
    assert not (tmp_path / "ml/output/failure").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "-h"]])
def test_help_trains_nothing(toy, tmp_path, arguments):
    """``train --help`` says what train does and where it reads and writes, and does none of it."""
    done = train(toy, tmp_path / "ml", *arguments)
    assert done.returncode == ExitCode.OK, done.stderr
    for place in ("input/config/hyperparameters.json", "input/data", "model", "output/failure"):
        assert str(tmp_path / "ml" / place) in done.stdout
    assert not (tmp_path / "ml").exists()


@pytest.mark.parametrize("arguments", [["--epochs", "3"], ["serve"], ["train", "train"]])
def test_unknown_arguments_are_refused(toy, tmp_path, arguments):
    """A setting that is given as an argument would have no effect: the job says so and ends."""
    done = train(toy, tmp_path / "ml", *arguments)
    assert done.returncode == ExitCode.USAGE
    reason = (tmp_path / "ml/output/failure").read_text()
    assert reason.startswith(f"train was given the arguments {', '.join(arguments)}; expected none")
    assert not (tmp_path / "ml/model").exists()


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        ("data", ExitCode.BAD_DATA, "the job has no channel 'training'; it has: none. Give it one"),
        ("long", ExitCode.BAD_DATA, "the cause. word word"),
        ("defect", ExitCode.UNEXPECTED, "ZeroDivisionError: by zero (a defect: the log has"),
        ("exit", ExitCode.UNEXPECTED, "train called sys.exit(None); return, or raise an error"),
        ("out of memory", ExitCode.UNEXPECTED, "out of memory; choose an instance with more"),
        ("odd name", ExitCode.BAD_DATA, r"\udcff model written to nowhere.csv: is empty. Remove"),
        ("empty", ExitCode.UNEXPECTED, "train wrote no file into job.model_dir"),
    ],
)
def test_a_failure_has_its_code_reason_and_traceback(toy, tmp_path, how, code, reason):
    """The failure file begins with the cause, the log has the traceback, no model is left."""
    root = tmp_path / "ml"
    write_hyperparameters(root, how=how)
    done = train(toy, root)
    assert done.returncode == code
    failure = (root / "output/failure").read_text()
    assert failure.startswith(reason)
    assert len(failure) <= 1024
    assert "Traceback" in done.stderr
    assert f"training failed: {reason}" in done.stderr
    assert "\nmodel written" not in done.stderr
    assert files(root / "model") == []
    assert not list(root.glob("**/.train-staging"))


def test_a_metric_that_is_not_a_number_costs_no_model(toy, tmp_path):
    """NaN is told, not reported, and the model is kept."""
    root = tmp_path / "ml"
    write_hyperparameters(root, how="metrics")
    done = train(toy, root)
    assert done.returncode == ExitCode.OK
    assert "good=0.5;" in done.stdout
    assert "bad" not in done.stdout
    assert "metric bad is nan, not a finite number: not reported" in done.stderr
    assert files(root / "model")


@pytest.mark.parametrize(
    ("objective", "line"),
    [
        ("good", None),
        ("bad", "the tuning job's objective is 'bad', which train did not print; it printed good."),
        ("", None),
    ],
)
def test_an_objective_that_is_not_printed_is_told(toy, tmp_path, objective, line):
    """A tuning job's own hyperparameter passes, and one line warns where its metric is missing."""
    root = tmp_path / "ml"
    write_hyperparameters(root, how="metrics", _tuning_objective_metric=objective)
    done = train(toy, root)
    assert done.returncode == ExitCode.OK, done.stderr
    told = [each for each in done.stdout.splitlines() if "tuning" in each]
    assert len(told) == bool(line)
    assert not line or told[0].startswith(line)


UNDESCRIBED = """

class Reader:
    media_types = ("text/plain",)

    def read(self, body, media_type, charset):
        yield body.read()

    def count(self, piece):
        return None

    def example(self, rows=1):
        return "text/plain", b"caf\\xe9"


from sagemaker_runtime.algorithm import Json

INPUT, OUTPUT = Reader(), Json()
predict = lambda model, text: len(text)
"""


def test_what_cannot_be_described_costs_no_model(tmp_path):
    """An example in another charset than OpenAPI has leaves out the description, and is told."""
    done = train(assemble(tmp_path / "program", TOY + UNDESCRIBED), tmp_path / "ml")
    assert done.returncode == ExitCode.OK, done.stderr
    assert files(tmp_path / "ml/model") == ["a.txt", "sub/weights.txt"]
    assert "openapi.json was not written" in done.stdout
    assert "UnicodeDecodeError" in done.stderr


def test_a_link_in_the_model_becomes_what_it_leads_to(toy, tmp_path):
    """Archives are served without links: nothing is lost."""
    root = tmp_path / "ml"
    write_hyperparameters(root, how="link")
    assert train(toy, root).returncode == ExitCode.OK
    assert files(root / "model") == [
        "a.txt",
        "latest/weights.txt",
        "openapi.json",
        "sub/weights.txt",
    ]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("resourceconfig.json", '{"hosts": "algo-1"}', ["'algo-1' for hosts", "a list of names"]),
        ("resourceconfig.json", '["algo-1"]', ['["algo-1"]', '{"current_host": "algo-1"']),
        ("inputdataconfig.json", '{"training": "Pipe"}', ["'Pipe'", "TrainingInputMode"]),
    ],
)
def test_a_configuration_file_in_another_form_is_named(toy, tmp_path, file, text, words):
    """The failure names the file and the form expected, and is not called a defect."""
    path = tmp_path / "ml/input/config" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    done = train(toy, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_SETTING
    failure = (tmp_path / "ml/output/failure").read_text()
    assert failure.startswith(file)
    assert "defect" not in failure
    for word in words:
        assert word in failure


def test_code_that_the_job_brings_is_refused(toy, tmp_path):
    """Estimator(entry_point=..., source_dir=...) ends the job: the code would be ignored."""
    write_hyperparameters(tmp_path / "ml", sagemaker_program='"train.py"')
    done = train(toy, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    failure = (tmp_path / "ml/output/failure").read_text()
    assert "sagemaker_program=train.py" in failure
    assert "entry_point" in failure
    assert "script mode" in failure


def test_a_library_that_is_not_installed_is_named(tmp_path):
    """A library that is missing is named, and where to add it."""
    program = assemble(tmp_path / "program", "import a_library_of_nobody\n")
    done = train(program, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_ALGORITHM
    assert "imports a_library_of_nobody, which is not installed" in done.stderr
    assert "requirements.in" in done.stderr


def test_an_unknown_hyperparameter_ends_the_job_before_training(toy, tmp_path):
    """A misspelt name costs no training time."""
    write_hyperparameters(tmp_path / "ml", hwo="well")
    done = train(toy, tmp_path / "ml")
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    assert "did you mean 'how'" in (tmp_path / "ml/output/failure").read_text()


def test_an_earlier_failure_is_forgotten(toy, tmp_path):
    """A job that succeeds leaves no failure file of the run before."""
    root = tmp_path / "ml"
    write_hyperparameters(root, how="defect")
    train(toy, root)
    write_hyperparameters(root, how="well")
    assert train(toy, root).returncode == ExitCode.OK
    assert not (root / "output/failure").exists()


@pytest.mark.parametrize(
    ("how", "code", "model"),
    [
        ("stop", ExitCode.OK, ["a.txt", "openapi.json", "sub/weights.txt"]),
        ("give up", ExitCode.STOPPED, []),
    ],
)
def test_sigterm_leaves_a_whole_model_or_none(toy, tmp_path, how, code, model):
    """
    1. training runs 2. SIGTERM arrives 3. the algorithm sees it and returns, or gives up.

    Result: the model is there as a whole, or not at all and the exit code says so.
    """
    root = tmp_path / "ml"
    write_hyperparameters(root, how=how)
    assert stopped(toy, root, at="fitting", within_s=30)[0] == code
    assert files(root / "model") == model
    assert not list(root.glob("**/.train-staging"))


def test_a_killed_job_leaves_no_model(toy, tmp_path):
    """
    1. training has written files of the model 2. SIGKILL arrives 3. another job starts.

    Result: no file is visible in the model's folder; the next job removes what was left.
    """
    root = tmp_path / "ml"
    write_hyperparameters(root, how="stop")
    assert stopped(toy, root, at="fitting", within_s=30, number=signal.SIGKILL)[0] == -9
    assert [path for path in root.glob("**/.train-staging") if files(path)]
    assert [name for name in os.listdir(root / "model") if not name.startswith(".")] == []
    write_hyperparameters(root, how="well")
    assert train(toy, root).returncode == ExitCode.OK
    assert not list(root.glob("**/.train-staging"))


@pytest.mark.parametrize(
    "example", [TOP / "examples/mock/mock_model", TOP / "examples/pretrained/pretrained_model"]
)
def test_the_examples_train(tmp_path, example):
    """Each example trains in the algorithm's place, nothing else touched."""
    done = train(assemble(tmp_path / "program", example), tmp_path / "ml")
    assert done.returncode == ExitCode.OK, done.stderr
    assert files(tmp_path / "ml/model")
