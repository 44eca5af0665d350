"""
What is looked at before the first call that changes something.
"""

import re
import urllib.parse
from typing import Any

from botocore.exceptions import ClientError

from deploy import storage
from deploy.errors import UsageError
from deploy.session import Session, client, role, say

UNKNOWN = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "404", "501")
# Their disks are on the machine itself and encrypted by it; SageMaker refuses a key for them.
OWN_DISKS = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[5-9]|g6e|p[45][a-z]*|trn\d\w*)\.")


def trusts_sagemaker(session: Session, arn: str) -> bool | None:
    """
    Tell whether SageMaker may take a role on, None where that cannot be known.

    Raises UsageError when there is no such role.
    """
    iam = client(session, "iam")
    try:
        found = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
    except iam.exceptions.NoSuchEntityException:
        raise UsageError(f"there is no role {arn}; correct role in deploy.toml") from None
    except ClientError as error:
        if error.response["Error"]["Code"] in UNKNOWN:
            return None
        raise
    policy = found["AssumeRolePolicyDocument"]
    text = policy if isinstance(policy, str) else str(policy)
    return "sagemaker.amazonaws.com" in urllib.parse.unquote(text)


def check_role(session: Session) -> None:
    """
    Raise UsageError for a role that SageMaker cannot take on.
    """
    if trusts_sagemaker(session, role(session)) is False:
        raise UsageError(
            f"{role(session)} does not trust SageMaker; add to its trust policy the principal "
            '{"Service": "sagemaker.amazonaws.com"} with the action sts:AssumeRole'
        )


def quota(session: Session, instance_type: str, usage: str) -> float | None:
    """
    Return how many instances the account may have, None where that cannot be known.

    ``usage`` is endpoint, training job or transform job.
    """
    wanted = f"{instance_type} for {usage} usage"
    quotas = client(session, "service-quotas")
    try:
        for page in quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"):
            for each in page["Quotas"]:
                if each["QuotaName"] == wanted:
                    return float(each["Value"])
    except (ClientError, ValueError):
        return None
    return None


def check_quota(session: Session, instance_type: str, count: int, usage: str) -> None:
    """
    Raise UsageError when the account may not have that many instances.
    """
    allowed = quota(session, instance_type, usage)
    if allowed is not None and allowed < count:
        raise UsageError(
            f"{count} {instance_type} are wanted, the account's quota is {allowed:g}; choose "
            f"another type, or ask for more in Service Quotas: {instance_type} for {usage} usage"
        )


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
