"""
Application Auto Scaling of endpoints: targets, policies and scheduled actions, kept by AWS's rules.

moto does not look for the endpoint, and keeps policies that AWS deletes with their target.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, invalid, unknown
from local_cloud.hosting.endpoints import Endpoints
from local_cloud.hosting.variant import Variant
from local_cloud.journal import Call
from local_cloud.records import Record
from local_cloud.service_model import ServiceModel

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
PAGE = 50
Key = tuple[str, str]


class Scaling:
    """
    Answers application-autoscaling's calls.
    """

    def __init__(self, cloud: Cloud, endpoints: Endpoints) -> None:
        self.targets: dict[Key, Record] = {}
        self.policies: dict[tuple[Key, str], Record] = {}
        self.scheduled: dict[tuple[Key, str], Record] = {}
        self.activities: list[Record] = []
        self._cloud = cloud
        self._endpoints = endpoints
        self._model = ServiceModel("application-autoscaling")
        self._tags: dict[str, dict[str, str]] = {}
        self._answers: dict[str, Callable[[Record], Record]] = {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": self._describe_targets,
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": lambda asked: self._drop(self.policies, asked, "PolicyName"),
            "DescribeScalingPolicies": self._describe_policies,
            "PutScheduledAction": self._put_scheduled,
            "DeleteScheduledAction": lambda asked: self._drop(
                self.scheduled, asked, "ScheduledActionName"
            ),
            "DescribeScheduledActions": self._describe_scheduled,
            "DescribeScalingActivities": self._describe_activities,
            "ListTagsForResource": lambda asked: {"Tags": self._tags.get(asked["ResourceARN"], {})},
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def __call__(self, call: Call, _: Request) -> Response:
        """
        Answer a call in JSON; raises AwsError.
        """
        answer = self._answers.get(call.action)
        if answer is None:
            raise unknown(call.service, call.action)
        self._model.check(call.action, call.asked)
        if call.asked.get("ServiceNamespace", "sagemaker") != "sagemaker":
            raise invalid("the local cloud scales endpoints only: ServiceNamespace sagemaker")
        with self._cloud.records.lock:
            found = self._model.cut(call.action, answer(call.asked))
        return Response(json.dumps(found), content_type="application/x-amz-json-1.1")

    def variant(self, resource: str) -> Variant | None:
        """
        Return the variant that a resource such as endpoint/E/variant/V names.
        """
        parts = resource.split("/")
        if len(parts) != 4 or (parts[0], parts[2]) != ("endpoint", "variant"):
            return None
        endpoint = self._endpoints.find(parts[1])
        variants = endpoint.fleet.variants if endpoint and endpoint.routes else []
        return next((each for each in variants if each.name == parts[3]), None)

    def scaled(self, endpoint: str) -> set[str]:
        """
        Return the names of an endpoint's variants that have a target.
        """
        prefix = f"endpoint/{endpoint}/variant/"
        return {key[0].removeprefix(prefix) for key in self.targets if key[0].startswith(prefix)}

    def forget(self, endpoint: str) -> None:
        """
        Deregister the targets of an endpoint that is deleted, as SageMaker does.
        """
        for key in [key for key in self.targets if key[0].startswith(f"endpoint/{endpoint}/")]:
            self._remove(key)

    def _register(self, asked: Record) -> Record:
        key = _key(asked)
        known = self.targets.get(key)
        variant = self.variant(key[0])
        fits = variant and bool(variant.serverless) == (key[1] == CONCURRENCY)
        if not fits or key[1] not in (INSTANCES, CONCURRENCY):
            raise invalid(f"No scalable resource found for {_named(key)}")
        if not known and not {"MinCapacity", "MaxCapacity"} <= set(asked):
            raise invalid("MinCapacity and MaxCapacity are required to register a target")
        target = (known or {"CreationTime": self._cloud.clock.now()}) | asked
        target.setdefault("SuspendedState", {})
        for part in ("DynamicScalingInSuspended", "DynamicScalingOutSuspended"):
            target["SuspendedState"].setdefault(part, False)
        target["SuspendedState"].setdefault("ScheduledScalingSuspended", False)
        if target["MaxCapacity"] < target["MinCapacity"]:
            raise invalid("Maximum capacity cannot be less than minimum capacity")
        if target["MinCapacity"] < self._least(key[0]):
            raise invalid(
                "MinCapacity must be at least 1: only asynchronous endpoints scale to 0 instances"
            )
        tags = target.pop("Tags", {})
        target.setdefault(
            "RoleARN",
            f"arn:aws:iam::{self._cloud.account}:role/aws-service-role/sagemaker.application-"
            "autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        )
        target.setdefault("ScalableTargetARN", self._arn("scalable-target", uuid.uuid4().hex))
        self._tags.setdefault(target["ScalableTargetARN"], {}).update(tags)
        self.targets[key] = target
        return target

    def _least(self, resource: str) -> int:
        name = resource.split("/")[1]
        config = self._endpoints.answering(name).fleet.config
        return 0 if "AsyncInferenceConfig" in config else 1

    def _deregister(self, asked: Record) -> Record:
        self._target(asked)
        self._remove(_key(asked))
        return {}

    def _remove(self, key: Key) -> None:
        target = self.targets.pop(key)
        self._tags.pop(target["ScalableTargetARN"], None)
        for kept in (self.policies, self.scheduled):
            for each in [each for each in kept if each[0] == key]:
                del kept[each]

    def _target(self, asked: Record) -> Record:
        found = self.targets.get(_key(asked))
        if found is None:
            raise AwsError(
                "ObjectNotFoundException", f"No scalable target found for {_named(_key(asked))}"
            )
        return found

    def _put_policy(self, asked: Record) -> Record:
        self._target(asked)
        place = _key(asked), asked["PolicyName"]
        known = self.policies.get(place)
        kind = asked.get("PolicyType", (known or {}).get("PolicyType", "StepScaling"))
        settings = f"{kind}PolicyConfiguration"
        if settings not in asked:
            raise invalid(f"{settings} is required for a policy of type {kind}")
        name = f"{uuid.uuid4()}:resource/sagemaker/{place[0][0]}:policyName/{place[1]}"
        policy = {
            # A policy that is put anew, after its target was away, has another ARN.
            "PolicyARN": known["PolicyARN"] if known else self._arn("scalingPolicy", name, ":"),
            "CreationTime": self._cloud.clock.now(),
            "Alarms": [],
            **asked,
            "PolicyType": kind,
        }
        self.policies[place] = policy
        return policy

    def _put_scheduled(self, asked: Record) -> Record:
        self._target(asked)
        place = _key(asked), asked["ScheduledActionName"]
        name = f"{uuid.uuid4()}:resource/sagemaker/{place[0][0]}:scheduledActionName/{place[1]}"
        self.scheduled[place] = {
            "ScheduledActionARN": self._arn("scheduledAction", name, ":"),
            "CreationTime": self._cloud.clock.now(),
            **self.scheduled.get(place, {}),
            **asked,
        }
        return {}

    def _drop(self, kept: dict[tuple[Key, str], Record], asked: Record, name: str) -> Record:
        if kept.pop((_key(asked), asked[name]), None) is None:
            raise AwsError("ObjectNotFoundException", f"No {name} {asked[name]} found")
        return {}

    def _describe_targets(self, asked: Record) -> Record:
        wanted = asked.get("ResourceIds")
        found = [
            each
            for key, each in self.targets.items()
            if (not wanted or key[0] in wanted) and _is_of(key, asked)
        ]
        return _page("ScalableTargets", found, asked)

    def _describe_policies(self, asked: Record) -> Record:
        found = _chosen(self.policies, asked, "PolicyNames")
        return _page("ScalingPolicies", found, asked)

    def _describe_scheduled(self, asked: Record) -> Record:
        found = _chosen(self.scheduled, asked, "ScheduledActionNames")
        return _page("ScheduledActions", found, asked)

    def _describe_activities(self, asked: Record) -> Record:
        found = [
            each
            for each in reversed(self.activities)
            if asked.get("ResourceId", each["ResourceId"]) == each["ResourceId"]
        ]
        return _page("ScalingActivities", found, asked)

    def _tag(self, asked: Record) -> Record:
        self._tags.setdefault(asked["ResourceARN"], {}).update(asked["Tags"])
        return {}

    def _untag(self, asked: Record) -> Record:
        for key in asked["TagKeys"]:
            self._tags.get(asked["ResourceARN"], {}).pop(key, None)
        return {}

    def _arn(self, kind: str, name: str, separator: str = "/") -> str:
        service = "autoscaling" if separator == ":" else "application-autoscaling"
        return (
            f"arn:aws:{service}:{self._cloud.region}:{self._cloud.account}:{kind}{separator}{name}"
        )


def _key(asked: Record) -> Key:
    return asked["ResourceId"], asked["ScalableDimension"]


def _named(key: Key) -> str:
    return f"service namespace: sagemaker, resource ID: {key[0]}, scalable dimension: {key[1]}"


def _is_of(key: Key, asked: Record) -> bool:
    dimension = asked.get("ScalableDimension", key[1])
    return bool(asked.get("ResourceId", key[0]) == key[0] and dimension == key[1])


def _chosen(kept: dict[tuple[Key, str], Record], asked: Record, names: str) -> list[Record]:
    wanted = asked.get(names)
    return [
        each
        for (key, name), each in kept.items()
        if _is_of(key, asked) and (not wanted or name in wanted)
    ]


def _page(member: str, found: list[Record], asked: Record) -> dict[str, Any]:
    start = int(asked.get("NextToken") or 0)
    end = start + int(asked.get("MaxResults") or PAGE)
    return {member: found[start:end]} | ({"NextToken": str(end)} if end < len(found) else {})
