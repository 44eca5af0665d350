"""What teardown deletes, and what it leaves."""

import time
from types import SimpleNamespace

import boto3
import pytest
from deploy import logs, owned, rehearsal, waiting
from deploy.errors import ExitCode
from deploy.session import client

from granted import Held

WORDS = {"Model": "model", "EndpointConfig": "endpoint-config", "Endpoint": "endpoint"}


@pytest.fixture
def tagged(account, monkeypatch):
    """What was created is listed by its tags, with ARNs as SageMaker writes them; moto does not."""
    untagged: list[str] = []

    def pages(TagFilters):
        listed = []
        for action, request in account.calls:
            noun = action.removeprefix("Create")
            name = request.get(f"{noun}Name", "").lower()
            if noun in WORDS and name not in untagged:
                arn = f"arn:aws:sagemaker:eu-west-1:123456789012:{WORDS[noun]}/{name}"
                listed.append({"ResourceARN": arn, "Tags": request["Tags"]})
        yield {"ResourceTagMappingList": listed}

    tagging = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=pages))
    monkeypatch.setattr(
        owned,
        "client",
        lambda session, name: tagging if name.startswith("resource") else client(session, name),
    )
    monkeypatch.setattr(owned, "scaled", lambda *_: [])  # moto fails at these endpoints
    return untagged


def deleted(account):
    """The names of what was deleted."""
    return [next(iter(r.values())) for action, r in account.calls if action.startswith("Delete")]


def test_a_teardown_that_broke_off_is_resumed(run, account, tagged, tmp_path, monkeypatch):
    """1. an endpoint is being deleted 2. teardown 3. it is gone. Result: the rest goes too."""
    run("realtime", "--model", tmp_path / "model")
    account.answers["DescribeEndpoint"] = [{"EndpointStatus": "Deleting"}]

    def gone(_seconds):
        account.client("sagemaker").delete_endpoint(EndpointName="toys")

    monkeypatch.setattr(waiting.time, "sleep", gone)
    ended = run("teardown", "--yes")
    assert ended.code == 0, ended.err
    assert [name.partition("-")[0] for name in deleted(account)] == ["toys"] * 3


@pytest.mark.parametrize("name", [[], ["toys"]])
def test_what_an_endpoint_uses_stays_with_it(run, account, tagged, tmp_path, name):
    """An endpoint that is not listed with the tag keeps its configuration and its model."""
    run("realtime", "--model", tmp_path / "model")
    tagged.append("toys")
    ended = run("teardown", *name, "--yes")
    assert (ended.code, deleted(account)) == (ExitCode.USAGE, [])
    assert "is in use by the endpoint toys" in ended.err


def test_names_with_capitals_are_found(run, account, tagged, tmp_path):
    """SageMaker's ARNs are in lower case; names are not."""
    run("realtime", "--model", tmp_path / "model", "--name", "MyToys")
    made = [request for _, request in account.calls]
    ended = run("teardown", "MyToys", "--yes")
    assert ended.code == 0, ended.err
    names = [made[2]["EndpointName"], made[1]["EndpointConfigName"], made[0]["ModelName"]]
    assert deleted(account) == names


def test_late_lines_of_another_host_are_followed_too(run, account, tmp_path, monkeypatch):
    """1. a line is shown 2. an earlier one of another host arrives. Result: both, each once."""
    run("realtime", "--model", tmp_path / "model")
    client_, group = account.client("logs"), "/aws/sagemaker/Endpoints/toys"
    client_.create_log_group(logGroupName=group)
    now = int(time.time() * 1000)

    def put(stream, moment):
        client_.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": moment, "message": f"of {stream}"}
        client_.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    waits = iter([lambda: put("late", now - 2000), lambda: None])

    def wait(_seconds):
        step = next(waits, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    put("early", now)
    monkeypatch.setattr(logs.time, "sleep", wait)
    ended = run("logs", "--follow")
    assert ended.out.splitlines() == ["early | of early", "late | of late"]


def test_what_retraining_made_goes_with_everything(cloud, tmp_path):
    """
    1. a pipeline and a group with two models, and a strange group 2. teardown of an endpoint, which
    is not there 3. teardown, planned and done. Result: the pipeline and the group are gone, and the
    policies allow it.
    """
    sagemaker = boto3.client("sagemaker")
    tags = [{"Key": "deploy:application", "Value": "toys"}]
    sagemaker.create_model_package_group(ModelPackageGroupName="strange")
    sagemaker.create_model_package_group(ModelPackageGroupName="toys", Tags=tags)
    for _ in range(2):
        sagemaker.create_model_package(ModelPackageGroupName="toys")
    sagemaker.create_pipeline(
        PipelineName="toys-retrain",
        PipelineDefinition='{"Version": "2020-12-01", "Steps": []}',
        ClientRequestToken="t" * 32,
        RoleArn=rehearsal.ROLE,
        Tags=tags,
    )
    lines = ['application = "toys"', f'role = "{rehearsal.ROLE}"', f'bucket = "{rehearsal.BUCKET}"']
    run = Held(tmp_path / "deploy.toml", lines, cloud)
    assert run("teardown", "toys", "--yes").code == ExitCode.USAGE
    planned = [each["command"].split()[2] for each in run("teardown", "--dry-run").json()]
    assert planned == ["delete-pipeline"] + ["delete-model-package"] * 2 + [
        "delete-model-package-group"
    ]
    ended = run("teardown", "--yes")
    assert ended.code == 0, ended.err
    assert "model package group toys, with 2 registered models" in ended.err
    assert sagemaker.list_pipelines()["PipelineSummaries"] == []
    (left,) = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert left["ModelPackageGroupName"] == "strange"
