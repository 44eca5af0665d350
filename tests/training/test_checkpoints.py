"""Checkpoints: kept whole, few, and continued from only where they belong."""

import json

import pytest

from jobs import files, stopped, train, write_hyperparameters
from project import assemble
from sagemaker_runtime.errors import ExitCode
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.training import checkpoints
from sagemaker_runtime.training.checkpoints import Checkpoints

COUNTER = """
import sys
from sagemaker_runtime.algorithm import Column, Hyperparameter, Table
from sagemaker_runtime.errors import Stopped

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = (Hyperparameter("rounds", 3, "Rounds."), Hyperparameter("rate", 1.5, "Rate."))


def train(job):
    begun = job.checkpoints.newest(data="abc")
    done = int((begun / "n").read_text()) if begun else 0
    while done < job.hyperparameters["rounds"]:
        done += 1
        print("round", done, flush=True)
        if done == 2:
            sys.stdin.read(1)
        job.checkpoints.keep(lambda folder: (folder / "n").write_text(str(done)))
        if job.stopping():
            job.partial(f"{done} rounds")
            break
    (job.model_dir / "n").write_text(str(done))


def load(model_dir): ...
def predict(model, columns): return columns["x"]
"""


@pytest.fixture
def toy(tmp_path):
    """A program folder with an algorithm that counts rounds and keeps each."""
    return assemble(tmp_path / "program", COUNTER)


def number(folder):
    folder.joinpath("n").write_text("1")


def offered(tmp_path, **changes):
    return Checkpoints(**{"folder": tmp_path, "host": "algo-1", "interval_s": 0.0} | changes)


def test_a_spot_restart_continues(toy, tmp_path):
    """
    1. the job keeps two rounds 2. SIGTERM arrives, the model is marked as partial 3. the job starts
    anew with its checkpoints, and again with another hyperparameter.

    Result: the second start goes on behind the last round, the third from the beginning, with the
    reason in the log.
    """
    root = tmp_path / "ml"
    write_hyperparameters(root, rounds=4)
    (root / "checkpoints").mkdir(parents=True)
    code, log = stopped(toy, root, at="round 2", within_s=30)
    assert code == ExitCode.OK, log
    assert json.loads((root / "model/metadata.json").read_text()) == {"partial": "2 rounds"}
    done = train(toy, root, CHECKPOINT_SECONDS="0")
    assert [line for line in done.stdout.splitlines() if line.startswith("round")] == [
        "round 3",
        "round 4",
    ]
    assert "metadata.json" not in files(root / "model")
    assert (root / "model/n").read_text() == "4"
    assert files(root / "checkpoints")[0].startswith("algo-1-0000")
    write_hyperparameters(root, rounds=4, rate=0.5)
    done = train(toy, root)
    assert "round 1\n" in done.stdout
    assert "is of another training: hyperparameters rate was 1.5, is 0.5" in done.stdout
    assert "training starts anew" in done.stdout


def test_without_the_platforms_offer_nothing_is_kept(toy, tmp_path):
    """No folder and no configuration: the same algorithm trains without a word of checkpoints."""
    done = train(toy, tmp_path / "ml", CHECKPOINT_SECONDS="0")
    assert done.returncode == ExitCode.OK, done.stderr
    assert not (tmp_path / "ml/checkpoints").exists()
    assert "checkpoint" not in done.stdout


@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/opt/ml/mine/here", "{tmp}/elsewhere"])
def test_the_platform_names_the_folder(toy, tmp_path, path):
    """checkpointconfig.json with its LocalPath counts, whether the folder is there yet or not."""
    root = tmp_path / "ml"
    write_hyperparameters(root)
    config = {"S3Uri": "s3://bucket/here", "LocalPath": path.format(tmp=tmp_path)}
    (root / "input/config/checkpointconfig.json").write_text(json.dumps(config))
    assert train(toy, root, CHECKPOINT_SECONDS="0").returncode == ExitCode.OK
    folder = Paths(root).of_platform(config["LocalPath"])
    assert folder.is_relative_to(tmp_path)
    assert {name.split("/")[0] for name in files(folder)} == {"algo-1-000002", "algo-1-000003"}


def test_an_interval_that_is_none_is_refused(toy, tmp_path):
    """The message says which variable, its value and a good one."""
    done = train(toy, tmp_path / "ml", CHECKPOINT_SECONDS="soon")
    assert done.returncode == ExitCode.BAD_SETTING
    assert "CHECKPOINT_SECONDS is 'soon'; expected seconds from 0, such as 60." in done.stderr


def test_hosts_do_not_meet(tmp_path):
    """The folder is one for all hosts: each keeps and finds its own only, two at most."""
    one, ten = offered(tmp_path), offered(tmp_path, host="algo-10")
    for _ in range(4):
        one.keep(number)
    ten.keep(number)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "algo-1-000003",
        "algo-1-000004",
        "algo-10-000001",
    ]
    assert offered(tmp_path).newest() == tmp_path / "algo-1-000004"


def test_they_are_kept_at_an_interval_and_at_the_end(tmp_path):
    """Within the interval one is written only when asked for, and once when the job is to end."""
    stops = []
    kept = offered(tmp_path, interval_s=1e6, stopping=lambda: bool(stops))
    assert not kept.keep(number)
    assert kept.keep(number, now=True)
    assert not kept.keep(number)
    stops.append(1)
    assert [kept.keep(number), kept.keep(number)] == [True, False]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda last: (last / "n").write_text("2"), "it is damaged: its files are not those"),
        (lambda last: (last / "n").unlink(), "it is damaged: its files are not those"),
        (lambda last: (last / "more").touch(), "it is damaged: its files are not those"),
        (lambda last: (last / "checkpoint.json").unlink(), "it is damaged (FileNotFoundError"),
        (lambda last: (last / "checkpoint.json").write_text("[]"), "it is damaged (TypeError"),
        (lambda last: (last / "checkpoint.json").write_bytes(b"\xff"), "it is damaged (Unicode"),
    ],
)
def test_a_damaged_one_is_refused_and_the_one_before_is_taken(tmp_path, capsys, damage, reason):
    """S3 may have got a checkpoint in part: the reason is told and the last whole one is found."""
    kept = offered(tmp_path)
    for _ in range(2):
        kept.keep(number)
    damage(tmp_path / "algo-1-000002")
    assert offered(tmp_path).newest() == tmp_path / "algo-1-000001"
    log = capsys.readouterr().out
    assert f"the checkpoint algo-1-000002 is not used: {reason}" in log
    assert "continuing from the checkpoint algo-1-000001" in log


def test_one_of_other_data_is_refused_with_what_differs(tmp_path, capsys):
    """Every fact counts, those of the job and those of the algorithm."""
    kept = offered(tmp_path, facts={"code": "1", "hyperparameters": {"rounds": 3}})
    kept.newest(data="abc")
    kept.keep(number)
    facts = {"code": "2", "hyperparameters": {"rounds": 3, "rate": 0.1}}
    assert offered(tmp_path, facts=facts).newest(data="xyz") is None
    log = capsys.readouterr().out
    assert "code was 1, is 2; data was abc, is xyz; hyperparameters rate was None, is 0.1" in log


def test_a_failed_write_costs_no_training(tmp_path, capsys):
    """A full disk is told, leaves no half checkpoint behind, and the job goes on."""

    def full(folder):
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    assert not offered(tmp_path).keep(full)
    assert list(tmp_path.iterdir()) == []
    assert "no checkpoint was kept, training goes on: [Errno 28]" in capsys.readouterr().err


def test_the_algorithms_code_is_part_of_what_must_agree(tmp_path):
    """Another line of code, or another name of a file, is another training."""
    found = set()
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("c.txt", "2")):
        (tmp_path / "a.py").unlink(missing_ok=True)
        (tmp_path / "b.py").unlink(missing_ok=True)
        (tmp_path / name).write_text(text)
        found.add(checkpoints.digest_of_code(tmp_path))
    assert len(found) == 4
