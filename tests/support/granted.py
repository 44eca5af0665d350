"""
What the policies grant, with their placeholders filled in for the tests' account.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from deploy import rehearsal
from infra.policies import filled, policies
from local_cloud.server import LocalCloud

import aws
from deployments import APPLICATION, Commands, Ended

# Everybody may, without a policy.
ALWAYS = {"sts:GetCallerIdentity"}
ROLE = f"arn:aws:iam::{aws.ACCOUNT}:role/worker"
# What SageMaker's SDKs call beyond deploy.sh.
SDKS = {"logs:DescribeLogStreams", "logs:GetLogEvents", "s3:DeleteObject"}
PEOPLE = ("DeployPolicy", "OperatePolicy", "RetrainPolicy", "PushPolicy", "KeysPolicy")


def statements(
    names: Iterable[str], application: str, bucket: str, role: str = ROLE
) -> list[dict[str, Any]]:
    """
    Return the statements of some of the template's policies.
    """
    given = {
        "AWS::Partition": "aws",
        "AWS::Region": aws.REGION,
        "AWS::AccountId": aws.ACCOUNT,
        "Application": application,
        "Bucket": bucket,
        "ExecutionRole.Arn": role,
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
        if action not in ALWAYS
        and not any(
            action == name and (on == "*" or resource == "*" or fnmatchcase(resource, on))
            for name, on in may
        )
    }


@dataclass
class Held(Commands):
    """
    Commands on the local cloud, each held to the policies by the journal of its calls.
    """

    cloud: LocalCloud | None = None

    def __call__(self, *arguments: object, poll: bool = True) -> Ended:
        """
        Run ./deploy.sh; raises AssertionError for a call that is not granted to people.
        """
        assert self.cloud
        journal = self.cloud.cloud.journal
        before = len(journal.calls())
        ended = super().__call__(*arguments, poll=poll)
        asked = {tuple(each) for call in journal.calls()[before:] for each in call.permissions}
        assert (
            refused(asked, statements(PEOPLE, APPLICATION, rehearsal.BUCKET, rehearsal.ROLE))
            == set()
        )
        return ended
