"""
A local cloud whose hours are seconds, the commands in it, and endpoints to change.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy import rehearsal
from local_cloud import images
from local_cloud.server import REGION, local_cloud

from callers import Callers
from clouds import OWN_KEY, Rehearsal
from deployments import Commands


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, stand_in: str) -> Iterator[Rehearsal]:
    """A cloud for all tests, each with its own endpoints; its registry has the stand-in."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), clock=600, startup_s=6) as started:
        images.push(started.cloud, stand_in, "toys:v1")
        yield Rehearsal(started)


@pytest.fixture
def run(cloud: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands, whose account is the local cloud."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, OWN_KEY)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    lines = ['application = "toys"', f'role = "{rehearsal.ROLE}"']
    lines += [f'bucket = "{rehearsal.BUCKET}"']
    return Commands(tmp_path / "deploy.toml", lines)


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the folder of a model that answers by its name."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(name, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def asking(cloud: Rehearsal) -> Callable[[str], Callers]:
    """Asks an endpoint for as long as the context lasts."""
    return lambda endpoint: Callers(cloud, endpoint)


class Scaled:
    """
    The automatic scaling of an endpoint's variant main: a step policy that an alarm sets off,
    target tracking, a scheduled action and a tag.
    """

    def __init__(self, cloud: Rehearsal, endpoint: str, most: int = 2) -> None:
        self._cloud = cloud
        self._endpoint = endpoint
        self._service = cloud.client("application-autoscaling")
        self._place = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/main",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }
        put = self._service.put_scaling_policy
        self._service.register_scalable_target(
            **self._place,
            MinCapacity=1,
            MaxCapacity=most,
            SuspendedState={"ScheduledScalingSuspended": True},
            Tags={"team": "toys"},
        )
        step = {"StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]}
        step |= {"AdjustmentType": "ChangeInCapacity", "Cooldown": 300}
        arn = put(
            **self._place,
            PolicyName="up",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration=step,
        )["PolicyARN"]
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        tracking = {"TargetValue": 1e6, "PredefinedMetricSpecification": metric}
        tracking |= {"DisableScaleIn": True}
        put(
            **self._place,
            PolicyName="follow",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=tracking,
        )
        self._service.put_scheduled_action(
            **self._place,
            ScheduledActionName="night",
            Schedule="cron(0 22 * * ? *)",
            ScalableTargetAction={"MinCapacity": 1},
        )
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{endpoint}-busy",
            Namespace="Toys",
            MetricName="Busy",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[arn],
        )

    def state(self) -> dict[str, Any]:
        """What an update must leave as it was; the alarm sets off the policies in ``alarmed``."""
        (target, *_) = self._service.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[self._place["ResourceId"]]
        )["ScalableTargets"] or [None]
        policies = self._service.describe_scaling_policies(**self._place)["ScalingPolicies"]
        scheduled = self._service.describe_scheduled_actions(**self._place)["ScheduledActions"]
        (alarm,) = self._cloud.client("cloudwatch").describe_alarms(
            AlarmNames=[f"{self._endpoint}-busy"]
        )["MetricAlarms"]
        variants = self._cloud.settled(self._endpoint)["ProductionVariants"]
        tags = target and self._service.list_tags_for_resource(
            ResourceARN=target["ScalableTargetARN"]
        )
        return {
            "bounds": target and [target["MinCapacity"], target["MaxCapacity"]],
            "suspended": target and target["SuspendedState"],
            "tags": tags and tags["Tags"],
            "policies": {each["PolicyName"]: each["PolicyType"] for each in policies},
            "scheduled": [each["Schedule"] for each in scheduled],
            "alarmed": [
                e["PolicyName"] for e in policies if e["PolicyARN"] in alarm["AlarmActions"]
            ],
            "counts": [each["DesiredInstanceCount"] for each in variants],
        }


@pytest.fixture
def scaled(cloud: Rehearsal) -> Callable[..., Scaled]:
    """Scales an endpoint."""
    return lambda endpoint, most=2: Scaled(cloud, endpoint, most)
