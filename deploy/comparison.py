"""
Variants side by side: requests, errors and latency, with intervals that say how sure they are.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

from deploy import alarms
from deploy.session import Session, client

SURE = 1.96  # standard errors on each side: 95 %
MINUTE_S = 60
FEWEST_MINUTES = 3  # for a latency's interval
COUNTS = {"requests": "Invocations", "4xx": "Invocation4XXErrors", "5xx": "Invocation5XXErrors"}

Interval = tuple[float, float]


@dataclass(frozen=True)
class Minute:
    """
    A minute's requests and their average latency in milliseconds.
    """

    requests: float
    average_ms: float


def share(events: float, of: float) -> Interval:
    """
    Return Wilson's interval of a share, which also holds for few events and for none.
    """
    if not of:
        return 0.0, 1.0
    found = events / of
    centre = found + SURE**2 / (2 * of)
    spread = SURE * sqrt(found * (1 - found) / of + SURE**2 / (4 * of**2))
    scale = 1 + SURE**2 / of
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def latency(minutes: list[Minute]) -> tuple[float, Interval | None]:
    """
    Return the average over all requests and its interval, from how much minutes differ; none for
    fewer than three of them.
    """
    total = sum(each.requests for each in minutes)
    if not total:
        return 0.0, None
    mean = sum(each.requests * each.average_ms for each in minutes) / total
    if len(minutes) < FEWEST_MINUTES:
        return mean, None
    squares = sum((each.requests * (each.average_ms - mean)) ** 2 for each in minutes)
    error = sqrt(squares * len(minutes) / (len(minutes) - 1)) / total
    return mean, (mean - SURE * error, mean + SURE * error)


def apart(one: Interval | None, other: Interval | None) -> bool:
    """
    Tell whether two intervals have nothing in common.
    """
    return bool(one and other) and (one[1] < other[0] or other[1] < one[0])  # type: ignore[index]


def variant(session: Session, endpoint: str, name: str, hours: float) -> dict[str, Any]:
    """
    Return what CloudWatch has of a variant, with intervals.
    """
    now = datetime.now(UTC)
    found: dict[str, list[dict[str, Any]]] = {}
    for metric in (*COUNTS.values(), "ModelLatency"):
        found[metric] = client(session, "cloudwatch").get_metric_statistics(
            Namespace=alarms.NAMESPACE,
            MetricName=metric,
            Dimensions=alarms.dimensions(endpoint, name),
            StartTime=now - timedelta(hours=hours),
            EndTime=now + timedelta(seconds=MINUTE_S),
            Period=MINUTE_S,
            Statistics=["Sum", "SampleCount", "Average"],
        )["Datapoints"]
    counts = {
        what: int(sum(each["Sum"] for each in found[metric])) for what, metric in COUNTS.items()
    }
    minutes = [
        Minute(each["SampleCount"], each["Average"] / alarms.MICROSECONDS)
        for each in found["ModelLatency"]
    ]
    mean, around = latency(minutes)
    return {
        **counts,
        "errors": share(counts["5xx"], counts["requests"]),
        "latency_ms": mean,
        "latency_interval_ms": around,
    }


def verdict(first: str, one: dict[str, Any], second: str, other: dict[str, Any]) -> list[str]:
    """
    Say in which respects one of two variants is better, as far as their intervals are apart.
    """
    said = []
    rates = [each["5xx"] / each["requests"] if each["requests"] else 0 for each in (one, other)]
    times = [one["latency_ms"], other["latency_ms"]]
    for what, field, values in (
        ("fewer errors", "errors", rates),
        ("faster answers", "latency_interval_ms", times),
    ):
        if apart(one[field], other[field]):
            better = first if values[0] < values[1] else second
            said.append(f"{better} has {what}")
        else:
            said.append(f"{what}: too few requests to tell {first} and {second} apart")
    return said
