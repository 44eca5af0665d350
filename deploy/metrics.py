"""
What CloudWatch has of a variant's metrics.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.session import Session, client

NAMESPACE = "AWS/SageMaker"
MOST = 1440  # values that CloudWatch returns to one call
ALIGNED_S = 300  # it rounds the start of what lies back more than 15 days down to five minutes
# It keeps values of a minute for 15 days, of five minutes for 63, of an hour for 455: each period
# here has had its MOST values long before.
PERIODS_S = (60, 300, 3600, 86_400)
KEPT_HOURS = 455 * 24


def period(span: timedelta) -> int:
    """
    Return the shortest period in seconds whose values one call returns for all of a span.
    """
    return next(each for each in PERIODS_S if span.total_seconds() <= each * MOST)


def values(
    session: Session,
    endpoint: str,
    variant: str,
    metric: str,
    span: timedelta,
    period_s: int,
    *statistics: str,
) -> list[dict[str, Any]]:
    """
    Return what there is of a metric until now: for each period its statistics.
    """
    # A start that is rounded down would ask for one value more.
    aligned = min(period_s, ALIGNED_S)
    end = datetime.fromtimestamp((datetime.now(UTC).timestamp() // aligned + 1) * aligned, UTC)
    found: list[dict[str, Any]] = client(session, "cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=dimensions(endpoint, variant),
        StartTime=end - span,
        EndTime=end,
        Period=period_s,
        Statistics=list(statistics),
    )["Datapoints"]
    return found


def dimensions(endpoint: str, variant: str) -> list[dict[str, str]]:
    """
    Return the dimensions of a variant's metrics.
    """
    named = {"EndpointName": endpoint, "VariantName": variant}
    return [{"Name": name, "Value": value} for name, value in named.items()]
