"""
Automatic scaling of an endpoint: by requests, by what waits in a queue, or of what a serverless
endpoint holds ready.
"""

from typing import Any

import click

from deploy import alarms, metrics, scaling, waiting
from deploy.errors import UsageError
from deploy.options import command
from deploy.preparation import kind, serving
from deploy.session import Session, client, finish, say, send
from deploy.transition import ask

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
PREDEFINED = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    "utilization": "SageMakerVariantProvisionedConcurrencyUtilization",
}
USUAL = {"concurrency": 4.0, "backlog": 5.0, "utilization": 0.7}
LATEST = 5  # activities that are shown


@command()
@click.argument("name", required=False)
@click.option("--variant", default="", help="Which variant, where there are several.")
@click.option("--min", "least", default=1, show_default=True, help="Fewest instances.")
@click.option("--max", "most", type=int, help="Most instances; switches scaling on.")
@click.option(
    "--metric",
    type=click.Choice(["invocations", "concurrency"]),
    default="invocations",
    show_default=True,
    help="Of a realtime endpoint: requests a minute, or at a time, for each instance.",
)
@click.option(
    "--target",
    type=float,
    help="Value to keep the metric at (default: 4 requests at a time, 5 waiting for each instance, "
    "0.7 of a serverless endpoint's provisioned concurrency; requests a minute have none).",
)
@click.option("--cooldown", default=300, show_default=True, help="Seconds between two changes.")
@click.option("--show", is_flag=True, help="Only show bounds, policies and what they did.")
@click.option("--off", is_flag=True, help="Take the scaling away; the instances stay.")
def autoscale(
    session: Session, name: str | None, variant: str, show: bool, off: bool, **how: Any
) -> None:
    """
    Scale an endpoint automatically between two bounds.

    An asynchronous one goes to zero with --min 0 and comes up again when a request waits. For a
    serverless one the bounds are those of its provisioned concurrency.

    \b
    ./deploy.sh autoscale --max 4 --target 600
    ./deploy.sh autoscale my-model-async --min 0 --max 3
    ./deploy.sh autoscale --show
    """
    name = name or session.settings.application
    if show:
        finish(session, {"endpoint": name, "scaling": shown(session, name)})
        return
    _, old = serving(session, name)
    if off:
        switch_off(session, name)
    else:
        listed = {each["VariantName"]: each for each in old["ProductionVariants"]}
        variant = variant or next(iter(listed))
        if variant not in listed:
            raise UsageError(f"--variant is '{variant}'; expected {' or '.join(listed)}")
        if how["most"] is None:
            raise UsageError("say how many there may be: --max; or only look: --show")
        _check(kind(old), listed[variant], **how)
        _switch_on(session, name, kind(old), variant, **how)
    finish(session, {"endpoint": name, "look": f"./deploy.sh autoscale {name} --show"})


def _check(
    of_kind: str, variant: dict[str, Any], least: int, most: int, target: float | None, **how: Any
) -> None:
    """
    Raise UsageError for bounds that AWS refuses, or accepts without any use.
    """
    if least == 0 and of_kind == "realtime":
        raise UsageError(
            "--min is 0; a realtime endpoint keeps at least one instance, since nothing would hold "
            "a request until another one has started. Take --min 1, or an endpoint that costs "
            "nothing when nobody asks: ./deploy.sh async with --min 0, or ./deploy.sh serverless"
        )
    if least == 0 and of_kind == "serverless":
        raise UsageError(
            "--min is 0; what a serverless endpoint holds ready is scaled from 1. To hold nothing "
            "ready, do not scale it: --off"
        )
    if not 0 <= least <= most:
        raise UsageError(f"--min is {least} and --max {most}; expected 0 ≤ min ≤ max")
    if of_kind == "serverless" and most > variant["ServerlessConfig"]["MaxConcurrency"]:
        allowed = variant["ServerlessConfig"]["MaxConcurrency"]
        raise UsageError(f"--max is {most}; serverless.max_concurrency allows {allowed}")
    if target is None and of_kind == "realtime" and how["metric"] == "invocations":
        raise UsageError(
            "--target is needed: requests a minute for each instance, such as half of what one "
            "answers under load; or --metric concurrency"
        )
    if target is not None and target <= 0:
        raise UsageError(f"--target is {target:g}; expected more than 0")


def _switch_on(
    session: Session,
    name: str,
    of_kind: str,
    variant: str,
    least: int,
    most: int,
    metric: str,
    target: float | None,
    cooldown: int,
) -> None:
    metric = {"async": "backlog", "serverless": "utilization"}.get(of_kind, metric)
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{variant}",
        "ScalableDimension": CONCURRENCY if of_kind == "serverless" else INSTANCES,
    }
    if of_kind == "serverless":
        hold_ready(session, name, variant, least)
    bounds = {"MinCapacity": least, "MaxCapacity": most}
    send(session, "application-autoscaling", "register_scalable_target", place | bounds)
    tracking: dict[str, Any] = {
        "TargetValue": target or USUAL[metric],
        "ScaleInCooldown": cooldown,
        "ScaleOutCooldown": cooldown,
    }
    if metric == "backlog":
        tracking["CustomizedMetricSpecification"] = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": metrics.NAMESPACE,
            "Dimensions": [{"Name": "EndpointName", "Value": name}],
            "Statistic": "Average",
        }
    else:
        predefined = {"PredefinedMetricType": PREDEFINED[metric]}
        tracking["PredefinedMetricSpecification"] = predefined
    policy = place | {
        "PolicyName": f"{name}-{variant}-target",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }
    send(session, "application-autoscaling", "put_scaling_policy", policy)
    if least == 0:
        _come_up(session, name, variant, place, cooldown)


def hold_ready(session: Session, name: str, variant: str, least: int) -> None:
    """
    Let a serverless variant hold some ready: only then there is something to scale.
    """
    found, _ = serving(session, name)
    for each in found["ProductionVariants"]:
        ready = each.get("CurrentServerlessConfig", {}).get("ProvisionedConcurrency")
        if each["VariantName"] == variant and not ready:
            wanted: dict[str, Any] = {"VariantName": variant}
            wanted |= {"ServerlessUpdateConfig": {"ProvisionedConcurrency": least}}
            request = {"EndpointName": name, "DesiredWeightsAndCapacities": [wanted]}
            ask(session, "update_endpoint_weights_and_capacities", request)
            if not session.dry_run:
                waiting.rest(session, name)


def _come_up(
    session: Session, name: str, variant: str, place: dict[str, str], cooldown: int
) -> None:
    """
    Bring the first instance when something waits: target tracking alone would not before the queue
    exceeds its target.
    """
    step = {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}
    policy = place | {
        "PolicyName": f"{name}-{variant}-from-zero",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [step],
            "Cooldown": cooldown,
        },
    }
    answer = send(session, "application-autoscaling", "put_scaling_policy", policy)
    where = [{"Name": "EndpointName", "Value": name}]
    alarm = alarms.request(
        session, name, f"{name}-from-zero", "HasBacklogWithoutCapacity", where, "Average", 0
    )
    arn = answer.get("PolicyARN", f"the ARN of {policy['PolicyName']}")
    alarm |= {"AlarmActions": [arn], "AlarmDescription": f"Starts an instance of {name}."}
    alarms.ensure(session, [alarm])


def switch_off(session: Session, name: str) -> None:
    """
    Take the scaling of all variants away, with the alarm that starts the first instance.
    """
    kept = scaling.read(session, name)
    if not kept:
        say(f"{name} is not scaled")
    scaling.deregister(session, [each["target"] for each in kept])
    if names := [alarm["request"]["AlarmName"] for each in kept for alarm in each["alarms"]]:
        send(session, "cloudwatch", "delete_alarms", {"AlarmNames": names})


def shown(session: Session, name: str) -> list[dict[str, Any]]:
    """
    Return what is to be said of an endpoint's scaling.
    """
    service = client(session, "application-autoscaling")
    report = []
    for each in scaling.read(session, name):
        target = each["target"]
        activities = service.describe_scaling_activities(
            ServiceNamespace="sagemaker", ResourceId=target["ResourceId"], MaxResults=LATEST
        )["ScalingActivities"]
        paused = [part for part, is_so in target.get("SuspendedState", {}).items() if is_so]
        report.append(
            {
                "variant": scaling.variant(each),
                "of": target["ScalableDimension"].rpartition(":")[2],
                "least": target["MinCapacity"],
                "most": target["MaxCapacity"],
                "paused": paused,
                "policies": [_said(policy) for policy in each["policies"]],
                "scheduled": [
                    f"{e['ScheduledActionName']}: {e['Schedule']}" for e in each["scheduled"]
                ],
                "latest": [
                    f"{e['StartTime']:%Y-%m-%d %H:%M} {e['Description']}" for e in activities
                ],
            }
        )
    return report


def _said(policy: dict[str, Any]) -> str:
    name = policy["PolicyName"]
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if not tracking:
        return f"{name}: steps, set off by an alarm"
    custom = tracking.get("CustomizedMetricSpecification", {}).get("MetricName")
    predefined = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    return f"{name}: {custom or predefined} at {tracking['TargetValue']:g}"
