"""A model is tried in a fresh process before it is published."""

import os
import sys
from time import monotonic

import pytest

from harness import wait_until
from jobs import files, train, write_hyperparameters
from project import assemble
from sagemaker_runtime.errors import ExitCode, ModelError
from sagemaker_runtime.training.verification import verify

GOOD = """
import os, pathlib, sys
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
(base / "output").mkdir()
(base / "output/failure").write_text("")
"""
SLOW = (
    "import os; print(os.getpid(), file=open(os.environ['PID'], 'w')); import time; time.sleep(60)"
)


def ask(root, code, **options):
    verify(
        root, options.pop("environ", os.environ), command=[sys.executable, "-c", code], **options
    )


def ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_good_model_is_told(tmp_path, capsys):
    """The log says how long it took."""
    ask(tmp_path, GOOD)
    assert (
        "the model was tried in a fresh process, as serve will load it" in capsys.readouterr().out
    )


def test_the_process_has_the_jobs_own_environment(tmp_path, monkeypatch):
    """A variable that training has set is not there when the model is served."""
    environ = dict(os.environ)
    monkeypatch.setenv("SET_BY_TRAINING", "1")
    ask(tmp_path, GOOD + "assert 'SET_BY_TRAINING' not in os.environ", environ=environ)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (GOOD.replace('""', '"no weights"'), "cannot be served: no weights. It was not published"),
        ("raise SystemExit(7)", "ended with exit code 7 before it answered"),
        ("import os; os.kill(os.getpid(), 9)", "was killed, most likely for lack of memory"),
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(tmp_path, code, words):
    """The reason is the process's own, or how it ended."""
    with pytest.raises(ModelError) as caught:
        ask(tmp_path, code)
    assert words in str(caught.value)


def test_loading_has_a_time_limit(tmp_path):
    """A model that takes longer than the platform waits is refused, its process ends."""
    environ = os.environ | {"PID": str(tmp_path / "pid")}
    with pytest.raises(ModelError, match="not loaded within 1 s"):
        ask(tmp_path, SLOW, environ=environ, limit_s=1)
    wait_until(lambda: ended(int((tmp_path / "pid").read_text())), what="the process has ended")


def test_a_job_that_is_to_end_keeps_a_model_there_is_no_time_for(tmp_path, capsys):
    """The seconds left after SIGTERM are for publishing; the log says what was left out."""
    environ = os.environ | {"PID": str(tmp_path / "pid")}
    ask(tmp_path, SLOW, environ=environ, stops=[monotonic() - 100])
    assert "published unverified" in capsys.readouterr().out


UNSERVABLE = """
import pickle
import sys
from pathlib import Path
from sagemaker_runtime.algorithm import Column, Hyperparameter, Table

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = (Hyperparameter("how", "well", "How it goes."),)


class Scaler:
    def __init__(self, how):
        self.how = how


def train(job):
    model = Scaler(job.hyperparameters["how"])
    if model.how == "class of main":
        Scaler.__module__ = "__main__"
        sys.modules["__main__"].Scaler = Scaler
    (job.model_dir / "model.pkl").write_bytes(pickle.dumps(model))


def load(model_dir):
    model = pickle.loads((model_dir / "model.pkl").read_bytes())
    if model.how == "crash":
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    if model.how == "thread":
        from threading import Event, Thread
        Thread(target=Event().wait).start()
    if model.how == "exit":
        sys.exit(0)
    return model


def predict(model, columns):
    rows = len(columns["x"])
    if model.how == "objects":
        return [object()] * rows
    if model.how == "list of dicts":
        return [{"label": "a", "scores": {1: object()}}] * rows
    return columns["x"]
"""


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("well", ExitCode.OK, ""),
        ("thread", ExitCode.OK, ""),
        ("objects", ExitCode.BAD_MODEL, "the self-test failed: AlgorithmError: predict returned"),
        ("list of dicts", ExitCode.BAD_MODEL, "the self-test failed: AlgorithmError"),
        ("class of main", ExitCode.BAD_MODEL, "Can't get attribute 'Scaler'"),
        ("crash", ExitCode.BAD_MODEL, "was killed, most likely for lack of memory"),
        ("exit", ExitCode.BAD_MODEL, "the algorithm raised SystemExit"),
    ],
)
def test_a_model_that_cannot_be_served_is_not_published(tmp_path, how, code, words):
    """What would be a 503 when served ends the job with that reason, and leaves no model."""
    root = tmp_path / "ml"
    write_hyperparameters(root, how=how)
    done = train(assemble(tmp_path / "program", UNSERVABLE), root)
    assert done.returncode == code, done.stderr
    assert files(root / "model") == (["model.pkl", "openapi.json"] if code == ExitCode.OK else [])
    assert not list(root.glob("**/.train-staging"))
    if words:
        failure = (root / "output/failure").read_text()
        assert failure.startswith("the model cannot be served: ")
        assert words in failure
