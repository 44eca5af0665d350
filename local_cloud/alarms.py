"""
The evaluation of CloudWatch's alarms on endpoints' metrics, which moto only stores.
"""

import logging
import math
import operator
import statistics
import time
from collections.abc import Callable
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.metrics import NAMESPACE

log = logging.getLogger("local_cloud")
LOOK_S = 10  # CloudWatch's shortest period
SOONEST_S = 0.25
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Average": statistics.fmean,
    "Sum": math.fsum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}


class Alarms:
    """
    Looks at all alarms again and again. What somebody sets by SetAlarmState stays until the
    evaluation comes to something new.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._evaluated: dict[str, str] = {}
        self.acting: list[Callable[[dict[str, Any]], None]] = []

    def unknown(self, names: list[str]) -> list[str]:
        """
        Return those names that no alarm has.
        """
        if not names:
            return []
        found = self._client.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return sorted(set(names) - {each["AlarmName"] for each in found})

    def red(self, names: list[str]) -> list[str]:
        """
        Return those alarms that are in the state ALARM.
        """
        if not names:
            return []
        found = self._client.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return [each["AlarmName"] for each in found if each["StateValue"] == "ALARM"]

    def look_forever(self) -> None:
        """
        Evaluate, wait, evaluate.
        """
        while True:
            self._cloud.clock.pause(max(SOONEST_S, self._cloud.clock.real(LOOK_S)))
            for alarm in self._client.describe_alarms(AlarmTypes=["MetricAlarm"])["MetricAlarms"]:
                if alarm.get("Namespace") == NAMESPACE:
                    try:
                        self._look(alarm)
                    except (KeyError, ValueError) as error:  # the others are evaluated all the same
                        log.warning("alarm %s is not evaluated: %r", alarm["AlarmName"], error)

    @property
    def _client(self) -> Any:
        return self._cloud.backend.client("cloudwatch")

    def _look(self, alarm: dict[str, Any]) -> None:
        name = alarm["AlarmName"]
        state = self._evaluate(alarm)
        # A new alarm begins as INSUFFICIENT_DATA, whatever moto says.
        before = self._evaluated.get(name, "")
        if state and state != before:
            self._evaluated[name] = state
            self._client.set_alarm_state(
                AlarmName=name,
                StateValue=state,
                StateReason=f"{alarm['MetricName']} evaluated by the local cloud",
            )
        if state == "ALARM" and alarm.get("ActionsEnabled", True):
            for act in self.acting:
                act(alarm)
            if state != before:
                for target in alarm.get("AlarmActions", []):
                    if ":sns:" in target:
                        self._cloud.backend.publish(target, f'ALARM: "{name}"')

    def _evaluate(self, alarm: dict[str, Any]) -> str:
        """
        Return the state by the rule "M out of N", or nothing when missing data change nothing.
        """
        period = self._cloud.clock.real(alarm["Period"])
        dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
        now = time.monotonic()
        breaches, missing = 0, 0
        wanted = alarm["EvaluationPeriods"]
        for back in range(wanted):
            end = now - back * period
            values = self._cloud.metrics.within(
                alarm["MetricName"], dimensions, end - period, end + (back == 0)
            )
            if values:
                compare = COMPARE[alarm["ComparisonOperator"]]
                breaches += compare(_statistic(alarm, values), alarm["Threshold"])
            else:
                missing += 1
        treatment = alarm.get("TreatMissingData", "missing")
        if treatment == "breaching":
            breaches += missing
        if breaches >= alarm.get("DatapointsToAlarm", wanted):
            return "ALARM"
        if missing == wanted and treatment in ("missing", "ignore"):
            return "INSUFFICIENT_DATA" if treatment == "missing" else ""
        return "OK"


def _statistic(alarm: dict[str, Any], values: list[float]) -> float:
    if extended := alarm.get("ExtendedStatistic"):
        share = float(extended.lstrip("p")) / 100
        return sorted(values)[min(len(values) - 1, int(share * len(values)))]
    return STATISTICS[alarm.get("Statistic", "Average")](values)
