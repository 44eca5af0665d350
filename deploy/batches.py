"""
Batch transform: a folder of files, each with its answers.
"""

import json
from pathlib import Path
from typing import Any

import click

from deploy import checks, images, models, storage, waiting
from deploy.errors import UsageError
from deploy.invocation import content_type
from deploy.options import IMAGE, MODEL, command
from deploy.session import Session, create, ensure, finish, home, key, named, say
from deploy.training import attempt


@command()
@click.argument("place", metavar="FOLDER")
@MODEL
@IMAGE
@click.option(
    "--content-type", "media_type", default="", help="Of the files (default: by their ending)."
)
@click.option("--accept", default="", help="Media type of the answers (default: the model's).")
@click.option("--join", is_flag=True, help="Write each row's answer behind the row itself.")
@click.option("--whole-files", is_flag=True, help="Send each file as one request.")
@click.option("--into", type=click.Path(path_type=Path), help="Write all answers into this file.")
def batch(
    session: Session, place: str, model: str, image: str, into: Path | None, **how: Any
) -> None:
    """
    Predict all files of a folder, here or in S3.

    When run again, it predicts only the files that have no answers yet.

    Files are split between lines into requests, so CSV must have no header, or use --whole-files.

    \b
    ./deploy.sh batch s3://bucket/questions/
    ./deploy.sh batch questions/ --join --into answers.csv
    """
    if how["join"] and how["whole_files"]:
        raise UsageError("--join works line by line; leave --whole-files out")
    finish(session, answer(session, place, model, image, into, **how))


def answer(
    session: Session, place: str, model: str, image: str, into: Path | None, **how: Any
) -> dict[str, Any]:
    """
    Do what the command batch does, but for printing; return what it prints.
    """
    if into and not into.absolute().parent.is_dir():
        raise UsageError(f"--into {into}: there is no folder {into.parent}; make it first")
    checks.check_role(session)
    wanted = models.wanted(session, model, image)
    settings = session.settings.batch
    if wanted.image:
        images.check(wanted.image, settings.instance_type, trains=True)
    checks.check_quota(session, settings.instance_type, settings.instance_count, "transform job")
    if settings.max_concurrent * settings.payload_mb > 100:
        raise UsageError(
            f"batch.max_concurrent is {settings.max_concurrent}, payload_mb {settings.payload_mb}; "
            "SageMaker allows 100 MB for their product; lower one of them"
        )
    example = ""
    if not place.startswith("s3://"):
        example = str(next(iter(storage.files(Path(place))), place))
        place = storage.upload_data(session, Path(place), "batch-input")
    given = {each["Key"]: each for each in storage.objects(session, place)}
    if given and all(name.startswith(storage.split(place)[1] + "/") for name in given):
        place += "/"  # a folder: its answers lie where those of the folder with a slash do
    if not given and not session.dry_run:
        raise UsageError(f"nothing lies at {place}; upload files, or correct the address")
    how["media_type"] = how["media_type"] or content_type(example or next(iter(given), place))
    request = _request(session, wanted.name, place, **how)
    base = named(f"{session.settings.application}-batch", request)
    output = f"{home(session)}/batch/{base}/"
    request["TransformOutput"]["S3OutputPath"] = output
    answers = _answers(session, place, output, given)
    missing = [name for name, answer in answers.items() if answer is None]

    result = {"files": len(given), "answers": output}
    if not missing and given:
        say(f"all {len(given)} files have their answers")
    else:
        ensure(session, "model", wanted.name, wanted.request)
        name, running = attempt(session, "transform_job", base, ("Completed", "Failed", "Stopped"))
        if running:
            say(f"transform job {name} is running already")
        else:
            if len(missing) < len(given):
                say(f"{len(missing)} of {len(given)} files lack their answers")
                _only(session, request, place, f"{output.rstrip('/')}-{name}.manifest", missing)
            create(session, "transform_job", name, request)
        result = {"transform_job": name, **result}
        if session.wait and not session.dry_run:

            def progress() -> str:
                found = _answers(session, place, output, given).values()
                return f"{sum(map(bool, found))} of {len(given)} files"

            waiting.job(session, "transform_job", name, progress)
    if into and session.wait and not session.dry_run:
        _join(session, list(_answers(session, place, output, given).values()), into)
        result["joined"] = str(into)
    return result


def _request(
    session: Session,
    model: str,
    place: str,
    media_type: str,
    accept: str,
    join: bool,
    whole_files: bool,
) -> dict[str, Any]:
    settings, output = session.settings.batch, key(session, "output", "KmsKeyId")
    request: dict[str, Any] = {
        "ModelName": model,
        "MaxPayloadInMB": settings.payload_mb,
        "BatchStrategy": "SingleRecord" if whole_files else "MultiRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": place}},
            "ContentType": media_type,
            "SplitType": "None" if whole_files else "Line",
        },
        "TransformOutput": {"AssembleWith": "None" if whole_files else "Line", **output},
        "TransformResources": {
            "InstanceType": settings.instance_type,
            "InstanceCount": settings.instance_count,
            **checks.volume_key(session, settings.instance_type),
        },
    }
    if accept:
        request["TransformOutput"]["Accept"] = accept
    if settings.max_concurrent:
        request["MaxConcurrentTransforms"] = settings.max_concurrent
    if join:
        request["DataProcessing"] = {"JoinSource": "Input"}
    if settings.capture:
        request["DataCaptureConfig"] = {
            "DestinationS3Uri": f"{home(session)}/captured-batch",
            **output,
        }
    return request


def _answers(
    session: Session, place: str, output: str, given: dict[str, dict[str, Any]]
) -> dict[str, str | None]:
    """
    Return where each file's answers are, None for those that have none or are older than the file.
    """
    bucket, folder = storage.split(output)
    top = storage.split(place)[1]
    top = top[: top.rfind("/") + 1]
    there = {each["Key"]: each["LastModified"] for each in storage.objects(session, output)}
    found: dict[str, str | None] = {}
    for name, each in given.items():
        answer = f"{folder}{name.removeprefix(top)}.out"
        current = answer in there and there[answer] >= each["LastModified"]
        found[name] = f"s3://{bucket}/{answer}" if current else None
    return found


def _only(
    session: Session, request: dict[str, Any], place: str, manifest: str, names: list[str]
) -> None:
    """
    Let a request take some files of its folder only.
    """
    bucket, folder = storage.split(place)
    folder = folder[: folder.rfind("/") + 1]
    listed = [{"prefix": f"s3://{bucket}/{folder}"}, *(each.removeprefix(folder) for each in names)]
    storage.write(session, manifest, json.dumps(listed).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": manifest}
    request["TransformInput"]["DataSource"] = {"S3DataSource": source}


def _join(session: Session, answers: list[str | None], into: Path) -> None:
    """
    Put the answers of all files, in the files' order, into one file on this machine.
    """
    with into.open("wb") as file:
        for address in answers:
            if address:
                content = storage.read(session, address)
                file.write(content if content.endswith(b"\n") or not content else content + b"\n")
