"""
What the policies grant, with their placeholders filled in for the tests' account.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from infra.policies import filled, policies

import aws

ROLE = f"arn:aws:iam::{aws.ACCOUNT}:role/worker"
PEOPLE = ("DeployPolicy", "OperatePolicy", "PushPolicy", "KeysPolicy")


def statements(names: Iterable[str], application: str, bucket: str) -> list[dict[str, Any]]:
    """
    Return the statements of some of the template's policies.
    """
    given = {
        "AWS::Partition": "aws",
        "AWS::Region": aws.REGION,
        "AWS::AccountId": aws.ACCOUNT,
        "Application": application,
        "Bucket": bucket,
        "ExecutionRole.Arn": ROLE,
    }
    found = policies()
    made: list[dict[str, Any]] = filled([s for name in names for s in found[name]], given)
    return made


def allowed(given: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """
    Return the actions and resources of statements.
    """
    return {(action, on) for each in given for action in each["Action"] for on in each["Resource"]}


def refused(asked: Iterable[tuple[str, str]], given: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """
    Return what was asked without being allowed; * where the resource of a call is not known.
    """
    may = allowed(given)
    return {
        (action, resource)
        for action, resource in asked
        if not any(
            action == name and (on == "*" or resource == "*" or fnmatchcase(resource, on))
            for name, on in may
        )
    }
