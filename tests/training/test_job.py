"""What an algorithm is given."""

import json

import pytest

from jobs import train, write_hyperparameters
from project import assemble
from sagemaker_runtime.errors import ExitCode

GIVEN = """
import json
from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = None
ENTRY_POINT = True


def train(job):
    job.channels["training"]
    "validation" in job.channels
    seen = {
        "own": job.hyperparameters,
        "platform": job.platform_hyperparameters,
        "hosts": job.cluster.hosts,
    }
    (job.model_dir / "seen.json").write_text(json.dumps(seen))


def load(model_dir): ...
def predict(model, columns): return columns["x"]
"""


@pytest.fixture
def given(tmp_path):
    """A job with channels, hyperparameters of all kinds and a host, and what its algorithm saw."""
    root = tmp_path / "ml"
    for channel in ("training", "val", "test"):
        (root / "input/data" / channel).mkdir(parents=True)
    write_hyperparameters(
        root, kind='"tree"', sagemaker_program='"x.py"', _tuning_objective_metric="rmse"
    )
    (root / "input/config/resourceconfig.json").write_text('{"hosts": ["algo-7"]}')
    done = train(assemble(tmp_path / "program", GIVEN), root)
    assert done.returncode == ExitCode.OK, done.stderr
    return json.loads((root / "model/seen.json").read_text()), done.stdout


def test_undeclared_hyperparameters_and_the_hosts_reach_the_algorithm(given):
    """Its own come as text, the platform's apart; with ENTRY_POINT a job may bring code."""
    seen, _ = given
    assert seen == {
        "own": {"kind": "tree"},
        "platform": {"sagemaker_program": "x.py", "_tuning_objective_metric": "rmse"},
        "hosts": ["algo-7"],
    }


def test_channels_that_nobody_read_are_named(given):
    """One line says which, and what is looked for instead."""
    _, log = given
    line = "channels test, val were not read: train looks for training, validation"
    assert line in log.splitlines()
