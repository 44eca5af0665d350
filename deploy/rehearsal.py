"""
--local: the same commands on the local cloud, with what the owner of an account makes once.
"""

import json
import os
import shlex
import subprocess
from dataclasses import replace

import boto3
from botocore.exceptions import ClientError

from deploy.errors import UsageError
from deploy.settings import TOP, Settings

ROLE = "arn:aws:iam::123456789012:role/rehearsal"
BUCKET = "rehearsal"
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "sagemaker.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def prepare(settings: Settings) -> Settings:
    """
    Set the variables that local_test/cloud.sh prints; return settings with a role and a bucket.

    Raises UsageError when no local cloud runs.
    """
    script = TOP / "local_test/cloud.sh"
    done = subprocess.run([script, "status"], capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise UsageError("no local cloud runs; start it: local_test/cloud.sh start")
    for line in done.stdout.splitlines():
        command, *words = shlex.split(line, comments=True) or [""]
        for word in words:
            name, _, value = word.partition("=")
            if command == "export":
                os.environ[name] = value
            elif command == "unset":
                os.environ.pop(name, None)
    settings = replace(settings, role=settings.role or ROLE, bucket=settings.bucket or BUCKET)
    furnish(settings)
    return settings


def furnish(settings: Settings) -> None:
    """
    Make the bucket and the role unless they are there.
    """
    session = boto3.Session()
    s3, iam = session.client("s3"), session.client("iam")
    try:
        s3.head_bucket(Bucket=settings.bucket)
    except ClientError:
        place = {"LocationConstraint": session.region_name}
        s3.create_bucket(Bucket=settings.bucket, CreateBucketConfiguration=place)
    name = settings.role.rpartition("/")[2]
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [TRUST]}))
