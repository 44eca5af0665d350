"""
The alarms that roll an update back: a default set, and what is looked at beforehand.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy.errors import UsageError
from deploy.operations import accepted
from deploy.session import ENDPOINT_TAG, TAG, Session, client, say, send
from deploy.strategies import Strategy

NAMESPACE = "AWS/SageMaker"
PERIOD_S = 60
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
        place = dimensions(endpoint, variant)
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
        "Namespace": NAMESPACE,
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
    averages = statistics(session, endpoint, variant, "ModelLatency", day, "Average", DAY_S)
    if not averages:
        return SLOWEST_MS * MICROSECONDS
    return round(max(SLOWER * max(averages), LEAST_MS * MICROSECONDS))


def statistics(
    session: Session,
    endpoint: str,
    variant: str,
    metric: str,
    back: timedelta,
    statistic: str,
    period_s: int,
) -> list[float]:
    """
    Return what CloudWatch has of a variant's metric until now, one value for each period.
    """
    now = datetime.now(UTC)
    found = client(session, "cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=dimensions(endpoint, variant),
        StartTime=now - back,
        EndTime=now + timedelta(seconds=PERIOD_S),
        Period=period_s,
        Statistics=[statistic],
    )["Datapoints"]
    return [each[statistic] for each in found]


def dimensions(endpoint: str, variant: str) -> list[dict[str, str]]:
    """
    Return the dimensions of a variant's metrics.
    """
    named = {"EndpointName": endpoint, "VariantName": variant}
    return [{"Name": name, "Value": value} for name, value in named.items()]


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
    Return the alarms of these names that there are.
    """
    if not names:
        return {}
    found = client(session, "cloudwatch").describe_alarms(
        AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    listed = found.get("MetricAlarms", []) + found.get("CompositeAlarms", [])
    return {each["AlarmName"]: each for each in listed}


def set_off(session: Session, policy: str) -> list[dict[str, Any]]:
    """
    Return the alarms that set off a scaling policy, as the requests that make them again.
    """
    found = client(session, "cloudwatch").describe_alarms(ActionPrefix=policy)["MetricAlarms"]
    return [accepted(session, "cloudwatch", "PutMetricAlarm", each) for each in found]


def check(session: Session, names: list[str], made: list[str]) -> None:
    """
    Raise UsageError for alarms that do not exist, unless they are made, or that are red.
    """
    found = described(session, [*names, *made])
    if missing := [each for each in names if each not in found]:
        raise UsageError(
            f"there is no alarm {', '.join(missing)}; correct --alarm, or leave it out for the "
            "default ones"
        )
    already = [name for name, each in found.items() if each["StateValue"] == "ALARM"]
    if already:
        raise UsageError(
            f"{', '.join(already)} is in ALARM, so that the update would be rolled back at "
            "once; find the cause first, or name other alarms: --alarm"
        )


def check_role(session: Session, role: str) -> None:
    """
    Raise UsageError when the execution role may not look at alarms: SageMaker looks by it.
    """
    action = "cloudwatch:DescribeAlarms"
    try:
        answer = client(session, "iam").simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[action]
        )
    except (ClientError, BotoCoreError, ResponseParserError):
        say(f"cannot know whether {role} may {action}, without which no alarm rolls back")
        return
    if any(each["EvalDecision"] != "allowed" for each in answer["EvaluationResults"]):
        raise UsageError(f"grant {role} {action}: without it no alarm rolls an update back")


def red(session: Session, names: list[str]) -> dict[str, str]:
    """
    Return those alarms that are in ALARM, with the reason.
    """
    return {
        name: f"{name} is ALARM: {each.get('StateReason', '')}"
        for name, each in described(session, names).items()
        if each["StateValue"] == "ALARM"
    }
