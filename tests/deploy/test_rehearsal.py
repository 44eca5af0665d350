"""Every command on the local cloud, with containers of the real image."""

import json
from pathlib import Path

import boto3
import pytest
from deploy import rehearsal
from deploy.errors import ExitCode
from local_cloud.server import LocalCloud

from deployments import Commands
from granted import Held
from project import SAMPLE, own_algorithm, quick

pytestmark = pytest.mark.docker

CONTENT_TYPE, EXAMPLE = own_algorithm().input.example()


@pytest.fixture(scope="module")
def run(rehearse: Commands, cloud: LocalCloud) -> Commands:
    """The commands on the local cloud, each held to the policies by the journal."""
    return Held(rehearse.settings, rehearse.lines, cloud)


@pytest.fixture(scope="module")
def job(run: Commands) -> str:
    """A job that ./deploy.sh train has trained."""
    given = [f"--set={name}={value}" for name, value in quick().items()]
    ended = run("train", "--data", SAMPLE, *given, "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["model"].endswith("/output/model.tar.gz")
    name: str = ended.json()["training_job"]
    return name


@pytest.fixture
def question(tmp_path: Path) -> list[object]:
    """The arguments of invoke that ask the algorithm's example."""
    (tmp_path / "question").write_bytes(EXAMPLE)
    return [tmp_path / "question", "--content-type", CONTENT_TYPE]


def test_a_trained_model_answers_behind_an_endpoint(run, job, question):
    """
    1. a job is trained 2. its model is deployed, twice 3. it is asked, whole and as a stream.
    Result: the same answer; status, logs and why know the endpoint.
    """
    ended = run("realtime", "--json")
    assert ended.code == 0, ended.err
    assert run("realtime").err.count("reuse") == 2
    answer = run("invoke", *question)
    assert answer.code == 0, answer.err
    assert answer.out
    assert run("invoke", "--stream", *question).out == answer.out

    status = run("status", "--json", poll=False).json()
    (endpoint,) = (each for each in status["endpoints"] if each["endpoint"] == "toys")
    (variant,) = endpoint["variants"]
    assert "@sha256:" in variant["images"][0]
    assert f"/{job}/output/model.tar.gz" in variant["archive"]
    assert endpoint["differs_from_file"] == {}
    assert "request" in run("logs").out
    assert "nothing has failed" in run("why", poll=False).out


def test_other_endpoints_answer_the_same(run, job, question):
    """Without instances, and with a queue."""
    answers = []
    for kind in ("serverless", "async"):
        ended = run(kind)
        assert ended.code == 0, ended.err
        answer = run("invoke", "--name", f"toys-{kind}", *question)
        assert answer.code == 0, answer.err
        answers.append(answer.out)
    assert answers[0] == answers[1]

    ended = run("invoke", "--name", "toys-async", question[0], "--content-type", "none/such")
    assert ended.code == ExitCode.FAILED
    assert "unsupported_media_type" in ended.err


def test_a_batch_does_what_is_missing(run, job, tmp_path):
    """
    1. three files on two instances 2. one answer is deleted, one file is newer 3. again.
    Result: only those two are asked again; all answers are put into one file, in order.
    """
    s3 = boto3.client("s3")
    for name in ("a", "b/b", "c"):
        s3.put_object(Bucket=rehearsal.BUCKET, Key=f"questions/{name}", Body=EXAMPLE)
    run.lines += ["[batch]", "instance_count = 2"]
    command = ["batch", f"s3://{rehearsal.BUCKET}/questions/", "--content-type", CONTENT_TYPE]
    command += ["--whole-files", "--into", str(tmp_path / "answers"), "--json"]
    try:
        first = run(*command)
        assert first.code == 0, first.err
        assert "3 of 3 files" in first.err
        joined = (tmp_path / "answers").read_bytes()

        assert "all 3 files have their answers" in run(*command).err
        folder = first.json()["answers"].removeprefix(f"s3://{rehearsal.BUCKET}/")
        s3.delete_object(Bucket=rehearsal.BUCKET, Key=f"{folder}b/b.out")
        s3.put_object(Bucket=rehearsal.BUCKET, Key="questions/c", Body=EXAMPLE)
        again = run(*command)
    finally:
        del run.lines[-2:]
    assert again.code == 0, again.err
    assert "2 of 3 files lack their answers" in again.err
    assert again.json()["transform_job"] == f"{first.json()['transform_job']}-2"
    assert (tmp_path / "answers").read_bytes() == joined


def test_why_explains_a_failed_batch(run, job):
    """A content type that the model does not read."""
    s3 = boto3.client("s3")
    s3.put_object(Bucket=rehearsal.BUCKET, Key="bad/a", Body=EXAMPLE)
    place = f"s3://{rehearsal.BUCKET}/bad/"
    ended = run("batch", place, "--content-type", "none/such", "--whole-files")
    assert ended.code == ExitCode.FAILED
    name = ended.err.split("more: ./deploy.sh why ")[1].split()[0]
    assert "The message lists what is read" in run("why", name, poll=False).out


def test_teardown_takes_everything_with_the_tag(run, job, cloud):
    """
    1. an endpoint with scaling and an alarm 2. another application's model 3. teardown, refused,
    planned, for one endpoint, for all. Result: nothing with the tag is left, all else is.
    """
    run("realtime")
    run("serverless")
    sagemaker, scaling = boto3.client("sagemaker"), boto3.client("application-autoscaling")
    model = sagemaker.list_models()["Models"][0]["ModelName"]
    container = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    sagemaker.create_model(
        ModelName="strange", ExecutionRoleArn=rehearsal.ROLE, PrimaryContainer=container
    )
    tags = {"deploy:application": "toys", "deploy:endpoint": "toys"}
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName="toys-errors",
        MetricName="Invocation5XXErrors",
        Namespace="AWS/SageMaker",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/toys/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    before = sagemaker.list_endpoints()["Endpoints"]
    planned = [each["command"].split()[2] for each in run("teardown", "--dry-run").json()]
    assert planned[0] == "deregister-scalable-target"
    order = ["delete-endpoint", "delete-endpoint-config", "delete-model", "delete-alarms"]
    assert list(dict.fromkeys(planned[1:])) == order
    assert sagemaker.list_endpoints()["Endpoints"] == before

    ended = run("teardown", "toys", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert "alarm toys-errors" in ended.json()["deleted"]
    assert f"model {model}" not in ended.json()["deleted"]
    assert not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    kept = run("teardown", "--yes", "--json").json()["kept"]
    assert f"files in s3://{rehearsal.BUCKET}/toys" in kept
    assert "log group /aws/sagemaker/Endpoints/toys-serverless" in kept
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert [each["ModelName"] for each in sagemaker.list_models()["Models"]] == ["strange"]
    assert json.dumps(run("status", "--json", poll=False).json()["endpoints"]) == "[]"
