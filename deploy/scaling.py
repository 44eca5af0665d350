"""
Automatic scaling of an endpoint's variants: all there is to know of it, away and back again.

Deregistering a target deletes its policies and scheduled actions, and a policy that is put again
has another ARN: alarms that set off the old one have to be pointed at the new one.
"""

from typing import Any

from deploy import alarms, owned
from deploy.operations import accepted
from deploy.session import Session, client, say, send

PLACE = ("ServiceNamespace", "ResourceId", "ScalableDimension")
ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")


def variant(kept: dict[str, Any]) -> str:
    """
    Return the name of the variant that is scaled.
    """
    name: str = kept["target"]["ResourceId"].split("/")[3]
    return name


def read(session: Session, endpoint: str) -> list[dict[str, Any]]:
    """
    Return targets with bounds, suspended state and tags, their policies, scheduled actions and the
    alarms that set off step policies: each as the request that makes it again.
    """
    return [_read(session, each) for each in owned.scaled(session, endpoint)]


def _read(session: Session, target: dict[str, Any]) -> dict[str, Any]:
    service = client(session, "application-autoscaling")
    place = {name: target[name] for name in PLACE}
    policies = _pages(service, "describe_scaling_policies", "ScalingPolicies", place)
    scheduled = _pages(service, "describe_scheduled_actions", "ScheduledActions", place)
    tags = service.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]
    made = accepted(session, "application-autoscaling", "RegisterScalableTarget", target)
    made.pop("RoleARN", None)  # the service's own
    return {
        "target": made,
        "tags": tags,
        "policies": [
            accepted(session, "application-autoscaling", "PutScalingPolicy", each)
            for each in policies
        ],
        "scheduled": [
            accepted(session, "application-autoscaling", "PutScheduledAction", e) for e in scheduled
        ],
        "alarms": [
            {"policy": each["PolicyName"], "arn": each["PolicyARN"], "request": alarm}
            for each in policies
            if each["PolicyType"] == "StepScaling"  # those of target tracking are AWS's own
            for alarm in alarms.set_off(session, each["PolicyARN"])
        ],
    }


def _pages(service: Any, method: str, member: str, place: dict[str, str]) -> list[dict[str, Any]]:
    pages = service.get_paginator(method).paginate(**place)
    return [each for page in pages for each in page[member]]


def deregister(session: Session, targets: list[dict[str, Any]]) -> None:
    """
    Take targets away, with all that hangs on them.
    """
    for each in targets:
        place = {name: each[name] for name in PLACE}
        send(session, "application-autoscaling", "deregister_scalable_target", place)


def restore(session: Session, kept: list[dict[str, Any]], variants: set[str]) -> None:
    """
    Bring back what belongs to variants that the endpoint has; what is there stays as it is.
    """
    for each in kept:
        if variant(each) not in variants:
            say(f"{variant(each)} is gone, and its scaling with it")
            continue
        place = {name: each["target"][name] for name in PLACE}
        endpoint = place["ResourceId"].split("/")[1]
        there = any(
            target["ResourceId"] == place["ResourceId"]
            for target in owned.scaled(session, endpoint)
        )
        tags = {"Tags": each["tags"]} if each["tags"] and not there else {}
        send(session, "application-autoscaling", "register_scalable_target", each["target"] | tags)
        arns = {
            policy["PolicyName"]: send(
                session, "application-autoscaling", "put_scaling_policy", policy
            ).get("PolicyARN", f"the new ARN of {policy['PolicyName']}")
            for policy in each["policies"]
        }
        for action in each["scheduled"]:
            send(session, "application-autoscaling", "put_scheduled_action", action)
        for alarm in each["alarms"]:
            alarms.ensure(session, [_pointed(alarm, arns[alarm["policy"]])])


def _pointed(alarm: dict[str, Any], arn: str) -> dict[str, Any]:
    request: dict[str, Any] = dict(alarm["request"])
    for name in ACTIONS:
        if name in request:
            request[name] = [arn if each == alarm["arn"] else each for each in request[name]]
    return request
