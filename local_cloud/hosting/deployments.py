"""
UpdateEndpoint: traffic moves from the old fleet to the new one, and back when alarms say so.
"""

import time
from collections.abc import Iterator
from math import ceil
from typing import Any

from local_cloud.alarms import Alarms
from local_cloud.clock import Stopped
from local_cloud.cloud import Cloud
from local_cloud.errors import reason
from local_cloud.hosting.endpoint import Endpoint
from local_cloud.hosting.fleet import Fleet
from local_cloud.hosting.variant import Variant
from local_cloud.records import Record

LOOK_S = 0.2
LONGEST_S = 28_800  # an update that states no limit


class RolledBack(Exception):
    """
    An alarm went off, or time is up; the text is for the log.
    """


class Deployment:
    """
    One update of an endpoint to another configuration.
    """

    def __init__(
        self, cloud: Cloud, alarms: Alarms, endpoint: Endpoint, config: Record, asked: Record
    ) -> None:
        self._cloud = cloud
        self._alarms = alarms
        self._endpoint = endpoint
        self._settings: dict[str, Any] = asked.get("DeploymentConfig") or {}
        self._watched = watched(asked)
        self._old = endpoint.fleet
        self._before = [each.wanted for each in self._old.variants]
        self._new = Fleet(cloud, endpoint.name, config)
        if asked.get("RetainAllVariantProperties"):
            excluded = {
                each["VariantPropertyType"]
                for each in asked.get("ExcludeRetainedVariantProperties", [])
            }
            retain(self._old, self._new, excluded)
        self._end = time.monotonic() + cloud.clock.real(self._limit())

    def run(self) -> None:
        """
        Come to the new configuration, or back to the old one.
        """
        endpoint, records = self._endpoint, self._cloud.records
        endpoint.pending, endpoint.phase = self._new, "Creating"
        try:
            if "RollingUpdatePolicy" in self._settings:
                self._roll(self._settings["RollingUpdatePolicy"])
            else:
                self._move(self._settings.get("BlueGreenUpdatePolicy", {}))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the old fleet stays
            # AWS leaves FailureReason empty after an alarm: only the configuration's name tells.
            why = None if isinstance(error, RolledBack) else reason(error)
            self._back()
            endpoint.pending = None
            records.change(endpoint.record, EndpointStatus="InService", FailureReason=why)
            return
        endpoint.routes = [(1.0, self._new)]
        endpoint.pending = None
        records.change(
            endpoint.record,
            EndpointStatus="InService",
            EndpointConfigName=self._new.config["EndpointConfigName"],
            FailureReason=None,
        )

    def _move(self, policy: dict[str, Any]) -> None:
        """
        Blue and green: the new fleet stands beside the old one until it has all traffic.
        """
        routing = policy.get("TrafficRoutingConfiguration", {})
        self._watch()
        self._new.start()
        for share in shares(routing, sum(each.wanted for each in self._new.variants)):
            self._endpoint.phase = "ActivatingTraffic"
            self._route(share)
            self._bake(routing.get("WaitIntervalInSeconds", 0))
        self._route(1.0)
        self._cloud.clock.pause(self._cloud.clock.real(policy.get("TerminationWaitInSeconds", 0)))
        self._old.stop()

    def _roll(self, policy: dict[str, Any]) -> None:
        """
        Batch by batch, a new instance for each old one.
        """
        (old,), (new,) = self._old.variants, self._new.variants
        total = new.wanted
        step = batch(policy["MaximumBatchSize"], total)
        self._watch()
        new.wanted = min(step, total)
        self._new.start()
        while True:
            self._endpoint.phase = "ActivatingTraffic"
            done = new.count
            self._route(done / total)
            old.scale(max(0, min(old.count, total - done)))
            self._bake(policy["WaitIntervalInSeconds"])
            if done == total:
                break
            new.scale(min(total, done + step))
        self._old.stop()

    def _route(self, share: float) -> None:
        kept = [] if share >= 1 else [(1 - share, self._old)]
        routes = [*kept, (share, self._new)]
        self._endpoint.routes = routes

    def _bake(self, seconds: float) -> None:
        self._endpoint.phase = "Baking"
        end = time.monotonic() + self._cloud.clock.real(seconds)
        while True:
            self._watch()
            left = end - time.monotonic()
            if left <= 0:
                return
            self._cloud.clock.pause(min(LOOK_S, left))

    def _watch(self) -> None:
        if red := self._alarms.red(self._watched):
            raise RolledBack(f"in ALARM: {', '.join(red)}")
        if time.monotonic() > self._end:
            raise RolledBack("the update took longer than MaximumExecutionTimeoutInSeconds")

    def _back(self) -> None:
        endpoint = self._endpoint
        self._cloud.records.change(endpoint.record, EndpointStatus="RollingBack")
        for variant, wanted in zip(self._old.variants, self._before, strict=True):
            variant.scale(wanted)
        endpoint.routes = [(1.0, self._old)]
        self._new.stop()

    def _limit(self) -> float:
        for policy in ("BlueGreenUpdatePolicy", "RollingUpdatePolicy"):
            if limit := self._settings.get(policy, {}).get("MaximumExecutionTimeoutInSeconds"):
                return float(limit)
        return LONGEST_S


def watched(asked: Record) -> list[str]:
    """
    Return the names of the alarms that roll an update back.
    """
    settings = asked.get("DeploymentConfig") or {}
    alarms = settings.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    return [each["AlarmName"] for each in alarms]


def shares(routing: dict[str, Any], instances: int) -> Iterator[float]:
    """
    Return the shares of traffic that the new fleet gets one after the other.
    """
    kind = routing.get("Type", "ALL_AT_ONCE")
    if kind == "CANARY":
        yield batch(routing["CanarySize"], instances) / instances
    elif kind == "LINEAR":
        step = batch(routing["LinearStepSize"], instances)
        for done in range(step, instances, step):
            yield done / instances
    yield 1.0


def batch(size: dict[str, Any], instances: int) -> int:
    """
    Return how many instances a CapacitySize means.
    """
    if size["Type"] == "INSTANCE_COUNT":
        return int(size["Value"])
    return max(1, ceil(instances * size["Value"] / 100))


def retain(old: Fleet, new: Fleet, excluded: set[str]) -> None:
    """
    Give the new variants the counts, weights and capture of the old ones of the same name.
    """
    before: dict[str, Variant] = {each.name: each for each in old.variants}
    for variant in new.variants:
        same = before.get(variant.name)
        if same is None:
            continue
        if "DesiredInstanceCount" not in excluded and not variant.serverless:
            variant.wanted = same.wanted
        if "DesiredWeight" not in excluded:
            variant.weight = same.weight
    if "DataCaptureConfig" not in excluded and "DataCaptureConfig" in old.config:
        new.config = new.config | {"DataCaptureConfig": old.config["DataCaptureConfig"]}
