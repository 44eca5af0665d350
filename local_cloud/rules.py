"""
What AWS refuses although botocore's model allows it, with the source of each rule.

"Reference" is https://docs.aws.amazon.com/sagemaker/latest/APIReference/, "guide" is
https://docs.aws.amazon.com/sagemaker/latest/dg/.
"""

import re
from collections.abc import Callable
from typing import Any

from local_cloud import pipelines
from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, invalid
from local_cloud.hosting import models
from local_cloud.hosting.fleet import Fleet
from local_cloud.jobs import joining
from local_cloud.records import Record

MEMORY = (1024, 2048, 3072, 4096, 5120, 6144)
# Instance types with local storage, whose volumes take no KMS key: m5d, g4dn, p4d ...
LOCAL_STORAGE = re.compile(r"ml\.(\w+d|g4dn|g5|i3|p4d\w*|trn1)\.")


def model(cloud: Cloud, asked: Record) -> None:
    """
    CreateModel, reference: one container or several; the image and the archive must be there.
    """
    given = [name for name in ("PrimaryContainer", "Containers") if asked.get(name)]
    if len(given) != 1:
        raise invalid("Either PrimaryContainer or Containers is required, and not both")
    if len(asked.get("Containers", [])) > 1:
        raise AwsError(
            "UnknownOperationException",
            "the local cloud does not run pipelines of containers: Containers takes one here",
        )
    container = models.definition(cloud, asked)
    image(cloud, container.get("Image", ""))
    archive = models.archive(container)
    if archive and not cloud.store.exists(archive):
        raise invalid(
            f"Could not access model data at {archive}. Please ensure that the role "
            f'"{asked.get("ExecutionRoleArn", "")}" exists and that its trust relationship policy '
            'allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com"'
            '. Also ensure that the role has "s3:GetObject" permissions and that the object is '
            f"located in {cloud.region}."
        )


def image(cloud: Cloud, uri: str) -> None:
    """
    CreateModel and the jobs: the image must be in the registry; here, known to the engine.
    """
    if cloud.engine.image(uri) is None:
        raise invalid(
            f"Requested image {uri} not found. (The local cloud takes images of this machine's "
            "Docker engine, the registry's part of an ECR address left out if need be, and what "
            "'local_test/cloud.sh push' has named.)"
        )


def endpoint_config(cloud: Cloud, asked: Record) -> None:
    """
    CreateEndpointConfig, reference and guide, "serverless-endpoints" and "shadow-tests".
    """
    variants = asked["ProductionVariants"] + asked.get("ShadowProductionVariants", [])
    names = [each["VariantName"] for each in variants]
    if len(names) != len(set(names)):
        raise invalid(f"Duplicate variant names: {', '.join(names)}")
    for variant in variants:
        if "ManagedInstanceScaling" in variant:
            raise invalid("ManagedInstanceScaling needs inference components")
        if "ModelName" not in variant:
            raise invalid("ModelName is required: the local cloud has no inference components")
        cloud.records.get("Model", variant["ModelName"])
        if not variant.get("ServerlessConfig") and not variant.get("InstanceType"):
            raise invalid(f"InstanceType is required for variant {variant['VariantName']}")
        _serverless(cloud, asked, variant)
    if asked.get("ShadowProductionVariants"):
        counts = len(asked["ProductionVariants"]), len(asked["ShadowProductionVariants"])
        if counts != (1, 1) or asked.get("AsyncInferenceConfig"):
            raise invalid(
                "With ShadowProductionVariants there is exactly one production and one shadow "
                "variant, and no AsyncInferenceConfig"
            )


def _serverless(cloud: Cloud, asked: Record, variant: Record) -> None:
    serverless = variant.get("ServerlessConfig")
    if not serverless:
        return
    if serverless["MemorySizeInMB"] not in MEMORY:
        raise invalid(
            f"MemorySizeInMB is {serverless['MemorySizeInMB']}; expected one of "
            f"{', '.join(map(str, MEMORY))}"
        )
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        raise invalid("ProvisionedConcurrency must not exceed MaxConcurrency")
    refused = [
        name
        for name in ("DataCaptureConfig", "AsyncInferenceConfig", "ShadowProductionVariants")
        if asked.get(name)
    ]
    refused += [name for name in ("InstanceType", "InitialInstanceCount") if variant.get(name)]
    if len(asked["ProductionVariants"]) > 1:
        refused.append("more than one variant")
    model = cloud.records.get("Model", variant["ModelName"])
    refused += [name for name in ("VpcConfig", "EnableNetworkIsolation") if model.get(name)]
    if refused:
        raise invalid(f"A serverless endpoint cannot have {', '.join(refused)}")


def endpoint(cloud: Cloud, asked: Record) -> None:
    """
    CreateEndpoint: its configuration must be there.
    """
    cloud.records.get("EndpointConfig", asked["EndpointConfigName"])


def training_job(cloud: Cloud, asked: Record) -> None:
    """
    CreateTrainingJob, reference: image, spot's waiting time, volume keys, names of channels.
    """
    specification = asked["AlgorithmSpecification"]
    if "TrainingImage" not in specification:
        raise invalid("TrainingImage is required: the local cloud lacks AWS's own algorithms")
    image(cloud, specification["TrainingImage"])
    stopping = asked["StoppingCondition"]
    waits = stopping.get("MaxWaitTimeInSeconds")
    if asked.get("EnableManagedSpotTraining") and waits is None:
        raise invalid("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true")
    if waits is not None and not asked.get("EnableManagedSpotTraining"):
        raise invalid("MaxWaitTimeInSeconds is only for jobs with EnableManagedSpotTraining")
    if waits is not None and waits < stopping.get("MaxRuntimeInSeconds", 86_400):
        raise invalid(
            f"Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            f"MaxRuntimeInSeconds, got {waits}"
        )
    resources = asked["ResourceConfig"]
    if "InstanceType" not in resources or "InstanceCount" not in resources:
        raise invalid("InstanceType and InstanceCount are required; no InstanceGroups here")
    _volume(resources)
    channels = [each["ChannelName"] for each in asked.get("InputDataConfig", [])]
    if len(channels) != len(set(channels)):
        raise invalid(f"Duplicate channel names: {', '.join(channels)}")


def _volume(resources: Record) -> None:
    kind = resources.get("InstanceType", "")
    if resources.get("VolumeKmsKeyId") and LOCAL_STORAGE.match(kind):
        raise invalid(f"VolumeKmsKeyId is not supported for {kind}, which has local storage")


def transform_job(cloud: Cloud, asked: Record) -> None:
    """
    CreateTransformJob, reference: what the payloads may hold together, batches need lines.
    """
    cloud.records.get("Model", asked["ModelName"])
    together = asked.get("MaxConcurrentTransforms", 1) * asked.get("MaxPayloadInMB", 6)
    if together > 100:
        raise invalid(
            f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100, but is {together}"
        )
    split = asked["TransformInput"].get("SplitType", "None")
    if split not in ("None", "Line"):
        raise invalid(f"the local cloud does not split by {split}")
    processing = asked.get("DataProcessing", {})
    if processing.get("JoinSource") == "Input" and split == "None":
        raise invalid("JoinSource Input needs SplitType Line")
    joining.check(processing)
    _volume(asked["TransformResources"])


def processing_job(cloud: Cloud, asked: Record) -> None:
    """
    CreateProcessingJob: the image must be there.
    """
    image(cloud, asked["AppSpecification"]["ImageUri"])
    _volume(asked["ProcessingResources"]["ClusterConfig"])


def tuning_job(cloud: Cloud, asked: Record) -> None:
    """
    CreateHyperParameterTuningJob: one definition, whose image is there.
    """
    if "TrainingJobDefinition" not in asked:
        raise invalid("TrainingJobDefinition is required: the local cloud takes one definition")
    image(cloud, asked["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"])


def pipeline(cloud: Cloud, asked: Record) -> None:
    """
    CreatePipeline: a definition that is run here.
    """
    if "PipelineDefinition" not in asked:
        raise invalid("PipelineDefinition is required: the local cloud reads none from S3")
    pipelines.check(asked["PipelineDefinition"])


CREATE: dict[str, Callable[[Cloud, Record], None]] = {
    "Model": model,
    "EndpointConfig": endpoint_config,
    "Endpoint": endpoint,
    "TrainingJob": training_job,
    "TransformJob": transform_job,
    "ProcessingJob": processing_job,
    "HyperParameterTuningJob": tuning_job,
    "Pipeline": pipeline,
}


def check_capacities(listed: list[Record], fleet: Fleet) -> None:
    """
    UpdateEndpointWeightsAndCapacities, reference: weights of all variants, or the capacity of one;
    guide "endpoint-auto-scaling": only asynchronous endpoints come to no instance.
    """
    counts = [each["DesiredInstanceCount"] for each in listed if "DesiredInstanceCount" in each]
    if len(counts) > 1:
        raise invalid("The capacity of one variant can be updated at a time")
    if 0 in counts and "AsyncInferenceConfig" not in fleet.config:
        raise invalid("DesiredInstanceCount must be at least 1 for a real-time endpoint")


def check_update(asked: Record, old: Fleet, config: Record) -> None:
    """
    UpdateEndpoint, guide "deployment-guardrails": names, sizes and times of a guarded update.
    """
    settings: dict[str, Any] = asked.get("DeploymentConfig") or {}
    if not settings:
        return
    names = {each["VariantName"] for each in config["ProductionVariants"]}
    if names != {each.name for each in old.variants}:
        raise invalid("With a DeploymentConfig the variants must have the names that they had")
    rolling = settings.get("RollingUpdatePolicy")
    blue_green = settings.get("BlueGreenUpdatePolicy")
    if rolling and blue_green:
        raise invalid("BlueGreenUpdatePolicy and RollingUpdatePolicy exclude each other")
    if rolling and (len(names) > 1 or old.variants[0].serverless):
        raise invalid("RollingUpdatePolicy is for one variant on instances")
    retained = asked.get("RetainAllVariantProperties")
    instances = (
        sum(each.wanted for each in old.variants)
        if retained
        else sum(each.get("InitialInstanceCount", 1) for each in config["ProductionVariants"])
    )
    if blue_green:
        _check_blue_green(blue_green, instances)
    if rolling:
        _check_size("MaximumBatchSize", rolling["MaximumBatchSize"], instances, 5, 50)


def _check_blue_green(policy: Record, instances: int) -> None:
    routing = policy["TrafficRoutingConfiguration"]
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    waits = routing["WaitIntervalInSeconds"] + policy.get("TerminationWaitInSeconds", 0)
    if limit is not None and limit <= waits:
        raise invalid(
            f"MaximumExecutionTimeoutInSeconds is {limit}; it must exceed all waits, {waits}"
        )
    if routing["Type"] == "CANARY":
        if "CanarySize" not in routing:
            raise invalid("CanarySize is required for CANARY")
        _check_size("CanarySize", routing["CanarySize"], instances, 1, 50)
    if routing["Type"] == "LINEAR":
        if "LinearStepSize" not in routing:
            raise invalid("LinearStepSize is required for LINEAR")
        _check_size("LinearStepSize", routing["LinearStepSize"], instances, 10, 50)


def _check_size(what: str, size: Record, instances: int, least: int, most: int) -> None:
    percent = 1 if size["Type"] == "CAPACITY_PERCENT" else 100 / max(1, instances)
    if not least <= size["Value"] * percent <= most or instances < 2:
        raise invalid(
            f"{what} must be {least} to {most} % of the capacity, which is {instances} "
            f"instance(s); got {size['Value']} {size['Type']}"
        )


def check_scaled(scaled: set[str], old: Fleet, config: Record) -> None:
    """
    UpdateEndpoint, guide "endpoint-scaling-update": scaled variants keep name and instance type.
    """
    after = {each["VariantName"]: each.get("InstanceType") for each in config["ProductionVariants"]}
    lost = [
        each.name
        for each in old.variants
        if each.name in scaled and after.get(each.name) != each.config.get("InstanceType")
    ]
    if lost:
        raise invalid(
            f'The variant(s) "[{", ".join(lost)}]" must be deregistered as scalable targets with '
            "AWS Auto Scaling before they can be removed or have their instance type updated."
        )
