"""What the commands ask of AWS is granted to people, on the names that they really use."""

import pytest

from deployments import APPLICATION, BUCKET
from granted import PEOPLE, refused, statements


@pytest.fixture
def granted(run, account):
    """The commands in an account with data, a model and a question, whose asking starts anew."""
    account.client("s3").put_object(Bucket=BUCKET, Key="in/a.csv", Body=b"1,2\n")
    account.permissions.clear()
    yield
    assert account.permissions
    assert refused(account.permissions, statements(PEOPLE, APPLICATION, BUCKET)) == set()


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--data", f"s3://{BUCKET}/in/"],
        ["batch", f"s3://{BUCKET}/in/", "--model", "model"],
        ["realtime", "--model", "model"],
        ["serverless", "--model", "model"],
        ["async", "--model", "model"],
    ],
    ids=lambda given: given[0],
)
def test_what_makes_something_is_granted(run, granted, tmp_path, monkeypatch, command):
    """From the upload to the last look."""
    monkeypatch.chdir(tmp_path)
    ended = run(*command)
    assert ended.code == 0, ended.err
    assert run("status", poll=False).code == 0


def test_what_looks_is_granted(run, granted, tmp_path):
    """Asking, logs, reasons and the doctor."""
    assert run("realtime", "--model", tmp_path / "model").code == 0
    (tmp_path / "question.csv").write_text("1,2\n", encoding="utf-8")
    assert run("invoke", tmp_path / "question.csv").code == 0
    for command in ("logs", "why", "doctor"):
        run(command, poll=command == "logs")
