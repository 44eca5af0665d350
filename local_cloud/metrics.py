"""
CloudWatch metrics of endpoints: kept for alarms and scaling, and handed on to moto for everyone.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from local_cloud.backend import Backend
from local_cloud.clock import Clock

NAMESPACE = "AWS/SageMaker"
KEPT = 200_000  # values in memory; the oldest go first
BATCH = 500  # PutMetricData takes 1,000
INTERVAL_S = 0.5


@dataclass(frozen=True)
class Value:
    """
    One value of a metric; ``time`` is monotonic, in seconds.
    """

    name: str
    dimensions: frozenset[tuple[str, str]]
    value: float
    time: float


class Metrics:
    """
    The values since the start.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._lock = threading.Lock()
        self._values: deque[Value] = deque(maxlen=KEPT)
        self._waiting: list[dict[str, Any]] = []

    def add(self, dimensions: dict[str, str], unit: str = "None", **values: float) -> None:
        """
        Note values of metrics that have the same dimensions.
        """
        named = frozenset(dimensions.items())
        listed = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        now = time.monotonic()
        with self._lock:
            for name, value in values.items():
                self._values.append(Value(name, named, value, now))
                self._waiting.append(
                    {
                        "MetricName": name,
                        "Dimensions": listed,
                        "Timestamp": self._clock.now(),
                        "Value": value,
                        "Unit": "Microseconds" if name.endswith("Latency") else unit,
                    }
                )

    def within(
        self, name: str, dimensions: dict[str, str], since: float, until: float
    ) -> list[float]:
        """
        Return the values in a span of monotonic time.
        """
        named = frozenset(dimensions.items())
        found = []
        with self._lock:
            for each in reversed(self._values):
                if each.time < since:
                    break
                if each.name == name and each.dimensions == named and each.time < until:
                    found.append(each.value)
        return found

    def send_forever(self) -> None:
        """
        Hand the values on to moto.
        """
        client = self._backend.client("cloudwatch")
        while True:
            self._clock.pause(INTERVAL_S)
            with self._lock:
                waiting, self._waiting = self._waiting, []
            for start in range(0, len(waiting), BATCH):
                client.put_metric_data(
                    Namespace=NAMESPACE, MetricData=waiting[start : start + BATCH]
                )
