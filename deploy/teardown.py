"""
Taking away what carries the application's tag.
"""

import click

from deploy import models, operations, owned, scaling, waiting
from deploy.errors import Interrupted, UsageError
from deploy.options import command
from deploy.session import Session, client, describe, finish, home, say, send


@command()
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def teardown(session: Session, name: str | None, yes: bool) -> None:
    """
    Delete what carries the application's tag, after asking.

    These are all endpoints, or one, with scaling, configurations, models and alarms; with all of
    them the pipeline that retrains and the registered models. Data, logs, images and roles stay.

    \b
    ./deploy.sh teardown
    ./deploy.sh teardown my-endpoint --yes
    """
    things = [each for each in owned.find(session) if not each.kind.endswith("_job")]
    if name:
        things = _of_endpoint(session, things, name)
    # Tags of what was deleted a moment ago are still listed.
    things = [e for e in things if e.kind == "alarm" or describe(session, e.kind, e.name)]
    _check_use(session, things)
    versions = _versions(session, things)
    for each in things:
        registered = versions.get(each.name) if each.kind == "model_package_group" else None
        more = f", with {len(registered)} registered models" if registered else ""
        say(f"{each.kind.replace('_', ' ')} {each.name}{more}")
    asks = bool(things) and not (yes or session.dry_run)
    if asks and not click.confirm(f"Delete these {len(things)}?", err=True):
        raise Interrupted("nothing was deleted")
    for each in things:
        if each.kind == "pipeline":  # first, since AWS refuses it while one runs
            send(session, "sagemaker", "delete_pipeline", {"PipelineName": each.name})
    endpoints = [each.name for each in things if each.kind == "endpoint"]
    for endpoint in endpoints:
        _delete_endpoint(session, endpoint)
    if not session.dry_run:
        for endpoint in endpoints:
            _wait(session, endpoint, gone=True)
    for each in sorted(things, key=lambda each: each.kind):  # configurations before models
        if each.kind == "endpoint_config":
            send(session, "sagemaker", "delete_endpoint_config", {"EndpointConfigName": each.name})
        if each.kind == "model":
            send(session, "sagemaker", "delete_model", {"ModelName": each.name})
    for group, listed in versions.items():
        for arn in listed:  # a group that has any is not deleted
            send(session, "sagemaker", "delete_model_package", {"ModelPackageName": arn})
        request = {"ModelPackageGroupName": group}
        send(session, "sagemaker", "delete_model_package_group", request)
    if alarms := [each.name for each in things if each.kind == "alarm"]:
        send(session, "cloudwatch", "delete_alarms", {"AlarmNames": alarms})
    kept = [
        f"files in {home(session)}",
        *(f"log group /aws/sagemaker/Endpoints/{each}" for each in endpoints),
        f"images of {session.settings.image or session.settings.application}",
        *([f"role {session.settings.role}"] if session.settings.role else []),
    ]
    finish(session, {"deleted": [f"{e.kind} {e.name}" for e in things], "kept": kept})


def _versions(session: Session, things: list[owned.Owned]) -> dict[str, list[str]]:
    """
    Return the ARNs of the models that are registered in each group.
    """
    pages = client(session, "sagemaker").get_paginator("list_model_packages")
    return {
        group.name: [
            each["ModelPackageArn"]
            for page in pages.paginate(ModelPackageGroupName=group.name)
            for each in page["ModelPackageSummaryList"]
        ]
        for group in things
        if group.kind == "model_package_group"
    }


def _of_endpoint(session: Session, things: list[owned.Owned], name: str) -> list[owned.Owned]:
    """
    Return what belongs to one endpoint: of the models those that no other configuration uses.
    """
    configurations = [each for each in things if each.kind == "endpoint_config"]
    used: dict[str, set[str]] = {}
    for each in configurations:
        for model in models.of_configuration(session, each.name):
            used.setdefault(model, set()).add(each.endpoint)
    chosen = [
        each
        for each in things
        if each.endpoint == name or (each.kind == "model" and used.get(each.name) == {name})
    ]
    if not chosen:
        raise UsageError(
            f"nothing of an endpoint {name} carries the tag of {session.settings.application}; "
            "see ./deploy.sh status"
        )
    return chosen


def _check_use(session: Session, things: list[owned.Owned]) -> None:
    """
    Raise UsageError for a configuration whose endpoint would stay: SageMaker could not change it.
    """
    going = {each.name for each in things if each.kind == "endpoint"}
    for each in things:
        if each.kind == "endpoint_config" and each.endpoint and each.endpoint not in going:
            found = describe(session, "endpoint", each.endpoint)
            if found and found["EndpointConfigName"] == each.name:
                raise UsageError(
                    f"{each.name} is in use by the endpoint {each.endpoint}, which is not listed "
                    f"with the tag of {session.settings.application}; was it made a moment ago, "
                    "wait a minute; otherwise delete it first: aws sagemaker delete-endpoint "
                    f"--endpoint-name {each.endpoint}"
                )


def _delete_endpoint(session: Session, name: str) -> None:
    scaling.deregister(session, owned.scaled(session, name))
    if not session.dry_run:
        # While it is being made or changed it cannot be deleted.
        _wait(session, name, gone=False)
    # Somebody may have deleted it meanwhile, or an earlier run that was stopped.
    if describe(session, "endpoint", name):
        send(session, "sagemaker", "delete_endpoint", {"EndpointName": name})
    operations.forget(session, name)  # another endpoint of this name has no past


def _wait(session: Session, name: str, gone: bool) -> None:
    def look() -> tuple[str, bool]:
        found = describe(session, "endpoint", name)
        state = found["EndpointStatus"] if found else "Deleted"
        return state, state == "Deleted" if gone else state not in waiting.RUNNING

    waiting.until(session, name, look, "it cannot be")
