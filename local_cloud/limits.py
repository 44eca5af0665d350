"""
What AWS refuses of the calls that moto answers, with the source of each rule.

"Reference" is https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/.
"""

import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local_cloud.errors import AwsError
from local_cloud.journal import Call

MOST_VALUES = 1440
DAY_S = 86_400
# So far back CloudWatch rounds the start down to whole ...
ROUNDED_S = ((63 * DAY_S, 3600), (15 * DAY_S, 300), (-math.inf, 60))


def check(call: Call) -> None:
    """
    Raise AwsError for what AWS would refuse.
    """
    if rule := RULES.get(call.name):
        rule(call.asked)


def _metric_statistics(asked: dict[str, Any]) -> None:
    """
    GetMetricStatistics, reference: 1,440 values, and periods that values are kept for.
    """
    start, end = _moment(asked["StartTime"]), _moment(asked["EndTime"])
    period = int(asked["Period"])
    unit = next(unit for age, unit in ROUNDED_S if time.time() - start > age)
    if period % unit and period not in (1, 5, 10, 30):
        raise AwsError(
            "InvalidParameterValue",
            f"The parameter Period must be a multiple of {unit}, so far back as StartTime lies.",
        )
    wanted = math.ceil((end - start // unit * unit) / period)
    if wanted > MOST_VALUES:
        raise AwsError(
            "InvalidParameterCombination",
            f"You have requested up to {wanted:,} datapoints, which exceeds the limit of "
            f"{MOST_VALUES:,}. You may reduce the datapoints requested by increasing Period, or "
            "decreasing the time range.",
        )


def _moment(given: float | str) -> float:
    """
    Return a time as the JSON protocol has it, or the query protocol.
    """
    if isinstance(given, str):
        return datetime.fromisoformat(given.replace("Z", "+00:00")).timestamp()
    return given


RULES: dict[str, Callable[[dict[str, Any]], None]] = {
    "cloudwatch:GetMetricStatistics": _metric_statistics,
}
