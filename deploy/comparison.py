"""
Variants side by side: requests, errors and latency, with intervals that say how sure they are.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from typing import Any

from deploy import alarms, metrics
from deploy.session import Session

SURE = 1.96  # standard errors on each side: 95 %
FEWEST_SPANS = 3  # for a latency's interval
COUNTS = {"requests": "Invocations", "4xx": "Invocation4XXErrors", "5xx": "Invocation5XXErrors"}

Interval = tuple[float, float]


@dataclass(frozen=True)
class Span:
    """
    A minute's requests, or an hour's, and their average latency in milliseconds.
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


def latency(spans: list[Span]) -> tuple[float, Interval | None]:
    """
    Return the average over all requests and its interval, from how much spans differ; none for
    fewer than three of them.
    """
    total = sum(each.requests for each in spans)
    if not total:
        return 0.0, None
    mean = sum(each.requests * each.average_ms for each in spans) / total
    if len(spans) < FEWEST_SPANS:
        return mean, None
    squares = sum((each.requests * (each.average_ms - mean)) ** 2 for each in spans)
    error = sqrt(squares * len(spans) / (len(spans) - 1)) / total
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
    back = timedelta(hours=hours)
    period = metrics.period(back)
    found = {
        metric: metrics.values(
            session, endpoint, name, metric, back, period, "Sum", "SampleCount", "Average"
        )
        for metric in (*COUNTS.values(), "ModelLatency")
    }
    counts = {
        what: int(sum(each["Sum"] for each in found[metric])) for what, metric in COUNTS.items()
    }
    spans = [
        Span(each["SampleCount"], each["Average"] / alarms.MICROSECONDS)
        for each in found["ModelLatency"]
    ]
    mean, around = latency(spans)
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
