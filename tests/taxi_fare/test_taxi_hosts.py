"""The fare model over several hosts: one model, whichever way the rows are spread over them."""

import json
import re
import signal

import numpy as np
import pytest

from hosts import hosts, outcomes
from jobs import train, write_hyperparameters
from project import CONTAINER, SAMPLE
from sagemaker_runtime.errors import ExitCode
from taxi_fare import several_hosts
from taxi_fare.artifact import load
from taxi_fare.features import FEATURES

ROUNDS = 20
SPREADS = {
    "two, sorted by date": lambda row, rows: row * 2 // rows,
    "four, uneven, the leader without rows": lambda row, rows: 1 if row % 20 else 2 + row // 20 % 2,
}


def spread(folder, place):
    """Write the sample's rows, sorted by date, into the folders that a function says."""
    file = SAMPLE / "trips-1.csv"
    header, *rows = file.read_text().splitlines()
    rows.sort(key=lambda line: line.split(",")[2])
    parts = {}
    for number, row in enumerate(rows):
        parts.setdefault(place(number, len(rows)), [header]).append(row)
    folders = [folder / str(each) for each in range(max(parts) + 1)]
    for number, each in enumerate(folders):
        each.mkdir(parents=True)
        if number in parts:
            (each / "trips.csv").write_text("\n".join(parts[number]) + "\n")
    return folders


def figures(root):
    metadata = json.loads((root / "model/metadata.json").read_text())
    return metadata["metrics"]["validation:rmse"], metadata


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The model of one host: its figures."""
    root = tmp_path_factory.mktemp("alone")
    write_hyperparameters(root, rounds=ROUNDS)
    (root / "input/data/training").mkdir(parents=True)
    (root / "input/data/training/trips.csv").symlink_to(SAMPLE / "trips-1.csv")
    assert train(CONTAINER, root).returncode == 0
    return figures(root)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The models of several hosts, each having all files and taking its share: root and log."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "data").mkdir()
    (folder / "data/trips.csv").symlink_to(SAMPLE / "trips-1.csv")
    with hosts(CONTAINER, folder, [folder / "data"] * 2, rounds=ROUNDS) as every:
        assert outcomes(every, 120) == [0, 0]
    return every


def test_all_files_on_each_host_make_the_same_report(together, alone):
    """With FullyReplicated each row counts once: report, split and fingerprint are those of one."""
    rmse, metadata = figures(together[0].root)
    expected_rmse, expected = alone
    for name in ("cleaning", "data_sha256", "schema", "hyperparameters"):
        assert metadata[name] == expected[name], name
    assert rmse == pytest.approx(expected_rmse, rel=0.05)
    assert load(together[0].root / "model").typical_fare == expected["typical_fare"]
    assert together[1].model == []
    assert "validation:rmse=" in together[0].log
    assert "validation:rmse=" not in together[1].log


def test_the_model_does_not_depend_on_how_the_rows_are_spread(tmp_path, together):
    """
    Two hosts with rows sorted by date, four of them uneven, the leader without any: all errors are
    the same, and like those of one host as far as few rows allow.
    """
    found = []
    for name, place in SPREADS.items():
        folders = spread(tmp_path / name / "data", place)
        with hosts(CONTAINER, tmp_path / name, folders, sharded=True, rounds=ROUNDS) as every:
            assert outcomes(every, 120) == [0] * len(folders)
        found.append(figures(every[0].root)[1])
    first, second = (metadata["metrics"] for metadata in found)
    assert first == pytest.approx(second, rel=1e-9)
    _, expected = figures(together[0].root)  # one file, so that one of them had all rows
    assert first == pytest.approx(expected["metrics"], rel=5e-3)
    assert [metadata["cleaning"] for metadata in found] == [expected["cleaning"]] * 2


def test_the_gradients_add_up_to_the_same_in_any_order():
    """So that no split depends on which host has which row."""

    class Data:
        def get_label(self):
            return chance.gamma(2, 6, 10_000).astype(np.float32)

    chance = np.random.default_rng(0)
    gradients, weights = several_hosts.exact_gradients(chance.gamma(2, 6, 10_000), Data())
    sums = {np.cumsum(chance.permutation(gradients), dtype=float)[-1] for _ in range(20)}
    assert len(sums) == 1
    assert (weights == 1).all()


def test_sigterm_to_one_host_keeps_a_model_that_the_next_start_goes_on_from(tmp_path):
    """
    1. two hosts fit 2. SIGTERM reaches the worker 3. the job is started again with its checkpoints.

    Result: a partial model of the same rounds on both, and the next start ends with the model that
    was not interrupted.
    """
    data = tmp_path / "data"
    data.mkdir()
    (data / "trips.csv").symlink_to(SAMPLE / "trips-1.csv")
    job = {"rounds": 60}
    with hosts(CONTAINER, tmp_path / "whole", [data] * 2, **job) as whole:
        assert outcomes(whole, 120) == [0, 0]
    environ = {"CHECKPOINT_SECONDS": "0"}
    with hosts(CONTAINER, tmp_path / "job", [data] * 2, start=False, environ=environ, **job) as two:
        for host in two:
            (host.root / "checkpoints").mkdir()
            host.start()
        two[1].await_line(" 6 rounds:")
        two[1].send(signal.SIGTERM)
        assert outcomes(two, 120) == [0, 0]
        found = [re.findall(r"partial model: (\d+) of 60 rounds", host.log) for host in two]
        assert found[0] == found[1]
        assert 6 <= int(found[0][0]) < 60
        assert load(two[0].root / "model").typical_fare > 0
        for host in two:
            host.start()
        assert outcomes(two, 120) == [0, 0]
    assert "continuing from the checkpoint localhost-" in two[0].log
    trees = [load(host.root / "model").trees for host in (whole[0], two[0])]
    features = np.random.default_rng(0).uniform(-10, 60, (500, len(FEATURES)))
    np.testing.assert_allclose(trees[0].predict(features), trees[1].predict(features), atol=1e-9)


def test_a_host_killed_during_the_fit_is_named(tmp_path):
    """
    1. LightGBM fits on three hosts 2. one is killed.

    Result: the others end with its name, whatever LightGBM has said before.
    """
    data = tmp_path / "data"
    data.mkdir()
    (data / "trips.csv").symlink_to(SAMPLE / "trips-1.csv")
    with hosts(CONTAINER, tmp_path / "job", [data] * 3, rounds=10_000) as every:
        every[1].await_line(" rounds:")
        every[1].send(signal.SIGKILL)
        left = [every[0], every[2]]
        assert outcomes(left, 30) == [ExitCode.HOST_LOST] * 2
    for host in left:
        assert host.failure.startswith("the host algo-2 ended without a word")
        assert host.model == []


def test_scikit_learn_says_at_once_that_it_trains_on_one_host(tmp_path):
    """The reason comes before any data are read, with both ways out."""
    with hosts(CONTAINER, tmp_path, (None, None), estimator="scikit-learn") as every:
        assert outcomes(every) == [ExitCode.BAD_HYPERPARAMETER] * 2
    for host in every:
        assert "estimator is 'scikit-learn', which trains on one host" in host.failure
        assert "estimator=lightgbm, or instance_count=1" in host.failure


@pytest.mark.parametrize("cents", [[250], [850, 850, 1210], [250, 450, 1000, 99999999 % 25000]])
def test_the_median_of_all_hosts_is_numpys(cents):
    """Counted by the cent over two hosts, it is the very number of one host."""

    class Two:
        hosts = ("a", "b")

        def gather(self, counts):
            return [counts, np.bincount([1000, 1300], minlength=25001)]

    fares = np.array(cents) / 100
    together = several_hosts.median(fares, Two())
    assert together == np.median([*fares, 10.0, 13.0])
