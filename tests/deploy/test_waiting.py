"""Waiting: one line for each change, and every way to end."""

import pytest
from deploy import waiting
from deploy.errors import ExitCode

from project import TOP


@pytest.fixture
def deployed(run, account, tmp_path):
    """An endpoint whose states come from ``account.answers``, and what shows it again."""
    run("realtime", "--model", tmp_path / "model")
    return lambda *more: run("realtime", "--model", tmp_path / "model", *more)


def states(account, *given):
    """Let the endpoint go through some states."""
    account.answers["DescribeEndpoint"] = [dict(each) for each in given]


def test_each_change_is_one_line_with_the_time(deployed, account):
    """The same state twice is said once."""
    creating, done = {"EndpointStatus": "Creating"}, {"EndpointStatus": "InService"}
    states(account, creating, creating, creating, done)
    ended = deployed()
    assert ended.code == ExitCode.OK
    told = [line.split() for line in ended.err.splitlines() if line.startswith("  ")]
    assert told == [["0:00", "Creating"], ["0:00", "InService"]]


def test_a_failed_endpoint_is_a_failure(deployed, account):
    """The reason is said, and what says more."""
    states(
        account,
        {"EndpointStatus": "Creating"},
        {"EndpointStatus": "Failed", "FailureReason": "no capacity"},
    )
    ended = deployed()
    assert ended.code == ExitCode.FAILED
    assert "no capacity\nmore: ./deploy.sh why toys" in ended.err


def test_a_rollback_is_no_success(deployed, account):
    """The endpoint ends InService with the configuration from before: only its name tells."""
    states(
        account,
        {"EndpointStatus": "Updating"},
        {"EndpointStatus": "InService", "EndpointConfigName": "from-before"},
    )
    ended = deployed()
    assert ended.code == ExitCode.ROLLED_BACK
    assert "toys serves from-before again" in ended.err


def test_the_timeout_says_that_the_work_goes_on(deployed, account):
    """And how to look and how to end it."""
    states(account, {"EndpointStatus": "Creating"})
    ended = deployed("--timeout", "0.001")
    assert ended.code == ExitCode.TIMED_OUT
    assert "it goes on in AWS\n  look: ./deploy.sh status toys" in ended.err
    assert "stop: ./deploy.sh teardown toys" in ended.err


def test_control_c_says_that_the_work_goes_on(deployed, account, monkeypatch):
    """1. an endpoint is being made 2. Ctrl-C. Result: how to look, exit code 130."""

    def interrupt(_seconds):
        raise KeyboardInterrupt

    states(account, {"EndpointStatus": "Creating"})
    monkeypatch.setattr(waiting.time, "sleep", interrupt)
    ended = deployed()
    assert ended.code == ExitCode.INTERRUPTED
    assert "toys goes on in AWS\n  look: ./deploy.sh status toys" in ended.err


def test_no_wait_returns_at_once(deployed, account):
    """The state does not matter."""
    states(account, {"EndpointStatus": "Creating"})
    assert deployed("--no-wait").code == ExitCode.OK


def test_a_failed_job_is_tried_anew(run, account, tmp_path):
    """Jobs cannot be deleted: the same content gets a number, a job that runs is waited for."""
    train = ["train", "--data", tmp_path / "data", "--json"]
    first = run(*train).json()["training_job"]
    assert run(*train).json()["training_job"] == first
    account.answers["DescribeTrainingJob"] = [
        {"TrainingJobStatus": "Failed"},
        {"TrainingJobStatus": "Completed"},
    ]
    assert run(*train).json()["training_job"] == f"{first}-2"
    assert len(account.calls) == 2

    account.answers["DescribeTrainingJob"] = [
        {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}
    ]
    (tmp_path / "data/c.csv").write_text("3,4\n", encoding="utf-8")
    ended = run(*train)
    assert ended.code == ExitCode.FAILED
    assert "is Stopped: MaxRuntimeExceeded" in ended.err


@pytest.mark.parametrize("code", ExitCode)
def test_each_exit_code_is_explained(code):
    """Every code is on the page, with its meaning."""
    page = (TOP / "docs/deploying.md").read_text(encoding="utf-8")
    assert f"| {code.value} | `{code.name}` |" in page
