"""
Models: what ``--model`` names, the request that makes a SageMaker model of it, and what one is of.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import checks, images, storage
from deploy.errors import UsageError
from deploy.session import Session, client, describe, named, network, role


@dataclass(frozen=True)
class Model:
    """
    A model as it is to be created.
    """

    name: str
    request: dict[str, Any]
    image: images.Image | None  # None for a registered model, which brings its own


def wanted(session: Session, given: str, image: str) -> Model:
    """
    Return the model that ``--model`` and ``--image`` ask for; uploads it if need be.

    Raises UsageError for what is not there.
    """
    request: dict[str, Any] = {"ExecutionRoleArn": role(session), **network(session)}
    environment = session.settings.environment
    part: dict[str, Any] = {"Environment": environment} if environment else {}
    base = session.settings.application
    if re.match(r"arn:[^:]+:sagemaker:.*:model-package/", given):
        client(session, "sagemaker").describe_model_package(ModelPackageName=given)
        request["PrimaryContainer"] = {"ModelPackageName": given, **part}
        return Model(named(base, request), request, None)
    version = ""
    if given.startswith("s3://"):
        archive = given
    elif given and Path(given).exists():
        archive = storage.upload_model(session, Path(given))
    else:
        job = _job(session, given)
        archive = job["ModelArtifacts"]["S3ModelArtifacts"]
        image = image or job["AlgorithmSpecification"]["TrainingImage"]
    if not Path(given or "-").exists():
        checks.check_archive(session, archive)
        version = storage.version(session, archive, whole=True)
    found = images.find(session, image)
    request["PrimaryContainer"] = {"Image": found.uri, "ModelDataUrl": archive, **part}
    return Model(named(base, request, version), request, found)


def _job(session: Session, name: str) -> dict[str, Any]:
    """
    Return a completed training job, by default the application's last.
    """
    if not name:
        base = named(session.settings.application, {}).rpartition("-")[0]
        pages = client(session, "sagemaker").get_paginator("list_training_jobs")
        listed = pages.paginate(
            NameContains=base,
            StatusEquals="Completed",
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        # The name of another application may contain this one's.
        own = re.compile(re.escape(base) + r"-[0-9a-f]{10}(-\d+)?")
        names = (e["TrainingJobName"] for page in listed for e in page["TrainingJobSummaries"])
        name = next(filter(own.fullmatch, names), "")
        if not name:
            raise UsageError(
                "no model: no training job of this application has completed. Train one: "
                "./deploy.sh train, or name one: --model s3://bucket/model.tar.gz, a folder, a job"
            )
    job = describe(session, "training_job", name)
    if not job:
        raise UsageError(
            f"--model is '{name}'; expected a folder, a model.tar.gz here or in S3 (s3://…), a "
            "training job's name or the ARN of a model package"
        )
    if job["TrainingJobStatus"] != "Completed":
        raise UsageError(
            f"training job {name} is {job['TrainingJobStatus']}: ./deploy.sh why {name}"
        )
    return job


def container_of(session: Session, model: str) -> dict[str, Any]:
    """
    Return what says image and archive of a model: its container, or that of its package.
    """
    described = describe(session, "model", model) or {}
    container: dict[str, Any] = described.get("PrimaryContainer", {})
    if package := container.get("ModelPackageName"):
        registered = client(session, "sagemaker").describe_model_package(ModelPackageName=package)
        container = registered["InferenceSpecification"]["Containers"][0]
    return container


def of_configuration(session: Session, name: str) -> set[str]:
    """
    Return the models that an endpoint's configuration names, those of shadows too.
    """
    found: dict[str, Any] = describe(session, "endpoint_config", name) or {}
    variants = found.get("ProductionVariants", []) + found.get("ShadowProductionVariants", [])
    return {each["ModelName"] for each in variants}
