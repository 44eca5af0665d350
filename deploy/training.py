"""
Training jobs.
"""

import json
from pathlib import Path
from typing import Any

import click

from deploy import checks, images, storage, waiting
from deploy.errors import UsageError
from deploy.options import command, image_option, pairs
from deploy.session import (
    STATUS,
    Session,
    create,
    describe,
    finish,
    home,
    key,
    named,
    network,
    role,
    say,
)

HOUR_S = 3600


@command()
@click.option(
    "--data",
    multiple=True,
    help="A folder, a file or an s3:// address; for a channel other than training: NAME=PLACE.",
)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A hyperparameter.")
@image_option("the one in deploy.toml")
def train(session: Session, data: tuple[str, ...], given: tuple[str, ...], image: str) -> None:
    """
    Train a model in a training job.

    A job that has the same data, hyperparameters and image is used again.

    \b
    ./deploy.sh train --data data/
    ./deploy.sh train --data s3://bucket/data/ --set rounds=200
    """
    checks.check_role(session)
    found = images.find(session, image)
    settings = session.settings.training
    images.check(found, settings.instance_type, trains=True)
    checks.check_quota(session, settings.instance_type, settings.instance_count, "training job")
    channels = channels_of(session, data)
    hyperparameters = settings.hyperparameters | pairs(given, "rounds=200")
    wanted = request(session, found.uri, channels, hyperparameters)
    uploaded = f"{home(session)}/data/"  # there the address says the content
    places = [each for _, each in sorted(channels.items()) if not each.startswith(uploaded)]
    versions = [storage.version(session, each) for each in places]
    base = named(session.settings.application, wanted, repr(versions))
    if settings.spot:
        # A later attempt goes on from the same checkpoints.
        wanted["CheckpointConfig"] = {"S3Uri": f"{home(session)}/checkpoints/{base}"}
    name, existing = attempt(session, "training_job", base, ("Failed", "Stopped"))
    if existing:
        say(f"reuse training job {name}, which is {existing['TrainingJobStatus']}")
    else:
        create(session, "training_job", name, wanted)
    result: dict[str, Any] = {"training_job": name}
    if session.wait and not session.dry_run:
        job = waiting.job(session, "training_job", name)
        result["model"] = job["ModelArtifacts"]["S3ModelArtifacts"]
        for metric in job.get("FinalMetricDataList", []):
            result[metric["MetricName"]] = metric["Value"]
    finish(session, result)


def channels_of(session: Session, data: tuple[str, ...]) -> dict[str, str]:
    """
    Return the address of each channel's data, uploaded if it is on this machine.
    """
    channels = dict(session.settings.training.data)
    for each in data:
        name, sign, place = each.partition("=")
        channels |= {name: place} if sign else {"training": each}
    if not channels:
        raise UsageError(
            "no data to train with; name it: --data FOLDER or s3://…, or in deploy.toml:\n"
            '[training.data]\ntraining = "s3://bucket/folder/"'
        )
    return {
        name: place
        if place.startswith("s3://")
        else storage.upload_data(session, Path(place), f"data/{name}")
        for name, place in channels.items()
    }


def request(
    session: Session, image: str, channels: dict[str, Any], hyperparameters: dict[str, Any]
) -> dict[str, Any]:
    """
    Return the request for a training job, without name and tags.
    """
    settings = session.settings.training
    specification: dict[str, Any] = {"TrainingImage": image, "TrainingInputMode": "File"}
    if settings.metrics:
        specification["MetricDefinitions"] = [
            {"Name": name, "Regex": regex} for name, regex in settings.metrics.items()
        ]
    made: dict[str, Any] = {
        "AlgorithmSpecification": specification,
        "RoleArn": role(session),
        "HyperParameters": texts(hyperparameters),
        "InputDataConfig": [
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": place}},
            }
            for name, place in sorted(channels.items())
        ],
        "OutputDataConfig": {
            "S3OutputPath": f"{home(session)}/training",
            **key(session, "output", "KmsKeyId"),
        },
        "ResourceConfig": {
            "InstanceType": settings.instance_type,
            "InstanceCount": settings.instance_count,
            "VolumeSizeInGB": settings.volume_gb,
            **checks.volume_key(session, settings.instance_type),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": int(settings.max_hours * HOUR_S)},
        **network(session),
    }
    if session.settings.network.encrypt_between_hosts:
        made["EnableInterContainerTrafficEncryption"] = True
    if settings.spot:
        made["EnableManagedSpotTraining"] = True
        made["StoppingCondition"]["MaxWaitTimeInSeconds"] = int(settings.max_wait_hours * HOUR_S)
        if settings.max_wait_hours < settings.max_hours:
            raise UsageError(
                f"training.max_wait_hours is {settings.max_wait_hours:g}, less than max_hours "
                f"({settings.max_hours:g}); it counts waiting and running together"
            )
    return made


def texts(hyperparameters: dict[str, Any]) -> dict[str, str]:
    """
    Return hyperparameters as SageMaker takes them: texts.
    """
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in hyperparameters.items()
    }


def attempt(
    session: Session, kind: str, base: str, again: tuple[str, ...]
) -> tuple[str, dict[str, Any] | None]:
    """
    Return the name of the job to create, or the one that is there and need not be done again.

    Jobs cannot be deleted, so what ended in one of the states ``again`` gets a new number.
    """
    status = STATUS[kind]
    for number in range(1, 100):
        name = base if number == 1 else f"{base}-{number}"
        found = describe(session, kind, name)
        if found is None or found[status] not in again:
            return name, found
    raise UsageError(f"{base} was tried 99 times: ./deploy.sh why {name}")
