"""
The alarms that roll an update back: a default set, and what is looked at beforehand.
"""

from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy import metrics
from deploy.errors import UsageError
from deploy.operations import accepted
from deploy.session import ENDPOINT_TAG, TAG, Session, client, say, send
from deploy.strategies import Strategy

PERIOD_S = 60
MOST = 10  # that may watch an update
DAY_S = 86_400
ERRORS = 0.01  # the share of requests answered 5xx
SLOWER = 3  # times the last day's average
LEAST_MS = 100  # a quick model may be that slow when it has just started
SLOWEST_MS = 10_000  # the limit where nothing is known of the endpoint
MICROSECONDS = 1000  # in a millisecond: ModelLatency is in microseconds


def default_set(
    session: Session, endpoint: str, variants: list[str], strategy: Strategy, queued: bool
) -> list[dict[str, Any]]:
    """
    Return the requests for the alarms: of each variant errors and latency, of an endpoint with a
    queue, which has no such metrics, its failures.
    """
    if queued:
        place = [{"Name": "EndpointName", "Value": endpoint}]
        failures = ("InvocationFailures", place, "Sum", 0)
        return [request(session, endpoint, f"{endpoint}-failures", *failures)]
    made = []
    for variant in variants:
        limit = strategy.latency_ms * MICROSECONDS or _usual(session, endpoint, variant)
        place = metrics.dimensions(endpoint, variant)
        errors = ("Invocation5XXErrors", place, "Average", ERRORS)
        made.append(request(session, endpoint, f"{endpoint}-{variant}-errors", *errors))
        latency = ("ModelLatency", place, "Average", limit)
        made.append(request(session, endpoint, f"{endpoint}-{variant}-latency", *latency))
    return made


def request(
    session: Session,
    endpoint: str,
    name: str,
    metric: str,
    place: list[dict[str, str]],
    statistic: str,
    threshold: float,
) -> dict[str, Any]:
    """
    Return the request for an alarm that goes off above a threshold, and not for want of values.
    """
    labels = {**session.settings.tags, TAG: session.settings.application, ENDPOINT_TAG: endpoint}
    return {
        "AlarmName": name,
        "AlarmDescription": f"Rolls back updates of the endpoint {endpoint}.",
        "Namespace": metrics.NAMESPACE,
        "MetricName": metric,
        "Dimensions": place,
        "Statistic": statistic,
        "Period": PERIOD_S,
        "EvaluationPeriods": 1,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",  # without requests there are no values
        "Tags": [{"Key": key, "Value": labels[key]} for key in sorted(labels)],
    }


def _usual(session: Session, endpoint: str, variant: str) -> float:
    """
    Return a limit for the average latency in microseconds, from that of the last day.
    """
    day = timedelta(seconds=DAY_S)
    found = metrics.values(session, endpoint, variant, "ModelLatency", day, DAY_S, "Average")
    if not found:
        return SLOWEST_MS * MICROSECONDS
    usual = max(each["Average"] for each in found)
    return round(max(SLOWER * usual, LEAST_MS * MICROSECONDS))


def ensure(session: Session, requests: list[dict[str, Any]]) -> None:
    """
    Put alarms, in the place of those with the same names.
    """
    for each in requests:
        if not session.dry_run:
            say(f"alarm {each['AlarmName']}")
        send(session, "cloudwatch", "put_metric_alarm", each)


def described(session: Session, names: list[str]) -> dict[str, dict[str, Any]]:
    """
    Return the metric alarms of these names that there are. Composite alarms show themselves only to
    those who may look at all alarms, which the execution role of infra/policies.yaml may not.
    """
    if not names:
        return {}
    found = client(session, "cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    return {each["AlarmName"]: each for each in found}


def set_off(session: Session, policy: str) -> list[dict[str, Any]]:
    """
    Return the alarms that set off a scaling policy, as the requests that make them again.
    """
    pages = client(session, "cloudwatch").get_paginator("describe_alarms")
    return [
        accepted(session, "cloudwatch", "PutMetricAlarm", each)
        for page in pages.paginate(ActionPrefix=policy)
        for each in page["MetricAlarms"]
    ]


def check(session: Session, names: list[str], made: list[str]) -> None:
    """
    Raise UsageError for alarms that do not exist, unless they are made, or that are red.
    """
    if len(names) + len(made) > MOST:
        raise UsageError(
            f"{len(names) + len(made)} alarms would watch, and AWS takes {MOST}; name those that "
            "matter most: --alarm"
        )
    found = described(session, [*names, *made])
    if missing := [each for each in names if each not in found]:
        raise UsageError(
            f"there is no metric alarm {', '.join(missing)}; correct --alarm, or leave it "
            "out for the default ones"
        )
    already = [name for name, each in found.items() if each["StateValue"] == "ALARM"]
    if already:
        raise UsageError(
            f"{', '.join(already)} is in ALARM, so that the update would be rolled back at "
            "once; find the cause first, or name other alarms: --alarm"
        )


def check_role(session: Session, role: str, names: list[str]) -> None:
    """
    Raise UsageError when the execution role may not look at alarms: SageMaker looks by it.
    """
    action, place = "cloudwatch:DescribeAlarms", client(session, "cloudwatch").meta
    beginning = f"arn:{place.partition}:cloudwatch:{place.region_name}:{role.split(':')[4]}:alarm:"
    try:
        # Asked about no alarms, IAM answers for all that there are.
        answer = client(session, "iam").simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=[action],
            ResourceArns=[beginning + each for each in names],
        )
    except (ClientError, BotoCoreError, ResponseParserError):
        say(f"cannot know whether {role} may {action}, without which no alarm rolls back")
        return
    denied = [
        each["EvalResourceName"]
        for each in answer["EvaluationResults"]
        if each["EvalDecision"] != "allowed"
    ]
    if denied:
        raise UsageError(
            f"grant {role} {action} on {', '.join(denied)}: without it no alarm rolls an update "
            "back"
        )


def red(session: Session, names: list[str]) -> dict[str, str]:
    """
    Return those alarms that are in ALARM, with the reason.
    """
    return {
        name: f"{name} is ALARM: {each.get('StateReason', '')}"
        for name, each in described(session, names).items()
        if each["StateValue"] == "ALARM"
    }
