"""
What Application Auto Scaling does by its policies: instances come and go.
"""

import math
import time
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError
from local_cloud.hosting.endpoints import Endpoints
from local_cloud.hosting.variant import Variant
from local_cloud.records import Record
from local_cloud.scaling import INSTANCES, Key, Scaling

LOOK_S = 10
SOONEST_S = 0.25
PERIOD_S = 60
COOLDOWN_S = 300


class Scaler:
    """
    Looks at the policies again and again; step policies wait for their alarm.

    AWS looks at 15 periods before it scales in and at 3 before it scales out; one is enough here.
    """

    def __init__(self, cloud: Cloud, endpoints: Endpoints, scaling: Scaling) -> None:
        self._cloud = cloud
        self._endpoints = endpoints
        self._scaling = scaling
        self._acted: dict[Key, float] = {}

    def look_forever(self) -> None:
        """
        Evaluate the policies of target tracking, wait, evaluate.
        """
        while True:
            self._cloud.clock.pause(max(SOONEST_S, self._cloud.clock.real(LOOK_S)))
            for (key, _), policy in list(self._scaling.policies.items()):
                variant = self._scaling.variant(key[0])
                if policy["PolicyType"] == "TargetTrackingScaling" and variant:
                    self._track(key, variant, policy)

    def alarmed(self, alarm: dict[str, Any]) -> None:
        """
        Carry out the step policies that an alarm in ALARM points at.
        """
        for (key, _), policy in list(self._scaling.policies.items()):
            variant = self._scaling.variant(key[0])
            if variant and policy["PolicyARN"] in alarm.get("AlarmActions", []):
                settings = policy["StepScalingPolicyConfiguration"]
                # The first step that begins at the threshold; how far it is exceeded is not known.
                step = settings["StepAdjustments"][-1]["ScalingAdjustment"]
                kind = settings.get("AdjustmentType", "ChangeInCapacity")
                wanted = {
                    "ChangeInCapacity": variant.wanted + step,
                    "ExactCapacity": step,
                    "PercentChangeInCapacity": math.ceil(variant.wanted * (1 + step / 100)),
                }[kind]
                cooldown = settings.get("Cooldown", COOLDOWN_S)
                self._come_to(key, variant, wanted, cooldown, f"alarm {alarm['AlarmName']}")

    def _track(self, key: Key, variant: Variant, policy: Record) -> None:
        settings = policy["TargetTrackingScalingPolicyConfiguration"]
        value = self._value(key, variant, settings)
        if value is None:
            return
        wanted = math.ceil(max(1, variant.wanted) * value / settings["TargetValue"])
        if wanted < variant.wanted and settings.get("DisableScaleIn"):
            return
        side = "ScaleOutCooldown" if wanted > variant.wanted else "ScaleInCooldown"
        cooldown = settings.get(side, COOLDOWN_S)
        self._come_to(key, variant, wanted, cooldown, f"policy {policy['PolicyName']}")

    def _value(self, key: Key, variant: Variant, settings: Record) -> float | None:
        period = self._cloud.clock.real(PERIOD_S)
        now = time.monotonic()
        endpoint = key[0].split("/")[1]
        if custom := settings.get("CustomizedMetricSpecification"):
            dimensions = {each["Name"]: each["Value"] for each in custom.get("Dimensions", [])}
            found = self._cloud.metrics.within(
                custom["MetricName"], dimensions, now - period, now + 1
            )
            if not found:
                return None
            return sum(found) if custom["Statistic"] == "Sum" else sum(found) / len(found)
        kind = settings["PredefinedMetricSpecification"]["PredefinedMetricType"]
        if kind == "SageMakerVariantInvocationsPerInstance":
            place = {"EndpointName": endpoint, "VariantName": variant.name}
            found = self._cloud.metrics.within(
                "InvocationsPerInstance", place, now - period, now + 1
            )
            return sum(found) if found else None
        busy = sum(each.busy for each in variant.instances)
        return busy / max(1, variant.count)

    def _come_to(
        self, key: Key, variant: Variant, wanted: int, cooldown_s: float, why: str
    ) -> None:
        target = self._scaling.targets.get(key)
        if target is None or key[1] != INSTANCES:
            return
        wanted = min(target["MaxCapacity"], max(target["MinCapacity"], wanted))
        side = "DynamicScalingOut" if wanted > variant.wanted else "DynamicScalingIn"
        rested = time.monotonic() - self._acted.get(key, -math.inf)
        if (
            wanted == variant.wanted
            or target["SuspendedState"][f"{side}Suspended"]
            or rested < self._cloud.clock.real(cooldown_s)
        ):
            return
        capacity = {"VariantName": variant.name, "DesiredInstanceCount": wanted}
        asked = {"EndpointName": key[0].split("/")[1], "DesiredWeightsAndCapacities": [capacity]}
        try:
            self._endpoints.update_weights(asked)
        except AwsError:
            return  # scaling rests while the endpoint is updated
        self._acted[key] = time.monotonic()
        self._scaling.activities.append(
            {
                "ActivityId": f"{len(self._scaling.activities)}",
                "ServiceNamespace": "sagemaker",
                "ResourceId": key[0],
                "ScalableDimension": key[1],
                "Description": f"Setting desired instance count to {wanted}.",
                "Cause": why,
                "StartTime": self._cloud.clock.now(),
                "StatusCode": "Successful",
            }
        )
