"""
An account with an image, a role and a bucket, and the commands in it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from deploy import rehearsal
from local_cloud import images
from local_cloud.server import LocalCloud, local_cloud

import aws
from deployments import APPLICATION, BUCKET, Account, Commands, push


@pytest.fixture(scope="session")
def server() -> Iterator[Account]:
    """One server for all tests, with one client for each service: making them takes longest."""
    started = Account()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def account(server: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account with an image, a role and a bucket."""
    server.begin()
    variables = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": aws.REGION,
        "AWS_DEFAULT_REGION": aws.REGION,
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "Session", lambda **_: server)
    server.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.REGION}
    )
    server.client("ecr").create_repository(repositoryName=APPLICATION)
    push(server, aws.DOCKER_V2, "v1")
    trusted = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    trusted |= {"Principal": {"Service": "sagemaker.amazonaws.com"}}
    server.client("iam").create_role(
        RoleName="worker", AssumeRolePolicyDocument=json.dumps({"Statement": [trusted]})
    )
    return server


@pytest.fixture
def run(account: Account, tmp_path: Path) -> Commands:
    """The commands, with a model and data on this machine to give them."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("1 2 3", encoding="utf-8")
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "data" / name).write_text("1,2\n", encoding="utf-8")
    lines = [
        f'application = "{APPLICATION}"',
        f'role = "arn:aws:iam::{aws.ACCOUNT}:role/worker"',
        f'bucket = "{BUCKET}"',
    ]
    return Commands(tmp_path / "deploy.toml", lines)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud, to which this process's clients lead."""
    with (
        local_cloud(tmp_path_factory.mktemp("cloud"), clock=600, startup_s=90) as started,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL", started.url)
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
            patch.setenv(f"AWS_{name}", value)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, aws.REGION)
        yield started


@pytest.fixture(scope="module")
def rehearse(cloud: LocalCloud, image: str, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """The commands on the local cloud, with the image in its registry."""
    images.push(cloud.cloud, image, f"{APPLICATION}:v1")
    lines = [
        f'application = "{APPLICATION}"',
        f'role = "{rehearsal.ROLE}"',
        f'bucket = "{rehearsal.BUCKET}"',
    ]
    return Commands(tmp_path_factory.mktemp("commands") / "deploy.toml", lines)
