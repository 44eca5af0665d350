"""
What every command holds: the account, the file, how to print; and the calls that change something.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.errors import UsageError
from deploy.settings import Settings

TAG = "deploy:application"  # what teardown looks for
ENDPOINT_TAG = "deploy:endpoint"
KIND_TAG = "deploy:kind"

# How Describe and Create name each kind of thing.
NAMES = {
    "model": "ModelName",
    "endpoint_config": "EndpointConfigName",
    "endpoint": "EndpointName",
    "training_job": "TrainingJobName",
    "transform_job": "TransformJobName",
    "processing_job": "ProcessingJobName",
    "model_package_group": "ModelPackageGroupName",
    "pipeline": "PipelineName",
}
STATUS = {kind: f"{name[:-4]}Status" for kind, name in NAMES.items() if kind.endswith("_job")}
LONGEST_NAME = 63
SOON = re.compile("Could not find (?!model data)")
CONFIG = Config(retries={"mode": "standard"}, read_timeout=70)


@dataclass
class Session:
    """
    The account that a command works in and what the caller wants to see of it.
    """

    settings: Settings
    boto: boto3.Session
    dry_run: bool = False
    wait: bool = True
    as_json: bool = False
    minutes: float | None = None
    poll: float = 15.0
    planned: list[dict[str, Any]] = field(default_factory=list)
    clients: dict[str, Any] = field(default_factory=dict)


def client(session: Session, service: str) -> Any:
    """
    Return boto3's client, made once.
    """
    if service not in session.clients:
        session.clients[service] = session.boto.client(service, config=CONFIG)
    return session.clients[service]


def say(text: str) -> None:
    """
    Tell a person what happens; standard output is for the result.
    """
    click.echo(text, err=True)


def finish(session: Session, result: dict[str, Any]) -> None:
    """
    Print a command's result, or in a dry run the calls that it would make.
    """
    if session.dry_run:
        click.echo(json.dumps(session.planned, indent=2, default=str))
    elif session.as_json:
        click.echo(json.dumps(result, indent=2, default=str))
    else:
        for line in _lines(result):
            click.echo(line)


def _lines(result: dict[str, Any], indent: str = "") -> Iterator[str]:
    """
    Yield a result's lines for people; what is empty is left out.
    """
    for name, value in result.items():
        label = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict | list) and value:
            yield label
            for each in value if isinstance(value, list) else [value]:
                nested = isinstance(each, dict)
                yield from _lines(each, f"{indent}  ") if nested else [f"{indent}  {each}"]
        elif value not in (None, "", [], {}):
            yield f"{label} {value}"


def plan(session: Session, command: str, request: dict[str, Any] | None = None) -> None:
    """
    Note down what a dry run leaves out, in the words of the AWS command line.
    """
    session.planned.append({"command": command} | ({"input": request} if request else {}))


def send(session: Session, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
    """
    Make a call that changes something; a dry run notes it down.
    """
    if session.dry_run:
        plan(session, f"aws {service} {method.replace('_', '-')} --cli-input-json", request)
        return {}
    answer: dict[str, Any] = getattr(client(session, service), method)(**request)
    return answer


def describe(session: Session, kind: str, name: str) -> dict[str, Any] | None:
    """
    Return what SageMaker knows of a thing, or None when there is no such thing.
    """
    try:
        found: dict[str, Any] = getattr(client(session, "sagemaker"), f"describe_{kind}")(
            **{NAMES[kind]: name}
        )
        return found
    except ClientError as error:
        message = error.response["Error"].get("Message", "").lower()
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound") and any(
            words in message for words in ("not find", "not found", "not exist")
        ):
            return None
        raise


def named(base: str, request: dict[str, Any], also: str = "") -> str:
    """
    Return a name made of ``base`` and the content: equal for equal requests, otherwise another.

    ``also`` is what the request does not say, such as the version of the file that it names.
    """
    content = json.dumps([request, also], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    return f"{base[: LONGEST_NAME - 11 - len('-99')].rstrip('-')}-{digest}"


def create(
    session: Session, kind: str, name: str, request: dict[str, Any], **tags: str
) -> dict[str, Any]:
    """
    Create a thing with the application's tags; what exists by that name has the same content.
    """
    labels = {**session.settings.tags, TAG: session.settings.application, **tags}
    listed = [{"Key": key, "Value": value} for key, value in sorted(labels.items())]
    request = {NAMES[kind]: name, **request, "Tags": listed}
    deadline = time.monotonic() + 60
    while True:
        try:
            if not session.dry_run:
                say(f"create {kind.replace('_', ' ')} {name}")
            return send(session, "sagemaker", f"create_{kind}", request)
        except ClientError as error:
            message = error.response["Error"].get("Message", "")
            if "already exist" in message:  # the answer to an earlier attempt was lost
                return {}
            # What was created a moment ago is not seen everywhere at once.
            if not SOON.match(message) or time.monotonic() > deadline:
                raise
            time.sleep(min(2.0, session.poll))


def ensure(session: Session, kind: str, name: str, request: dict[str, Any], **tags: str) -> None:
    """
    Create a thing unless it is there; its name says that the content is the same.
    """
    if describe(session, kind, name):
        say(f"reuse {kind.replace('_', ' ')} {name}")
    else:
        create(session, kind, name, request, **tags)


def bucket(session: Session) -> str:
    """
    Return the name of the bucket for all that is written.
    """
    if session.settings.bucket:
        return session.settings.bucket
    account = client(session, "sts").get_caller_identity()["Account"]
    return f"sagemaker-{session.boto.region_name}-{account}"


def home(session: Session) -> str:
    """
    Return the address below which the application keeps its files.
    """
    return f"s3://{bucket(session)}/{session.settings.application}"


def role(session: Session) -> str:
    """
    Return the execution role's ARN.
    """
    if not session.settings.role:
        raise UsageError(
            "no execution role is set; put it into deploy.toml, such as\n"
            'role = "arn:aws:iam::123456789012:role/sagemaker"'
        )
    return session.settings.role


def network(session: Session) -> dict[str, Any]:
    """
    Return the part of a model's or training job's request that names VPC and isolation.
    """
    chosen = session.settings.network
    request: dict[str, Any] = {"EnableNetworkIsolation": True} if chosen.isolation else {}
    if bool(chosen.subnets) != bool(chosen.security_groups):
        raise UsageError("network.subnets and network.security_groups belong together: set both")
    if chosen.subnets:
        vpc = {"Subnets": chosen.subnets, "SecurityGroupIds": chosen.security_groups}
        request["VpcConfig"] = vpc
    return request


def key(session: Session, which: str, parameter: str) -> dict[str, str]:
    """
    Return the part of a request that names a KMS key, empty without one.
    """
    value = getattr(session.settings.keys, which)
    return {parameter: value} if value else {}
