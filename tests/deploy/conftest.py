"""
An account with an image, a role and a bucket, and the commands in it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

import aws
from deployments import APPLICATION, BUCKET, Account, Commands, push


@pytest.fixture(scope="session")
def loader() -> botocore.loaders.Loader:
    """The service models, which take longer to read than most commands to run."""
    return botocore.loaders.create_loader()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: Any) -> Iterator[Account]:
    """An account with an image, a role and a bucket."""
    monkeypatch.setattr(botocore.loaders, "create_loader", lambda *_: loader)
    started = Account(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", aws.REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", aws.REGION)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    try:
        started.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.REGION}
        )
        started.client("ecr").create_repository(repositoryName=APPLICATION)
        push(started, aws.DOCKER_V2, "v1")
        trusted = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        trusted |= {"Principal": {"Service": "sagemaker.amazonaws.com"}}
        started.client("iam").create_role(
            RoleName="worker", AssumeRolePolicyDocument=json.dumps({"Statement": [trusted]})
        )
        yield started
    finally:
        started.stop()


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
