"""
What is looked at before the first call that changes something, and by doctor: each finding is a
state and what is to be said.
"""

import re
import urllib.parse
from typing import Any

from botocore.exceptions import ClientError

from deploy import storage
from deploy.errors import UsageError
from deploy.session import Session, client, role, say

OK, BAD, UNKNOWN = "ok", "problem", "cannot know"
Finding = tuple[str, str]
# Their disks are on the machine itself and encrypted by it; SageMaker refuses a key for them.
OWN_DISKS = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[5-9]|g6e|p[45][a-z]*|trn\d\w*)\.")


def denied(error: ClientError) -> bool:
    """
    Tell whether the caller may not look, or the service cannot be asked.
    """
    code = error.response["Error"]["Code"]
    return code.startswith("AccessDenied") or code in ("UnauthorizedOperation", "404", "501")


def _require(finding: Finding) -> None:
    if finding[0] == BAD:
        raise UsageError(finding[1])


def trust(session: Session) -> Finding:
    """
    Find out whether SageMaker may take the role on.
    """
    arn, iam = role(session), client(session, "iam")
    try:
        found = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
    except iam.exceptions.NoSuchEntityException:
        return BAD, f"there is no role {arn}; correct role in deploy.toml"
    except ClientError as error:
        if not denied(error):
            raise
        return UNKNOWN, f"you may not look at {arn}: iam:GetRole"
    if "sagemaker.amazonaws.com" in urllib.parse.unquote(str(found["AssumeRolePolicyDocument"])):
        return OK, f"{arn} trusts SageMaker"
    return BAD, (
        f"{arn} does not trust SageMaker; add to its trust policy the principal "
        '{"Service": "sagemaker.amazonaws.com"} with the action sts:AssumeRole'
    )


def check_role(session: Session) -> None:
    """
    Raise UsageError for a role that SageMaker cannot take on.
    """
    _require(trust(session))


def quota(session: Session, instance_type: str, count: int, usage: str) -> Finding:
    """
    Find out whether the account may have that many instances.

    ``usage`` is endpoint, training job or transform job.
    """
    wanted, allowed = f"{instance_type} for {usage} usage", None
    quotas = client(session, "service-quotas")
    try:
        for page in quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"):
            for each in page["Quotas"]:
                allowed = each["Value"] if each["QuotaName"] == wanted else allowed
    except (ClientError, ValueError):
        pass
    if allowed is None:
        return UNKNOWN, f"{wanted}: {count} wanted"
    if allowed >= count:
        return OK, f"{wanted}: {count} wanted, {allowed:g} allowed"
    return BAD, (
        f"{count} {instance_type} are wanted, the account's quota is {allowed:g}; choose "
        f"another type, or ask for more in Service Quotas: {wanted}"
    )


def check_quota(session: Session, instance_type: str, count: int, usage: str) -> None:
    """
    Raise UsageError when the account may not have that many instances.
    """
    _require(quota(session, instance_type, count, usage))


def check_archive(session: Session, address: str) -> None:
    """
    Raise UsageError unless there is a gzipped archive.
    """
    if not storage.head(session, address):
        raise UsageError(f"there is no model archive at {address}; expected a model.tar.gz")
    name, path = storage.split(address)
    body = client(session, "s3").get_object(Bucket=name, Key=path, Range="bytes=0-1")["Body"]
    if body.read() != b"\x1f\x8b":
        raise UsageError(
            f"{address} is not gzipped; pack the files at its top: tar -C model -czf model.tar.gz ."
        )


def volume_key(session: Session, instance_type: str) -> dict[str, Any]:
    """
    Return the part of a job's request that names the disks' key.
    """
    named = session.settings.keys.volume
    if named and OWN_DISKS.match(instance_type):
        say(f"{instance_type} encrypts its own disks; SageMaker takes no keys.volume for them")
        return {}
    return {"VolumeKmsKeyId": named} if named else {}
