"""Endpoints: names by content, what is used again, what is refused."""

import pytest
from deploy import images
from deploy.errors import ExitCode, UsageError

import aws
from deployments import APPLICATION, push


def created(account):
    """The names of the changing calls so far."""
    return [action for action, _ in account.calls]


STEPS = ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]


@pytest.mark.parametrize("kind", ["realtime", "serverless", "async"])
def test_an_endpoint_is_made_in_three_steps(run, account, tmp_path, kind):
    """Model, configuration, endpoint; the image stands by its digest; again, nothing is made."""
    ended = run(kind, "--model", tmp_path / "model", "--json")
    assert ended.code == 0, ended.err
    assert created(account) == STEPS
    model, configuration, endpoint = (request for _, request in account.calls)
    assert "@sha256:" in model["PrimaryContainer"]["Image"]
    assert configuration["ProductionVariants"][0]["ModelName"] == model["ModelName"]
    assert endpoint["EndpointConfigName"] == configuration["EndpointConfigName"]
    assert ended.json()["endpoint"] == endpoint["EndpointName"]
    for request in (model, configuration, endpoint):
        assert {"Key": "deploy:application", "Value": APPLICATION} in request["Tags"]

    assert run(kind, "--model", tmp_path / "model").code == 0
    assert created(account) == STEPS


def test_other_content_over_an_endpoint_is_refused(run, account, tmp_path):
    """Another model, image or setting is refused with what to do, before anything is made."""
    run("realtime", "--model", tmp_path / "model")
    (tmp_path / "model/weights").write_text("4 5 6", encoding="utf-8")
    ended = run("realtime", "--model", tmp_path / "model")
    assert ended.code == ExitCode.USAGE
    assert "./deploy.sh teardown toys, or make a second endpoint: --name toys-2" in ended.err
    run.lines += ["[realtime]", "instance_count = 2"]
    assert "./deploy.sh teardown toys" in run("realtime", "--model", tmp_path / "model").err
    assert created(account) == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_broken_run_is_resumed(run, account, tmp_path, step):
    """A call is refused; run again, the command makes what is missing and nothing twice."""
    account.failing[step] = ("ThrottlingException", "Rate exceeded")
    ended = run("realtime", "--model", tmp_path / "model")
    assert ended.code == 3
    assert "Run the command again" in ended.err
    account.failing.clear()
    before = created(account)
    assert before[-1] == step
    assert run("realtime", "--model", tmp_path / "model").code == 0
    assert created(account)[len(before) :] == STEPS[STEPS.index(step) :]


def test_the_answer_to_a_create_may_be_lost(run, account, tmp_path):
    """What exists by the name has the same content, so that it is used."""
    account.lost["CreateModel"] = (
        "ValidationException",
        "Cannot create already existing model",
    )
    assert run("realtime", "--model", tmp_path / "model", "--no-wait").code == 0


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["[network]", 'subnets = ["s"]', 'security_groups = ["g"]'], "a VPC"),
        (["[network]", "isolation = true"], "network isolation"),
        (["[realtime]", "capture_percent = 5"], "data capture"),
        (["[serverless]", "memory_mb = 1500"], "expected 1024, 2048"),
    ],
)
def test_serverless_refuses_what_it_cannot_have(run, account, tmp_path, lines, what):
    """By name, and before anything is made."""
    run.lines += lines
    ended = run("serverless", "--model", tmp_path / "model")
    assert ended.code == ExitCode.USAGE
    assert what in ended.err
    assert created(account) == []


def test_an_index_is_refused_before_the_first_call(run, account, tmp_path):
    """SageMaker takes images in Docker's own format only."""
    push(account, aws.OCI_INDEX, "v2")
    ended = run("realtime", "--model", tmp_path / "model", "--image", f"{APPLICATION}:v2")
    assert ended.code == ExitCode.USAGE
    assert "expected application/vnd.docker.distribution.manifest.v2+json" in ended.err
    assert created(account) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image", "none:v1"], "there is no repository 'none'"),
        (["--image", f"{APPLICATION}:v9"], f"there is no image '{APPLICATION}:v9'"),
        (["--model", "s3://toys-bucket/none.tar.gz"], "there is no model archive"),
        (["--model", "no-such-job"], "expected a folder, a model.tar.gz"),
        ([], "no training job of this application has completed"),
    ],
)
def test_what_is_not_there_is_named(run, account, tmp_path, arguments, said):
    """Image, archive and job are looked at before anything is made."""
    if arguments[:1] == ["--image"]:
        arguments = [*arguments, "--model", str(tmp_path / "model")]
    ended = run("realtime", *arguments)
    assert ended.code == ExitCode.USAGE
    assert said in ended.err
    assert created(account) == []


def test_an_archive_must_be_gzipped(run, account):
    """What is not an archive is refused at once, not by an endpoint ten minutes later."""
    account.client("s3").put_object(Bucket="toys-bucket", Key="m.tar.gz", Body=b"PK\x03\x04")
    ended = run("realtime", "--model", "s3://toys-bucket/m.tar.gz")
    assert "is not gzipped" in ended.err
    assert ended.code == ExitCode.USAGE


def test_a_role_must_trust_sagemaker(run, account, tmp_path):
    """The remedy says what to add."""
    account.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument='{"Statement":[]}')
    run.lines[1] = f'role = "arn:aws:iam::{aws.ACCOUNT}:role/other"'
    ended = run("realtime", "--model", tmp_path / "model")
    assert (ended.code, created(account)) == (ExitCode.USAGE, [])
    assert "does not trust SageMaker" in ended.err


@pytest.mark.parametrize(
    ("command", "usage"), [("realtime", "endpoint"), ("batch", "transform job")]
)
def test_the_quota_is_looked_at_first(run, account, tmp_path, command, usage):
    """A quota of none is said before anything is made; one that suffices lets it pass."""
    kind = "ml.m5.large" if command == "realtime" else "ml.m5.xlarge"
    name = f"{kind} for {usage} usage"
    arguments = [tmp_path / "data"] if command == "batch" else []
    account.quotas = {name: 0}
    ended = run(command, *arguments, "--model", tmp_path / "model")
    assert (ended.code, created(account)) == (ExitCode.USAGE, [])
    assert f"ask for more in Service Quotas: {name}" in ended.err
    account.quotas = {name: 1}
    assert run(command, *arguments, "--model", tmp_path / "model").code == 0


@pytest.mark.parametrize(
    ("architecture", "instance_type", "fits"),
    [
        ("amd64", "ml.m5.large", True),
        ("amd64", "ml.g5.xlarge", True),
        ("arm64", "ml.c7gd.large", True),
        ("arm64", "ml.m5.large", False),
        ("amd64", "ml.c7g.large", False),
        ("arm64", "", False),
        ("", "ml.m5.large", True),
    ],
)
def test_the_processor_must_be_the_images(architecture, instance_type, fits):
    """Graviton instances run arm64, all others and serverless endpoints amd64."""
    image = images.Image("host/toys@sha256:1", aws.DOCKER_V2, architecture)
    if fits:
        images.check(image, instance_type)
    else:
        with pytest.raises(UsageError, match="PLATFORM=linux/"):
            images.check(image, instance_type)


def test_the_last_job_is_the_applications_own(run, account, tmp_path):
    """A job of an application whose name contains this one's is not taken."""
    train = ["train", "--data", tmp_path / "data", "--json"]
    own = run(*train).json()["training_job"]
    _, request = account.calls[0]
    account.forget()
    for name in ("toys-cars-0123456789", "my-toys-0123456789", "toys-2026"):
        account.client("sagemaker").create_training_job(**request | {"TrainingJobName": name})
    assert "no training job of this application has completed" in run("realtime").err
    run(*train)
    ended = run("realtime")
    assert ended.code == ExitCode.USAGE
    assert f"there is no model archive at s3://toys-bucket/toys/training/{own}/" in ended.err


def test_what_lies_beside_an_archive_changes_no_name(run, account):
    """A signature with the archive's name and an ending makes no other model of it."""
    s3, request = account.client("s3"), ["realtime", "--model", "s3://toys-bucket/m.tar.gz"]
    s3.put_object(Bucket="toys-bucket", Key="m.tar.gz", Body=b"\x1f\x8b1")
    before = run(*request, "--dry-run").out
    s3.put_object(Bucket="toys-bucket", Key="m.tar.gz.sig", Body=b"signed")
    assert run(*request, "--dry-run").out == before
    s3.put_object(Bucket="toys-bucket", Key="m.tar.gz", Body=b"\x1f\x8b2")
    assert run(*request, "--dry-run").out != before
