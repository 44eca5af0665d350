"""
Endpoints: model, endpoint configuration, endpoint.
"""

from typing import Any

from deploy import checks, images, models, waiting
from deploy.errors import UsageError
from deploy.options import IMAGE, MODEL, NAME, command
from deploy.session import (
    ENDPOINT_TAG,
    KIND_TAG,
    Session,
    create,
    describe,
    ensure,
    finish,
    home,
    key,
    named,
)
from deploy.settings import Asynchronous, Hosting

VARIANT = "main"


@command()
@NAME
@MODEL
@IMAGE
def realtime(session: Session, name: str, model: str, image: str) -> None:
    """
    Deploy an endpoint that answers at once, on its own instances.

    \b
    ./deploy.sh realtime                              the last training job's model
    ./deploy.sh realtime --model s3://b/model.tar.gz  an archive
    """
    deploy(session, "realtime", name or session.settings.application, model, image)


@command()
@NAME
@MODEL
@IMAGE
def serverless(session: Session, name: str, model: str, image: str) -> None:
    """
    Deploy an endpoint without instances.

    Containers start when requests come.

    \b
    ./deploy.sh serverless
    """
    deploy(
        session, "serverless", name or f"{session.settings.application}-serverless", model, image
    )


@command("async")
@NAME
@MODEL
@IMAGE
def asynchronous(session: Session, name: str, model: str, image: str) -> None:
    """
    Deploy an endpoint with a queue; answers come to S3.

    It is for large bodies and long work, up to 1 GB and an hour.

    \b
    ./deploy.sh async
    """
    deploy(session, "async", name or f"{session.settings.application}-async", model, image)


def deploy(session: Session, kind: str, name: str, given: str, image: str) -> None:
    """
    Make the endpoint of a kind; what is there of it already is used again.
    """
    if kind == "serverless":
        _refuse_for_serverless(session)
    # In this order, so that nothing is made before all has been looked at.
    checks.check_role(session)
    model = models.wanted(session, given, image)
    hosting = _hosting(session, kind)
    if model.image:
        images.check(model.image, hosting.instance_type if hosting else "")
    request = configuration(session, kind, name, model.name)
    wanted = named(name, request)
    existing = describe(session, "endpoint", name)
    if existing and existing["EndpointConfigName"] != wanted:
        raise UsageError(
            f"the endpoint {name} is there, with other content; change it: ./deploy.sh update "
            f"{name}, delete it: ./deploy.sh teardown {name}, or make a second endpoint: --name "
            f"{name}-2"
        )
    if existing and existing["EndpointStatus"] == "Failed":
        raise UsageError(
            f"the endpoint {name} is there and has failed: ./deploy.sh why {name}\n"
            f"It can only be deleted: ./deploy.sh teardown {name}"
        )
    if hosting and not existing:
        checks.check_quota(session, hosting.instance_type, hosting.instance_count, "endpoint")

    tags = {ENDPOINT_TAG: name, KIND_TAG: kind}
    ensure(session, "model", model.name, model.request)
    ensure(session, "endpoint_config", wanted, request, **tags)
    if not existing:
        create(session, "endpoint", name, {"EndpointConfigName": wanted}, **tags)
    if session.wait and not session.dry_run:
        waiting.endpoint(session, name, wanted)
    finish(
        session,
        {
            "endpoint": name,
            "configuration": wanted,
            "model": model.name,
            "ask_it": f"./deploy.sh invoke --name {name} FILE",
        },
    )


def _refuse_for_serverless(session: Session) -> None:
    network, capture = session.settings.network, session.settings.realtime.capture_percent
    for there, what in (
        (network.subnets or network.security_groups, "a VPC (network.subnets)"),
        (network.isolation, "network isolation (network.isolation)"),
        (capture, "data capture (realtime.capture_percent)"),
    ):
        if there:
            raise UsageError(
                f"a serverless endpoint cannot have {what}; take it out of deploy.toml, keep a "
                "second file for this endpoint (--file), or choose ./deploy.sh realtime"
            )
    memory = session.settings.serverless.memory_mb
    if memory not in range(1024, 6145, 1024):
        raise UsageError(f"serverless.memory_mb is {memory}; expected 1024, 2048, … or 6144")


def _hosting(session: Session, kind: str) -> Hosting | Asynchronous | None:
    if kind == "serverless":
        return None
    return session.settings.realtime if kind == "realtime" else session.settings.asynchronous


def configuration(session: Session, kind: str, name: str, model: str) -> dict[str, Any]:
    """
    Return the request for an endpoint's configuration, without name and tags.
    """
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": model}
    request: dict[str, Any] = {"ProductionVariants": [variant]}
    hosting = _hosting(session, kind)
    if hosting is None:
        limits = session.settings.serverless
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": limits.memory_mb,
            "MaxConcurrency": limits.max_concurrency,
        }
        return request
    variant |= {
        "InstanceType": hosting.instance_type,
        "InitialInstanceCount": hosting.instance_count,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": hosting.startup_seconds,
    }
    request |= key(session, "volume", "KmsKeyId")
    output = key(session, "output", "KmsKeyId")
    if isinstance(hosting, Asynchronous):
        request["AsyncInferenceConfig"] = {
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": hosting.max_concurrent},
            "OutputConfig": {
                "S3OutputPath": f"{home(session)}/async/{name}/answers/",
                "S3FailurePath": f"{home(session)}/async/{name}/failures/",
                **output,
            },
        }
        topics = {"SuccessTopic": hosting.success_topic, "ErrorTopic": hosting.error_topic}
        if topics := {each: topic for each, topic in topics.items() if topic}:
            request["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"] = topics
    elif hosting.capture_percent:
        request["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": hosting.capture_percent,
            "DestinationS3Uri": f"{home(session)}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json", "application/jsonlines"],
            },
            **output,
        }
    return request
