"""A dry run only reads, and prints what a real run sends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deploy import rehearsal
from deploy.errors import ExitCode

from deployments import BUCKET

# Everything of deploy.toml that should reach the calls.
ALL = """
[tags]
team = "toys"
[environment]
MODEL_SERVER_WORKERS = "1"
[network]
subnets = ["subnet-1"]
security_groups = ["sg-1"]
isolation = true
encrypt_between_hosts = true
[keys]
volume = "alias/volume"
output = "alias/output"
[training]
spot = true
hyperparameters = {rounds = 3, fast = true}
metrics = {loss = "loss=([0-9.]+)"}
[realtime]
capture_percent = 20
[asynchronous]
success_topic = "arn:aws:sns:eu-west-1:123456789012:good"
error_topic = "arn:aws:sns:eu-west-1:123456789012:bad"
[batch]
capture = true
max_concurrent = 4
"""
ISOLATED = {"EnableNetworkIsolation", "VpcConfig"}


@pytest.mark.parametrize("kind", ["train", "realtime", "async", "batch", "serverless"])
def test_a_dry_run_shows_what_a_real_run_sends(run, account, tmp_path, kind):
    """
    1. a dry run prints its calls and sends none 2. the command is run
    3. the AWS command line sends what was printed. Result: all three are the same.
    """
    run.lines += ALL.splitlines() if kind != "serverless" else []
    account.client("s3").put_object(Bucket=BUCKET, Key="in/a.csv", Body=b"1,2\n")
    account.client("s3").put_object(Bucket=BUCKET, Key="m.tar.gz", Body=b"\x1f\x8b")
    given = {"train": ["--data", f"s3://{BUCKET}/in/"], "batch": [f"s3://{BUCKET}/in/"]}
    command = [kind, *given.get(kind, [])]
    command += ["--model", f"s3://{BUCKET}/m.tar.gz"] if kind != "train" else []

    keys = account.objects()
    planned = run(*command, "--dry-run").json()
    assert account.calls == []
    assert account.objects() == keys

    assert run(*command).code == 0
    real, account.calls = account.calls, []
    assert [each["input"] for each in planned] == [request for _, request in real]
    if kind not in ("train", "async"):  # a second for each call
        return
    account.forget()
    for number, call in enumerate(planned):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(call["input"]), encoding="utf-8")
        program, *words = call["command"].split()
        tool = Path(sys.executable).with_name(program)
        subprocess.run([tool, *words, f"file://{file}"], check=True, capture_output=True)
    assert account.calls == real


@pytest.mark.parametrize("command", [["train", "--data=data"], ["batch", "data", "--model=model"]])
def test_what_is_on_this_machine_gets_the_same_names(run, account, tmp_path, monkeypatch, command):
    """A dry run uploads nothing, and says what it would upload."""
    monkeypatch.chdir(tmp_path)
    planned = run(*command, "--dry-run").json()
    assert account.objects() == []
    uploads = [each["command"] for each in planned if "input" not in each]
    assert [each.split()[3] for each in uploads][-2:] == ["data/a.csv", "data/b.csv"]
    assert run(*command).code == 0
    assert [e["input"] for e in planned if "input" in e] == [asked for _, asked in account.calls]
    assert all(each.split()[4].split("/", 3)[3] in account.objects() for each in uploads)


def requests(run, account, *command):
    """The requests of a command by their actions."""
    ended = run(*command)
    assert ended.code == 0, ended.err
    return dict(account.calls)


def test_security_reaches_training(run, account, tmp_path):
    """Keys, VPC, isolation, encryption between hosts, spot with checkpoints, tags."""
    run.lines += ALL.splitlines()
    job = requests(run, account, "train", "--data", tmp_path / "data")["CreateTrainingJob"]
    assert job["OutputDataConfig"]["KmsKeyId"] == "alias/output"
    assert job["ResourceConfig"]["VolumeKmsKeyId"] == "alias/volume"
    assert job["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert job["EnableNetworkIsolation"]
    assert job["EnableInterContainerTrafficEncryption"]
    assert job["EnableManagedSpotTraining"]
    assert job["CheckpointConfig"]["S3Uri"].endswith(job["TrainingJobName"])
    assert job["StoppingCondition"]["MaxWaitTimeInSeconds"] == 48 * 3600
    assert job["HyperParameters"] == {"rounds": "3", "fast": "true"}
    assert {"Key": "team", "Value": "toys"} in job["Tags"]
    uploaded = account.client("s3").head_object(Bucket=BUCKET, Key=account.objects()[0])
    assert uploaded["SSEKMSKeyId"].endswith("alias/output")


def test_security_reaches_endpoints(run, account, tmp_path):
    """The model has network and environment, the configuration keys and capture."""
    run.lines += ALL.splitlines()
    sent = requests(run, account, "realtime", "--model", tmp_path / "model")
    assert sent["CreateModel"].keys() >= ISOLATED
    assert sent["CreateModel"]["PrimaryContainer"]["Environment"] == {"MODEL_SERVER_WORKERS": "1"}
    configuration = sent["CreateEndpointConfig"]
    assert configuration["KmsKeyId"] == "alias/volume"
    assert configuration["DataCaptureConfig"]["InitialSamplingPercentage"] == 20
    assert configuration["DataCaptureConfig"]["KmsKeyId"] == "alias/output"

    sent = requests(run, account, "async", "--model", tmp_path / "model")
    output = sent["CreateEndpointConfig"]["AsyncInferenceConfig"]["OutputConfig"]
    assert output["KmsKeyId"] == "alias/output"
    assert output["NotificationConfig"]["ErrorTopic"].endswith(":bad")
    assert sent["CreateEndpointConfig"]["KmsKeyId"] == "alias/volume"


def test_security_reaches_batches(run, account, tmp_path):
    """Keys and capture stand in the job, the network in its model."""
    run.lines += ALL.splitlines()
    sent = requests(run, account, "batch", tmp_path / "data", "--model", tmp_path / "model")
    assert sent["CreateModel"].keys() >= ISOLATED
    job = sent["CreateTransformJob"]
    assert job["TransformOutput"]["KmsKeyId"] == "alias/output"
    assert job["TransformResources"]["VolumeKmsKeyId"] == "alias/volume"
    assert job["DataCaptureConfig"]["KmsKeyId"] == "alias/output"


def test_disks_on_the_machine_take_no_key(run, account, tmp_path):
    """SageMaker refuses a job's volume key for types with their own disks: it is left out, said."""
    run.lines += ALL.replace("spot = true", 'instance_type = "ml.m5d.large"').splitlines()
    ended = run("train", "--data", tmp_path / "data")
    assert "VolumeKmsKeyId" not in dict(account.calls)["CreateTrainingJob"]["ResourceConfig"]
    assert "ml.m5d.large encrypts its own disks" in ended.err


def test_another_processor_is_refused(run, account, tmp_path):
    """Jobs run on amd64 only."""
    run.lines += ["[training]", 'instance_type = "ml.m7gd.large"']
    ended = run("train", "--data", tmp_path / "data")
    assert (ended.code, account.calls) == (ExitCode.USAGE, [])
    assert "jobs run on amd64 only" in ended.err


def test_a_dry_run_on_the_local_cloud_makes_nothing_there(run, account, tmp_path, monkeypatch):
    """It goes where cloud.sh says, for S3 too, with the cloud's role and bucket, and only reads."""
    script = tmp_path / "local_test/cloud.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho 'export AWS_MARK=here'\necho 'unset AWS_ENDPOINT_URL_S3'\n")
    script.chmod(0o755)
    monkeypatch.setattr(rehearsal, "TOP", tmp_path)
    monkeypatch.setenv("AWS_MARK", "elsewhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    trusted = json.dumps({"Principal": {"Service": "sagemaker.amazonaws.com"}})
    account.client("iam").create_role(RoleName="rehearsal", AssumeRolePolicyDocument=trusted)
    ended = run("train", "--data", tmp_path / "data", "--dry-run", "--local")
    assert ended.code == 0, ended.err
    assert ended.json()[-1]["input"]["RoleArn"] == rehearsal.ROLE
    assert account.calls == []
    buckets = account.client("s3").list_buckets()["Buckets"]
    assert [each["Name"] for each in buckets] == [BUCKET]
    assert os.environ["AWS_MARK"] == "here"
    assert "AWS_ENDPOINT_URL_S3" not in os.environ
