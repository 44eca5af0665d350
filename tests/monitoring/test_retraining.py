"""
The programs of a retraining, as processing jobs run them.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from monitoring import rows

import jobs
import project
import toys
from sagemaker_runtime.algorithm import Column, Npy, Table
from sagemaker_runtime.errors import DataError

KINDS = Table(
    Column("number", "number", "1", optional=True),
    Column("flag", "boolean", "true", optional=True),
    Column("time", "timestamp", "2014-02-25 12:17:00", optional=True),
    Column("text", "text", "a", optional=True),
    Column("list", "numbers", "[1]", optional=True),
    label=Column("label", "number", "1"),
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's program folder with an algorithm that fits at once."""
    return project.assemble(tmp_path_factory.mktemp("program") / "program", toys.SOURCE)


@pytest.fixture(scope="module")
def world(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Old rows in ``channels``, a model of these, and new rows with another slope."""
    top = tmp_path_factory.mktemp("world")
    toys.write(top / "channels/training/deep/old.csv", 200, slope=2.0)
    toys.write(top / "new/new.csv", 200, slope=3.0, seed=1)
    data = top / "ml/input/data"
    data.mkdir(parents=True)
    (data / "training").symlink_to(top / "channels/training")
    done = jobs.train(program, top / "ml")
    assert done.returncode == 0, done.stderr
    return top


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program of the retraining."""
    return subprocess.run(
        [sys.executable, "-m", "monitoring.retraining", *map(str, arguments)],
        cwd=program,
        env=os.environ | {"PYTHONPATH": f"{program}:{project.TOP}", "ALGORITHM": "toy"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def crossfit(program: Path, world: Path, output: Path, *more: object):
    """Run crossfit on the world's rows."""
    return run(
        program,
        "crossfit",
        *("--channels", world / "channels"),
        *("--new", world / "new"),
        *("--champion", world / "ml/model"),
        *("--output", output),
        *more,
    )


def test_a_better_challenger_is_kept_with_its_card(program, world, tmp_path):
    """
    1. the slope has changed 2. challengers are trained and compared.
    Result: better; the model was trained on all rows with the hyperparameters, and has a card.
    """
    done = crossfit(program, world, tmp_path, "--set", "bias=0.25", "--dataset", "s3://b/data/")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert (found["verdict"], found["rows"]) == ("better", 200)
    assert found["sentence"] in done.stdout
    assert found["how"] == "cross-fitted over 5 consecutive blocks"
    assert found["champion"]["bias"] < -2
    details = json.loads(found["model_card"])["training_details"]["training_job_details"]
    assert details["training_datasets"] == ["s3://b/data/"]
    with tarfile.open(tmp_path / "model/model.tar.gz") as tar:
        model = json.load(tar.extractfile("model.json"))
    assert (model["rows"], model["bias"]) == (800, 0.25)
    assert 2.6 < model["slope"] < 2.9


def test_a_worse_challenger_is_thrown_away(program, world, tmp_path):
    """There is a comparison and no model."""
    done = crossfit(program, world, tmp_path, "--set", "bias=50")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "comparison.json").read_text())["verdict"] == "worse"
    assert [each.name for each in tmp_path.iterdir()] == ["comparison.json"]


def test_a_pipelines_steps_do_the_same(program, world, tmp_path):
    """
    1. new rows are split 2. a challenger is trained as a job 3. both models, one an archive, are
    compared. Result: better by the newest 30 % of the rows, which the challenger has not seen.
    """
    done = run(
        program,
        "split",
        *("--channels", world / "channels"),
        *("--new", world / "new"),
        *("--output", tmp_path / "split"),
    )
    assert "140 new rows to train on, 60 to judge by" in done.stdout, done.stderr
    (tmp_path / "ml/input/data").mkdir(parents=True)
    (tmp_path / "ml/input/data/training").symlink_to(tmp_path / "split/training")
    trained = jobs.train(program, tmp_path / "ml")
    assert trained.returncode == 0, trained.stderr
    model = json.loads((tmp_path / "ml/model/model.json").read_text())
    assert model["rows"] == 620
    (tmp_path / "champion").mkdir()
    with tarfile.open(tmp_path / "champion/model.tar.gz", "w:gz") as tar:
        tar.add(world / "ml/model/model.json", "model.json")
    done = run(
        program,
        "compare",
        *("--champion", tmp_path / "champion"),
        *("--challenger", tmp_path / "ml/model"),
        *("--rows", tmp_path / "split/judged"),
        *("--output", tmp_path / "compared"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "compared/comparison.json").read_text())
    assert (found["verdict"], found["rows"]) == ("better", 60)
    assert found["how"] == "the newest 30% of the new rows"


def test_models_on_dataframes_are_compared(world, tmp_path):
    """
    Where INPUT has as_frame, predict is given a DataFrame of the rows too, as a server gives it.
    """
    source = toys.SOURCE.replace('"9.5"),\n)', '"9.5"),\n    as_frame=True,\n)', 1)
    program = project.assemble(
        tmp_path / "program", source.replace('columns["size"]', 'columns["size"].to_numpy()')
    )
    done = run(
        program,
        "compare",
        *("--champion", world / "ml/model"),
        *("--challenger", world / "ml/model"),
        *("--rows", world / "new"),
        *("--output", tmp_path / "compared"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "compared/comparison.json").read_text())["rows"] == 200


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--set", "bias=-1"), "the challenger could not be trained: ValueError: bias is below"),
        (("--champion", "empty"), "holds no model; expected its files or its model.tar.gz"),
        (("--new", "unlabelled"), "unlabelled holds no row with price; expected labelled rows"),
    ],
)
def test_a_failure_says_why(program, world, tmp_path, given, reason):
    """The reason is the processing job's, the traceback is in the log."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "unlabelled").mkdir()
    (tmp_path / "unlabelled/a.csv").write_text("price,size,place\n,3.5,\n")
    (tmp_path / "ml/output").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "ml"))
        more = [tmp_path / each if (tmp_path / each).exists() else each for each in given]
        done = crossfit(program, world, tmp_path / "out", *more)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert reason in (tmp_path / "ml/output/message").read_text()


def test_rows_come_back_as_they_were_written(tmp_path):
    """Every kind of column, missing values too."""
    lists = np.empty(2, object)
    lists[:] = [np.array([1.5, np.nan]), np.empty(0)]
    columns = {
        "number": np.array([0.1, np.nan]),
        "flag": np.array([1.0, np.nan]),
        "time": np.array(["2014-02-25T12:17:00", "NaT"], "datetime64[s]"),
        "text": np.array(['a "b",\nc', ""], object),
        "list": lists,
        "label": np.array([1e-300, 5.0]),
    }
    rows.write(columns, KINDS, tmp_path / "rows/a.csv")
    found = rows.read(tmp_path / "rows", KINDS)
    assert set(found) == set(columns)
    for name, values in columns.items():
        for one, other in zip(found[name], values, strict=True):
            np.testing.assert_array_equal(one, other)


def test_rows_that_a_server_would_refuse_are_left_out(tmp_path, capsys):
    """Without label, or without what a request must have; the log says how many."""
    required = Table(Column("size", "number", "1"), label=Column("label", "number", "1"))
    (tmp_path / "a.csv").write_text("label,size\n1,1\n,2\n3,\n4,4\n")
    assert rows.read(tmp_path, required)["label"].tolist() == [1.0, 4.0]
    assert "2 of 4 rows lack a value and are left out" in capsys.readouterr().out


def test_only_labelled_tables_are_compared(tmp_path):
    """Others are refused with the way out."""
    for reader in (Npy(), Table(Column("size", "number", "1"))):
        with pytest.raises(DataError, match="without a label; models are compared on the rows"):
            rows.read(tmp_path, reader)
