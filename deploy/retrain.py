"""
A challenger: trained on old and new rows, compared with the model in service, put into its place
if it is better.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import click

from deploy import challengers, checks, images, pipeline, records, storage, training, waiting
from deploy.challengers import Challenge
from deploy.errors import Kept, UsageError
from deploy.options import NAME, command, image_option, pairs
from deploy.session import Session, client, create, ensure, finish, home, named, say, send

PLACEHOLDER = "(known when the challenger is better)"


@command()
@NAME
@click.option(
    "--new", default="", help="Labelled rows, the oldest first: a folder, a file, s3://…."
)
@click.option("--labels", default="", help="Instead of --new: labels of captured requests.")
@click.option("--captures", default="", help="Captured requests (default: the endpoint's).")
@click.option("--since", default="", help="Only requests from then on, such as 2026-01-31T08:00.")
@click.option(
    "--data",
    multiple=True,
    help="What the model in service was trained on (default: training.data of deploy.toml).",
)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A hyperparameter.")
@image_option("that of the model in service")
@click.option("--report", default="", help="Report of ./deploy.sh monitor, to register with it.")
@click.option("--pipeline", "as_pipeline", is_flag=True, help="Run it as a SageMaker pipeline.")
def retrain(
    session: Session,
    name: str,
    new: str,
    labels: str,
    captures: str,
    since: str,
    data: tuple[str, ...],
    given: tuple[str, ...],
    image: str,
    report: str,
    as_pipeline: bool,
) -> None:
    """
    Train a challenger; replace the model if it is better.

    The challenger is trained on old and new rows, and both are compared on new rows that neither
    has seen. Unless the challenger is better, nothing changes, and the exit code is 8.

    \b
    ./deploy.sh retrain --new labelled.csv
    ./deploy.sh retrain --labels s3://bucket/labels/ --since 2026-01-31
    ./deploy.sh retrain --new s3://bucket/labelled/ --pipeline
    """
    name = name or session.settings.application
    if bool(new) == bool(labels):
        raise UsageError("name the new rows: --new FILE, or --labels FILE for captured requests")
    with tempfile.TemporaryDirectory() as scratch:
        if labels:
            new = str(labelled(session, name, captures, labels, since, Path(scratch)))
        challenge = _challenge(session, name, new, data, given, image)
    if report and not report.startswith("s3://"):
        report = storage.upload_data(session, Path(report), "reports") + Path(report).name
    if as_pipeline:
        arn = pipeline.run(session, challenge, report)
        result: dict[str, Any] = {"model_package": arn}
    else:
        result = _job(session, challenge, report)
        arn = result.get("model_package", "")
    if session.dry_run or not arn:
        finish(session, result)
        return
    from deploy.update import update

    finish(session, result | update(session, name, arn))


def _challenge(
    session: Session,
    name: str,
    new: str,
    data: tuple[str, ...],
    given: tuple[str, ...],
    image: str,
) -> Challenge:
    checks.check_role(session)
    champion = challengers.champion(session, name)
    found = images.find(session, image or champion.image)
    settings = session.settings.training
    images.check(found, settings.instance_type, trains=True)
    checks.check_quota(session, settings.instance_type, 1, "processing job")
    hyperparameters = settings.hyperparameters | pairs(given, "rounds=200")
    return Challenge(
        image=found.uri,
        champion=champion.archive,
        channels=training.channels_of(session, data),
        new=new if new.startswith("s3://") else storage.upload_data(session, Path(new), "new"),
        hyperparameters=training.texts(hyperparameters),
    )


def labelled(
    session: Session, name: str, captures: str, labels: str, since: str, folder: Path
) -> Path:
    """
    Write the captured requests that have labels as rows to train on, and return the file.
    """
    records.find_program()
    from monitoring import rows, truth

    baseline = records.baseline_of(session, challengers.champion(session, name).archive)
    table, label = rows.require_table(baseline.table)
    place = captures or records.destination(session, name)
    asked = records.requests(session, table, place, "", records.moment(since), None)
    if unknown := int((~asked.asked).sum()):
        say(f"{unknown} captured rows are left out, whose requests cannot be read or are not there")
        asked = asked.take(asked.asked)
    found, values = truth.joined(asked, records.labels(session, labels, baseline), label)
    if not len(found):
        raise UsageError(f"none of {len(asked)} captured rows has a label in {labels}")
    say(f"{len(found)} of {len(asked)} captured rows have a label")
    rows.write({label.name: values, **found.columns}, table, folder / "new.csv")
    return folder / "new.csv"


def _job(session: Session, challenge: Challenge, report: str) -> dict[str, Any]:
    """
    Train and compare in one processing job; register the better challenger.

    Raises Kept when it is not better.
    """
    folder = f"{home(session)}/retraining"
    request = challengers.processing(
        session,
        challenge.image,
        challenge.arguments("crossfit", "channels", "new", "champion"),
        challenge.inputs(),
        {"output": folder},
    )
    # The addresses of what was uploaded say the content.
    uploaded = (f"{home(session)}/data/", f"{home(session)}/new/")
    places = [each for each in challenge.inputs().values() if not each.startswith(uploaded)]
    versions = [storage.version(session, each) for each in places]
    base = named(f"{session.settings.application}-retrain", request, repr(versions))
    name, existing = training.attempt(session, "processing_job", base, ("Failed", "Stopped"))
    output = f"{folder}/{name}"
    request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = output
    if existing:
        say(f"reuse processing job {name}, which is {existing['ProcessingJobStatus']}")
    else:
        create(session, "processing_job", name, request)
    result: dict[str, Any] = {"processing_job": name}
    comparison = f"{output}/{challengers.COMPARISON}"
    if session.dry_run:
        found = dict.fromkeys(("sentence", "model_card"), PLACEHOLDER)
    elif not session.wait:
        return result
    else:
        waiting.job(session, "processing_job", name)
        found = json.loads(storage.read(session, comparison))
        say(f"{found['sentence']} ({found['how']})")
        if found["verdict"] != "better":
            raise Kept(f"the model in service stays; the comparison: {comparison}")
    package = challengers.package(
        session,
        challenge.image,
        f"{output}/model/model.tar.gz",
        comparison,
        found["sentence"],
        found["model_card"],
        "Approved",
        report,
    )
    return result | {"comparison": comparison, "model_package": _registered(session, package)}


def _registered(session: Session, package: dict[str, Any]) -> str:
    """
    Return the ARN of a package, of the one that is there if this archive is registered already.
    """
    group = session.settings.application
    ensure(session, "model_package_group", group, {})
    if not session.dry_run:
        sagemaker = client(session, "sagemaker")
        pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        for page in pages:
            for each in page["ModelPackageSummaryList"]:
                found = sagemaker.describe_model_package(ModelPackageName=each["ModelPackageArn"])
                containers = found.get("InferenceSpecification", {}).get("Containers", [{}])
                archive = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
                if containers[0].get("ModelDataUrl") == archive:
                    return str(each["ModelPackageArn"])
        say(f"register a model in {group}")
    return str(send(session, "sagemaker", "create_model_package", package).get("ModelPackageArn"))
