"""Asking an endpoint: content types, and what a refusal looks like."""

import io
import sys

import pytest
from deploy.errors import ExitCode


@pytest.fixture
def ask(run, account, tmp_path):
    """Ask an endpoint by a file of a name."""
    run("realtime", "--model", tmp_path / "model")

    def asked(name, *more):
        (tmp_path / name).write_text("1,2\n", encoding="utf-8")
        return run("invoke", tmp_path / name, *more)

    return asked


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("q.csv", "text/csv"),
        ("q.json", "application/json"),
        ("q.jsonl", "application/jsonlines"),
        ("q.npy", "application/x-npy"),
        ("q.png", "image/png"),
        ("q", "application/octet-stream"),
    ],
)
def test_the_ending_says_the_content_type(ask, account, name, media_type):
    """It can be given too."""
    assert ask(name).code == 0
    assert ask(name, "--content-type", "x/y").code == 0
    assert account.asked == [media_type, "x/y"]


def test_standard_input_needs_a_content_type(ask, run, account, monkeypatch):
    """Standard input has no ending to tell its type by."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1,2\n")))
    ended = run("invoke", "-")
    assert (ended.code, "--content-type text/csv" in ended.err) == (ExitCode.USAGE, True)
    assert run("invoke", "-", "--content-type", "text/csv").code == 0


def test_an_endpoint_that_is_not_there_is_named(run, tmp_path):
    """And what lists those that are."""
    (tmp_path / "q.csv").touch()
    ended = run("invoke", tmp_path / "q.csv")
    assert (ended.code, "there is no endpoint toys; see ./deploy.sh status" in ended.err) == (
        ExitCode.USAGE,
        True,
    )
