"""The example of examples/several_hosts: sums over hosts make the model of all rows."""

import json

import numpy as np
import pytest

from hosts import hosts, outcomes
from jobs import train
from project import TOP, assemble

MODEL = TOP / "examples/several_hosts/shared_model"


def customers(rows):
    random = np.random.default_rng(0)
    size, age = random.uniform(0, 10, rows), random.integers(18, 90, rows)
    bought = random.uniform(0, 1, rows) < 1 / (1 + np.exp(4 - size / 2 - age / 50))
    lines = [f"{a:.3f},{b},{str(c).lower()}" for a, b, c in zip(size, age, bought, strict=True)]
    return lines, np.stack([np.ones(rows), size.round(3), age / 100], axis=1), bought


def write(folder, lines):
    folder.mkdir(parents=True)
    if lines:
        (folder / "rows.csv").write_text("\n".join(["size,age,bought", *lines]) + "\n")
    return folder


def weights(root):
    return json.loads((root / "model/model.json").read_text())["weights"]


def test_the_model_of_several_hosts_is_that_of_one(tmp_path):
    """Uneven rows, a host without any: the weights are those that all rows give on one host."""
    program = assemble(tmp_path / "program", MODEL)
    lines, rows, bought = customers(2000)
    write(tmp_path / "one/input/data/training", lines)
    assert train(program, tmp_path / "one").returncode == 0
    folders = [
        write(tmp_path / f"data{number}", part)
        for number, part in enumerate((lines[:1500], [], lines[1500:]))
    ]
    with hosts(program, tmp_path / "job", folders, sharded=True) as every:
        assert outcomes(every) == [0, 0, 0]
    found = weights(every[0].root)
    assert found == pytest.approx(weights(tmp_path / "one"), rel=1e-9)
    # At the optimum the gradient of the penalised likelihood is zero.
    gradient = rows.T @ (bought - 1 / (1 + np.exp(-rows @ found))) - 1e-3 * np.array(found)
    assert np.abs(gradient).max() < 1e-6
    assert "train:logloss=" in every[0].log
    assert "train:logloss=" not in every[2].log
