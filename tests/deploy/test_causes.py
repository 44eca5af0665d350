"""
Every row of the troubleshooting page's table is produced on the local cloud, and its remedy told.

Containers produce what they can: images from which nothing good comes, and one that answers as it
is asked. The local cloud's faults stand in for what only AWS has: quotas, capacity, permissions.
"""

import json
import os
from collections.abc import Callable, Iterator

import boto3
import pytest
from deploy import causes
from deploy.errors import ExitCode
from local_cloud import images
from local_cloud.faults import Fault
from local_cloud.server import LocalCloud

import containers
from harness import wait_until
from project import SAMPLE, TOP

pytestmark = pytest.mark.docker

BAD_IMAGE = TOP / "tests/deploy/bad_image"
CHANGES = {
    "bad": "true",
    "none": "rm train",
    "garbage": "printf '\\177ELF' > train",
    "answers": "mv answer serve",
}
# What ends a training: the image and its hyperparameter "how".
TRAININGS = {
    "exit code: 137": ("bad", "memory"),
    "MaxRuntimeExceeded": ("bad", "sleep"),
    "AlgorithmError": ("bad", "fail"),
    'exec: "train"': ("none", "any"),
    "exec format error": ("garbage", "any"),
}
# What AWS says of a job that it could not run.
FAILURES = {
    "MaxWaitTimeExceeded": "the job did not start within MaxWaitTimeInSeconds",
    "CapacityError": "Unable to provision requested ML compute capacity",
}
# What AWS answers to a call, by its code.
REFUSALS = {
    "Unsupported manifest media type": ("ValidationException", "application/vnd.oci.image.index"),
    "Could not find model data": ("ValidationException", "at s3://b/m.tar.gz"),
    "ResourceLimitExceeded": ("ResourceLimitExceeded", "The limit 'ml.m5.large' is 0 Instances"),
    "Could not assume role": ("ValidationException", "arn:aws:iam::123456789012:role/rehearsal"),
    "is not authorized to perform": ("AccessDeniedException", "sagemaker:CreateModel"),
    "ExpiredToken": ("ExpiredTokenException", "It was issued yesterday"),
    "Rate exceeded": ("ThrottlingException", ""),
}
# What the container answers to a request.
ANSWERS = {
    "invalid_value": 422,
    "unsupported_media_type": 415,
    "not_acceptable": 406,
    "payload_too_large": 413,
    "worker_failed": 502,
}
ALONE = (
    "did not pass the ping health check",
    "is ALARM",
    "must specify a region",
    "Could not connect to the endpoint",
)


def assert_told(text: str, sign: str) -> None:
    """The text has the sign, and the remedy of its row."""
    assert sign in text
    assert causes.match(sign)[0].remedy in text


def test_each_row_has_a_case_here():
    """A cause that no test produces is a guess."""
    signs = {*TRAININGS, *FAILURES, *REFUSALS, *ANSWERS, *ALONE}
    lacking = [each for each in causes.table() if not signs & set(each.signs)]
    assert lacking == []
    assert signs == {sign for each in causes.table() for sign in each.signs if sign in signs}


@pytest.fixture(scope="module")
def bad(cloud: LocalCloud, image: str) -> Iterator[Callable[[str], str]]:
    """Make an image by the name of its change, once, and return its name in the registry."""
    made: dict[str, str] = {}

    def make(name: str) -> str:
        if name not in made:
            made[name] = f"container-suite/{name}:{os.getpid()}"
            arguments = ("--build-arg", f"IMAGE={image}", "--build-arg", f"CHANGE={CHANGES[name]}")
            containers.docker("build", "--tag", made[name], *arguments, str(BAD_IMAGE))
            images.push(cloud.cloud, made[name], f"{name}:v1")
        return f"{name}:v1"

    yield make
    containers.docker("image", "rm", "--force", "--no-prune", *made.values())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model's folder."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "weights").write_text("none", encoding="utf-8")
    return folder


@pytest.mark.parametrize("sign", TRAININGS)
def test_a_failed_training_is_explained(rehearse, bad, sign):
    """The container's end, whatever it is, leads to the row of the table."""
    name, how = TRAININGS[sign]
    rehearse.lines += ["[training]", "max_hours = 0.001"]
    try:
        command = ["train", "--data", SAMPLE, "--set", f"how={how}", "--image", bad(name)]
        ended = rehearse(*command)
    finally:
        del rehearse.lines[-2:]
    assert ended.code == ExitCode.FAILED, ended.err
    job = ended.err.split("more: ./deploy.sh why ")[1].split()[0]
    assert_told(rehearse("why", job, poll=False).out, sign)


@pytest.mark.parametrize("sign", FAILURES)
def test_a_job_that_aws_could_not_run_is_explained(rehearse, cloud, sign):
    """The FailureReason leads to the row of the table."""
    fault = Fault("CreateTrainingJob", way="fail", code=sign, message=FAILURES[sign])
    cloud.cloud.faults.add(fault)
    ended = rehearse("train", "--data", SAMPLE, "--set", f"sign={sign}")
    assert ended.code == ExitCode.FAILED, ended.err
    job = ended.err.split("more: ./deploy.sh why ")[1].split()[0]
    assert_told(rehearse("why", job, poll=False).out, sign)


@pytest.mark.parametrize("sign", REFUSALS)
def test_a_refused_call_is_explained(rehearse, cloud, weights, monkeypatch, sign):
    """What AWS says, then the row of the table."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, message = REFUSALS[sign]
    text = message if sign == code else f"{sign} {message}"
    cloud.cloud.faults.add(Fault("CreateModel", code=code, message=text))
    ended = rehearse("realtime", "--name", "toys-refused", "--model", weights)
    cloud.cloud.faults.clear()
    assert ended.code == ExitCode.REFUSED
    assert_told(ended.err, sign)


@pytest.fixture(scope="module")
def answering(rehearse, bad, weights):
    """An endpoint that answers with the status that it is asked for."""
    command = ["realtime", "--name", "toys-answers", "--model", weights, "--image", bad("answers")]
    ended = rehearse(*command)
    assert ended.code == 0, ended.err
    return "toys-answers"


@pytest.mark.parametrize("sign", ANSWERS)
def test_a_refused_request_is_explained(rehearse, answering, tmp_path, sign):
    """What the container answers, then the row of the table."""
    asked = {"code": sign, "status": ANSWERS[sign], "message": "no"}
    (tmp_path / "question.json").write_text(json.dumps(asked), encoding="utf-8")
    ended = rehearse("invoke", tmp_path / "question.json", "--name", answering)
    assert ended.code == ExitCode.FAILED
    assert_told(ended.err, sign)


def test_an_update_that_an_alarm_rolled_back_is_explained(rehearse, cloud, answering):
    """1. an alarm is red 2. an update is watched by it. Result: rolled back, and why names it."""
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName="toys-red",
        MetricName="Invocation5XXErrors",
        Namespace="AWS/SageMaker",
        Dimensions=[{"Name": "EndpointName", "Value": "toys-without-requests"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="breaching",
    )
    alarms = cloud.endpoints._alarms
    wait_until(lambda: alarms.red(["toys-red"]), what="the alarm is red")
    sagemaker = boto3.client("sagemaker")
    found = sagemaker.describe_endpoint(EndpointName=answering)
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    sagemaker.update_endpoint(
        EndpointName=answering,
        EndpointConfigName=found["EndpointConfigName"],
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "toys-red"}]},
        },
    )
    describe = sagemaker.describe_endpoint
    wait_until(
        lambda: describe(EndpointName=answering)["EndpointStatus"] == "InService", what="an end"
    )
    assert_told(rehearse("why", answering, poll=False).out, "is ALARM")


def test_a_model_that_is_not_served_is_explained(rehearse, bad, weights):
    """The endpoint fails its pings; the log's reason stands beside the row of the table."""
    command = ["realtime", "--name", "toys-broken", "--model", weights, "--image", bad("bad")]
    ended = rehearse(*command)
    assert ended.code == ExitCode.FAILED
    said = rehearse("why", "toys-broken", poll=False).out
    assert_told(said, "did not pass the ping health check")
    assert "the model has no weights" in said
    assert "It can only be deleted: ./deploy.sh teardown toys-broken" in rehearse(*command).err
    assert rehearse("teardown", "toys-broken", "--yes").code == 0


@pytest.mark.parametrize(
    ("sign", "environ"),
    [
        ("must specify a region", {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}),
        ("Could not connect to the endpoint", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
        ("Unable to locate credentials", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}),
    ],
)
def test_what_keeps_from_reaching_aws_is_explained(rehearse, tmp_path, monkeypatch, sign, environ):
    """No region, no network, no credentials."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in environ.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    ended = rehearse("status", poll=False)
    assert ended.code == ExitCode.REFUSED
    assert_told(ended.err, sign)
