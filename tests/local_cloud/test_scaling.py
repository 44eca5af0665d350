"""
Automatic scaling: AWS's rules for targets and policies, and what the policies do.
"""

import pytest
from botocore.exceptions import ClientError

from clouds import BUCKET, instances

pytestmark = pytest.mark.docker

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/scaled/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 0.5,  # a minute is a tenth of a second here
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
        "ScaleOutCooldown": 1,
        "ScaleInCooldown": 100_000,
    },
}


@pytest.fixture(scope="module")
def scaled(cloud, stand_in):
    """A scaled endpoint on one instance."""
    cloud.model("scaled", stand_in)
    cloud.config("scaled", {"ModelName": "scaled"})
    cloud.endpoint("scaled", "scaled")
    return cloud.client("application-autoscaling")


def code_of(call, **arguments):
    """
    Return the code of a refusal.
    """
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_targets_and_policies_follow_awss_rules(cloud, scaled):
    """
    A target needs its variant and at least one instance, a policy its target; deregistering takes
    the policies along, and what is put again has another ARN; a scaled variant keeps its type.
    """
    elsewhere = PLACE | {"ResourceId": "endpoint/nowhere/variant/AllTraffic"}
    register = scaled.register_scalable_target
    assert code_of(register, **elsewhere, MinCapacity=1, MaxCapacity=2) == "ValidationException"
    assert code_of(register, **PLACE, MinCapacity=0, MaxCapacity=2) == "ValidationException"
    assert code_of(register, **PLACE, MinCapacity=3, MaxCapacity=2) == "ValidationException"
    put = scaled.put_scaling_policy
    assert code_of(put, **PLACE, PolicyName="p", **TRACKING) == "ObjectNotFoundException"
    register(**PLACE, MinCapacity=1, MaxCapacity=2)
    first = put(**PLACE, PolicyName="p", **TRACKING)["PolicyARN"]
    assert put(**PLACE, PolicyName="p", **TRACKING)["PolicyARN"] == first
    scaled.put_scheduled_action(
        **PLACE,
        ScheduledActionName="night",
        Schedule="cron(0 22 * * ? *)",
        ScalableTargetAction={"MinCapacity": 1},
    )
    cloud.config("other-type", instances(ModelName="scaled", InstanceType="ml.m5.xlarge"))
    with pytest.raises(ClientError, match="must be deregistered as scalable targets"):
        cloud.client().update_endpoint(EndpointName="scaled", EndpointConfigName="other-type")
    scaled.deregister_scalable_target(**PLACE)
    left = {"ServiceNamespace": "sagemaker"}
    assert scaled.describe_scalable_targets(**left)["ScalableTargets"] == []
    assert scaled.describe_scaling_policies(**left)["ScalingPolicies"] == []
    assert scaled.describe_scheduled_actions(**left)["ScheduledActions"] == []
    assert code_of(scaled.deregister_scalable_target, **PLACE) == "ObjectNotFoundException"
    register(**PLACE, MinCapacity=1, MaxCapacity=2)
    assert put(**PLACE, PolicyName="p", **TRACKING)["PolicyARN"] != first


def test_target_tracking_adds_instances(cloud, scaled):
    """Suspended, nothing happens; then more requests than the target bring a second instance."""
    suspended = {"DynamicScalingOutSuspended": True}
    scaled.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=2, SuspendedState=suspended)
    scaled.put_scaling_policy(**PLACE, PolicyName="p", **TRACKING)

    def busy():
        for _ in range(5):
            cloud.ask("scaled")
        return cloud.settled("scaled")["ProductionVariants"][0]["CurrentInstanceCount"]

    assert {busy() for _ in range(10)} == {1}
    scaled.register_scalable_target(**PLACE, SuspendedState={"DynamicScalingOutSuspended": False})
    cloud.until(busy, lambda count: count == 2)
    (activity, *_) = scaled.describe_scaling_activities(ServiceNamespace="sagemaker")[
        "ScalingActivities"
    ]
    assert activity["Description"] == "Setting desired instance count to 2."
    cloud.delete("scaled")
    left = scaled.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert left == []


def test_an_alarm_brings_an_asynchronous_endpoint_up_from_zero(cloud, stand_in):
    """A backlog without capacity sets off the alarm whose action is a step policy."""
    cloud.model("sleeping", stand_in)
    output = {"S3OutputPath": f"s3://{BUCKET}/awake"}
    cloud.config(
        "sleeping", {"ModelName": "sleeping"}, AsyncInferenceConfig={"OutputConfig": output}
    )
    cloud.endpoint("sleeping", "sleeping")
    scaling = cloud.client("application-autoscaling")
    place = PLACE | {"ResourceId": "endpoint/sleeping/variant/AllTraffic"}
    scaling.register_scalable_target(**place, MinCapacity=0, MaxCapacity=1)
    policy = scaling.put_scaling_policy(
        **place,
        PolicyName="up",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            "Cooldown": 300,
        },
    )["PolicyARN"]
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="backlog",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": "sleeping"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[policy],
    )
    cloud.client().update_endpoint_weights_and_capacities(
        EndpointName="sleeping",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
    )
    assert cloud.settled("sleeping")["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    accepted = cloud.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="sleeping", Body=b"wake", ContentType="text/csv"
    )
    cloud.until(lambda: cloud.keys("awake/"), bool)
    assert cloud.read(accepted["OutputLocation"]) == b"sleeping:wake"
    cloud.delete("sleeping")
