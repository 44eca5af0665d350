"""
What a retraining is made of, as a single job and as a pipeline alike: the champion, the requests
for processing jobs, and the package that a better challenger is registered as.
"""

from dataclasses import dataclass
from typing import Any

from deploy import checks, models
from deploy.errors import UsageError
from deploy.session import Session, describe, key, network, role

FOLDER = "/opt/ml/processing"
PROGRAM = ["python3", "-m", "monitoring.retraining"]
COMPARISON = "comparison.json"
TRAINING = "training"  # the channel with the rows to train on
HOUR_S = 3600
LONGEST_ARGUMENT = 256


@dataclass(frozen=True)
class Champion:
    """
    The model in service.
    """

    archive: str
    image: str


@dataclass(frozen=True)
class Challenge:
    """
    What a challenger is made of and compared with: addresses, or a pipeline's references to them.
    """

    image: str
    champion: Any
    channels: dict[str, Any]
    new: Any
    hyperparameters: dict[str, str]

    def inputs(self) -> dict[str, Any]:
        """
        Return the address of each folder that a job reads.
        """
        channels = {f"input/channels/{name}": place for name, place in self.channels.items()}
        return {**channels, "input/new": self.new, "input/champion": self.champion}

    def arguments(self, program: str, *folders: str) -> list[Any]:
        """
        Return the arguments of a program of monitoring.retraining, which reads these folders.
        """
        listed: list[Any] = [program]
        for name in folders:
            listed += [f"--{name}", f"{FOLDER}/input/{name}"]
        listed += ["--output", f"{FOLDER}/output"]
        if program != "split":
            for name, value in self.hyperparameters.items():
                listed += ["--set", f"{name}={value}"]
            for address in (*self.channels.values(), self.new):
                listed += ["--dataset", address]
        texts = [each for each in listed if isinstance(each, str)]
        if too_long := next((each for each in texts if len(each) > LONGEST_ARGUMENT), None):
            raise UsageError(
                f"{too_long} is longer than the {LONGEST_ARGUMENT} characters that an argument of "
                "a processing job may have; shorten the hyperparameter or the address"
            )
        return listed


def champion(session: Session, endpoint: str) -> Champion:
    """
    Return the model of an endpoint's only variant; raises UsageError where there is no such.
    """
    found = describe(session, "endpoint", endpoint)
    if not found:
        raise UsageError(
            f"there is no endpoint {endpoint}, so no champion to compare with: ./deploy.sh realtime"
        )
    configuration = describe(session, "endpoint_config", found["EndpointConfigName"]) or {}
    variants = configuration.get("ProductionVariants", [])
    if len(variants) != 1:
        raise UsageError(
            f"{endpoint} has {len(variants)} variants; a challenger replaces the model of an "
            "endpoint that has one"
        )
    container = models.container_of(session, variants[0]["ModelName"])
    if not container.get("ModelDataUrl"):
        raise UsageError(f"the model of {endpoint} has no archive to compare with")
    return Champion(container["ModelDataUrl"], container["Image"])


def processing(
    session: Session,
    image: str,
    given: list[Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
) -> dict[str, Any]:
    """
    Return the request for a processing job, without name and tags.

    ``inputs`` and ``outputs`` map folders below FOLDER to addresses, or to a pipeline's references.
    """
    settings = session.settings.training
    shared = network(session)
    limits = {"EnableNetworkIsolation", "VpcConfig"} & set(shared)
    return {
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": PROGRAM,
            "ContainerArguments": given,
        },
        "ProcessingInputs": [
            {
                "InputName": folder.replace("/", "-"),
                "S3Input": {
                    "S3Uri": address,
                    "LocalPath": f"{FOLDER}/{folder}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for folder, address in inputs.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": folder.replace("/", "-"),
                    "S3Output": {
                        "S3Uri": address,
                        "LocalPath": f"{FOLDER}/{folder}",
                        "S3UploadMode": "EndOfJob",
                    },
                }
                for folder, address in outputs.items()
            ],
            **key(session, "output", "KmsKeyId"),
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": settings.instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": settings.volume_gb,
                **checks.volume_key(session, settings.instance_type),
            }
        },
        "RoleArn": role(session),
        "StoppingCondition": {"MaxRuntimeInSeconds": int(settings.max_hours * HOUR_S)},
        **({"NetworkConfig": {name: shared[name] for name in sorted(limits)}} if limits else {}),
    }


def package(
    session: Session,
    image: str,
    archive: Any,
    comparison: Any,
    sentence: Any,
    card: Any,
    approval: Any,
    report: str = "",
) -> dict[str, Any]:
    """
    Return the request that registers a challenger; ``comparison`` and ``report`` are addresses.
    """
    container: dict[str, Any] = {"Image": image, "ModelDataUrl": archive}
    if session.settings.environment:
        container["Environment"] = session.settings.environment
    statistics = {"ContentType": "application/json", "S3Uri": comparison}
    metrics: dict[str, Any] = {"ModelQuality": {"Statistics": statistics}}
    if report:
        metrics["ModelDataQuality"] = {"Statistics": {**statistics, "S3Uri": report}}
    return {
        "ModelPackageGroupName": session.settings.application,
        "ModelPackageDescription": sentence,
        "ModelApprovalStatus": approval,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["text/csv", "application/json"],
            "SupportedResponseMIMETypes": ["text/csv", "application/json"],
        },
        "ModelMetrics": metrics,
        "ModelCard": {"ModelCardStatus": "Draft", "ModelCardContent": card},
    }
