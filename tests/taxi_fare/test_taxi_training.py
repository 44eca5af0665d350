"""The fare model is trained by ``train`` as SageMaker starts it."""

import json
import re
import shutil
import signal
import tarfile

import numpy as np
import pytest

from jobs import files, stopped, train, write_hyperparameters
from project import CONTAINER, SAMPLE, TOP
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.errors import ExitCode
from sagemaker_runtime.training.metric_lines import definition


@pytest.fixture(scope="module", params=["scikit-learn", "lightgbm"])
def fares(tmp_path_factory, request):
    """The fare model trained on the sample with few rounds: its root and its log."""
    root = tmp_path_factory.mktemp("fares")
    write_hyperparameters(root, rounds=20, estimator=request.param)
    (root / "input/data").symlink_to(TOP / "local_test/test_dir/input/data")
    done = train(CONTAINER, root, CODE_REVISION="1234abc")
    assert done.returncode == ExitCode.OK, done.stderr
    return root, done.stdout


def test_the_fare_model_has_its_files(fares):
    """The archive holds the serving model, the estimator and what they are made of."""
    root, _ = fares
    assert files(root / "model") == [
        "baseline.json",
        "estimator.skops",
        "metadata.json",
        "openapi.json",
        "trees.npz",
    ]
    metadata = json.loads((root / "model/metadata.json").read_text())
    assert metadata["hyperparameters"]["rounds"] == 20
    assert metadata["code_revision"] == "1234abc"
    assert metadata["versions"][metadata["hyperparameters"]["estimator"]]
    assert len(metadata["data_sha256"]) == 64
    assert metadata["metrics"]["validation:rmse"] > 0
    assert files(root / "output/data") == ["evaluation.html", "metrics.json"]


def test_the_metric_lines_are_caught(fares):
    """
    SageMaker's expressions find the objective once per evaluation, and last the final figure.
    """
    root, log = fares
    figures = json.loads((root / "output/data/metrics.json").read_text())
    assert set(figures) == {"validation:rmse", "validation:mae"}
    for name, value in figures.items():
        found = re.findall(definition(name)["Regex"], log)
        assert float(found[-1]) == pytest.approx(value, rel=1e-5)
    evaluations = len(re.findall(r"\d+ rounds:$", log, re.M))
    assert len(re.findall(definition("validation:rmse")["Regex"], log)) == evaluations + 1


def test_the_same_data_and_hyperparameters_give_the_same_model(fares, tmp_path):
    """Training again yields the same bytes to serve."""
    root, _ = fares
    shutil.copytree(root / "input/config", tmp_path / "input/config")
    (tmp_path / "input/data").symlink_to(TOP / "local_test/test_dir/input/data")
    done = train(CONTAINER, tmp_path, CODE_REVISION="1234abc")
    assert done.returncode == ExitCode.OK, done.stderr
    for name in ("trees.npz", "metadata.json"):
        assert (tmp_path / "model" / name).read_bytes() == (root / "model" / name).read_bytes()


@pytest.mark.parametrize("estimator", ["scikit-learn", "lightgbm"])
def test_a_fare_job_stopped_midway_keeps_a_model_that_serves(tmp_path, estimator):
    """
    1. training reports its first rounds 2. SIGTERM arrives.

    Result: exit code 0, a checkpoint, and a model of fewer rounds that loads; its metadata, its
    metrics and its page say so.
    """
    root = tmp_path / "ml"
    write_hyperparameters(root, rounds=1000, estimator=estimator)
    (root / "input/data").symlink_to(TOP / "local_test/test_dir/input/data")
    (root / "checkpoints").mkdir()
    code, log = stopped(CONTAINER, root, at=" rounds:", within_s=120)
    assert code == ExitCode.OK
    ((what, rounds),) = re.findall(r"^partial model: ((\d+) of 1000 rounds, as the .*)$", log, re.M)
    assert 0 < int(rounds) < 1000
    assert find_algorithm().load(root / "model").typical_fare > 0
    assert json.loads((root / "model/metadata.json").read_text())["partial"] == what
    assert json.loads((root / "output/data/metrics.json").read_text())["partial"] == what
    assert f"A partial model: {what}" in (root / "output/data/evaluation.html").read_text()
    assert files(root / "checkpoints")


def test_a_fare_job_stopped_before_its_first_round_says_why(tmp_path):
    """
    1. training begins to read 2. SIGTERM arrives.

    Result: no model, the exit code of a stopped job, and the reason.
    """
    root = tmp_path / "ml"
    write_hyperparameters(root)
    (root / "input/data").symlink_to(TOP / "local_test/test_dir/input/data")
    code, _ = stopped(CONTAINER, root, at="hyperparameters:", within_s=60)
    assert code == ExitCode.STOPPED
    assert files(root / "model") == []
    assert "asked to stop before the first round" in (root / "output/failure").read_text()


def predictions(root):
    trees = find_algorithm().load(root / "model").trees
    features = np.random.default_rng(0).normal(size=(2000, trees.width)) * 10
    return trees.predict(features)


def test_a_fare_job_killed_three_times_ends_with_the_model_of_an_uninterrupted_run(fares, tmp_path):
    """
    1. training keeps each round that it reports 2. SIGKILL arrives 3. the job starts anew with its
    checkpoints; the same twice more, later on.

    Result: each start goes on, and the model predicts what that of an uninterrupted run does.
    """
    whole, _ = fares
    root, environ = tmp_path / "ml", {"CHECKPOINT_SECONDS": "0"}
    shutil.copytree(whole / "input/config", root / "input/config")
    (root / "input/data").symlink_to(TOP / "local_test/test_dir/input/data")
    (root / "checkpoints").mkdir()
    for rounds in (2, 8, 16):
        code, _ = stopped(
            CONTAINER, root, at=f" {rounds} rounds:", within_s=60, number=signal.SIGKILL, **environ
        )
        assert code == -signal.SIGKILL
        assert not (root / "model/trees.npz").exists()
    done = train(CONTAINER, root, **environ)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "continuing from the checkpoint algo-1-0000" in done.stdout
    assert " 14 rounds:" not in done.stdout
    np.testing.assert_allclose(predictions(root), predictions(whole), rtol=0, atol=1e-9)


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    """With another file in the channel the job says so and trains from the first round."""
    root = tmp_path / "ml"
    write_hyperparameters(root, rounds=3)
    (root / "checkpoints").mkdir()
    data = root / "input/data/training"
    data.mkdir(parents=True)
    shutil.copy(SAMPLE / "trips-2.csv.gz", data)
    train(CONTAINER, root, CHECKPOINT_SECONDS="0")
    (data / "trips-2.csv.gz").rename(data / "trips.csv.gz")
    done = train(CONTAINER, root)
    assert re.search("is not used: it is of another training: data was .*, is ", done.stdout)
    assert " 1 rounds:" in done.stdout


def test_the_archive_is_small_and_plain(fares, tmp_path):
    """Packed as the platform packs it the model stays far below any limit, without links."""
    root, _ = fares
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(root / "model", arcname=".")
    assert (tmp_path / "model.tar.gz").stat().st_size < 20_000_000
    assert not any(path.is_symlink() for path in (root / "model").rglob("*"))
