"""./deploy.sh infra: the stacks of infra/, and the difference before they change."""

import re
import shlex

import moto.cloudformation  # noqa: F401 - before boto3's session is replaced, which it asks
import pytest
from deploy import infra
from deploy.errors import ExitCode

import aws
from project import TOP

# moto has no bucket policies in stacks; tests/infra holds the templates themselves.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")


@pytest.fixture
def stacks(account):
    """The account's stacks by name."""

    def look() -> dict[str, dict]:
        found = account.client("cloudformation").describe_stacks()["Stacks"]
        return {each["StackName"]: each for each in found}

    return look


@pytest.fixture
def own_bucket(run, account):
    """The bucket and the repository are the stack's to make."""
    run.lines[2] = 'bucket = "toys-files"'
    account.client("ecr").delete_repository(repositoryName="toys", force=True)


@pytest.fixture
def outputs(monkeypatch):
    """What the stacks put out: moto forgets it when a stack is made by a change set."""
    look = infra.describe

    def described(session, stack):
        if found := look(session, stack):
            role = f"arn:aws:iam::{aws.ACCOUNT}:role/toys"
            given = {"Bucket": "toys-files", "OutputKey": "alias/toys-files"}
            given = given if stack.endswith("storage") else {"ExecutionRole": role}
            found["Outputs"] = [{"OutputKey": k, "OutputValue": v} for k, v in given.items()]
        return found

    monkeypatch.setattr(infra, "describe", described)


def test_the_account_is_made_and_made_again(run, own_bucket, stacks, outputs):
    """
    1. the command is run 2. it is run again. Result: each resource is shown before it is made, the
    keys for deploy.toml are printed, and the second time nothing changes.
    """
    ended = run("infra", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert "toys-storage: Add      AWS::S3::Bucket              FilesBucket" in ended.err
    assert "toys-policies: Add      AWS::IAM::Role               ExecutionRole" in ended.err
    assert ended.json()["for_deploy_toml"] == {
        "bucket": "toys-files",
        "keys.output": "alias/toys-files",
        "role": f"arn:aws:iam::{aws.ACCOUNT}:role/toys",
    }
    assert set(stacks()) == {"toys-storage", "toys-policies"}
    assert {"Key": "deploy:application", "Value": "toys"} in stacks()["toys-storage"]["Tags"]

    again = run("infra", "--yes")
    assert again.code == 0, again.err
    assert again.err.count("is as its template says") == 2


def test_a_change_shows_and_waits_for_yes(run, own_bucket, stacks, tmp_path, monkeypatch):
    """
    1. a stack is made with a parameter 2. its template changes, which is refused 3. it is accepted.
    Result: the changed resource is shown, it changes at 3 only, and the parameter is kept.
    """
    assert run("infra", "storage", "--yes", "--set", "CaptureDays=30").code == 0
    changed = (infra.TOP / "infra/storage.yaml").read_text(encoding="utf-8")
    changed = changed.replace("ScanOnPush: true", "ScanOnPush: false")
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra/storage.yaml").write_text(changed, encoding="utf-8")
    monkeypatch.setattr(infra, "TOP", tmp_path)
    monkeypatch.setattr(infra.click, "confirm", lambda *_, **__: False)

    def state():
        stack = stacks()["toys-storage"]
        parameters = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
        return stack["StackStatus"], parameters["CaptureDays"]

    ended = run("infra", "storage")
    assert ended.code == ExitCode.INTERRUPTED
    assert "toys-storage: Modify   AWS::ECR::Repository         Images" in ended.err
    assert state() == ("CREATE_COMPLETE", "30")
    ended = run("infra", "storage", "--yes")
    assert ended.code == 0, ended.err
    assert state() == ("UPDATE_COMPLETE", "30")


def test_a_refused_beginning_leaves_nothing(run, own_bucket, stacks, monkeypatch):
    """The empty stack that a change set made is gone too."""
    monkeypatch.setattr(infra.click, "confirm", lambda *_, **__: False)
    assert run("infra", "policies").code == ExitCode.INTERRUPTED
    assert stacks() == {}


def test_a_dry_run_makes_nothing(run, own_bucket, stacks):
    """It prints the change sets that it would ask for, with the templates."""
    ended = run("infra", "--dry-run")
    assert ended.code == 0, ended.err
    assert stacks() == {}
    assert [each["command"].split()[2] for each in ended.json()] == [
        "create-change-set",
        "execute-change-set",
    ] * 2
    assert "AWS::S3::Bucket" in ended.json()[0]["input"]["TemplateBody"]


PAGE = (TOP / "docs/security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"(?m)^\./deploy\.sh (infra.*?)(?:  .*)?$", PAGE))
def test_the_commands_of_the_page_are_right(run, own_bucket, line):
    """What docs/security.md shows would be sent."""
    ended = run(*shlex.split(line), "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.json()


def test_each_endpoint_has_its_own_alarms(run, own_bucket, stacks):
    """A second endpoint is watched by a second stack."""
    given = ["infra", "watching", "--yes", "--set"]
    assert run(*given, "Email=ann@example.com").code == 0
    assert run(*given, "Endpoint=toys-async", "--set", "Kind=async").code == 0
    assert set(stacks()) == {"toys-watching", "toys-async-watching"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--set", "Callerz=x"], "--set Callerz: no part has this parameter; it has Callers"),
        (["--set", "Callers"], "expected NAME=VALUE"),
        (["network"], "network needs --set Vpc=… --set Subnets=…"),
    ],
)
def test_what_is_missing_or_unknown_is_told(run, own_bucket, stacks, given, said):
    """Before anything is asked for."""
    ended = run("infra", *given, "--yes")
    assert ended.code == ExitCode.USAGE
    assert said in ended.err
    assert stacks() == {}


def test_a_bucket_of_somebody_else_is_not_taken(run, stacks):
    """The stack could not be made; another name is asked for at once."""
    ended = run("infra", "storage", "--yes")
    assert ended.code == ExitCode.USAGE
    assert "the bucket toys-bucket is there and not the stack's" in ended.err
    assert stacks() == {}
