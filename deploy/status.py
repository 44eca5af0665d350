"""
What is there, what really runs, and how it differs from the file.
"""

from datetime import timedelta
from typing import Any

import click

from deploy import endpoints, metrics, operations, owned
from deploy.errors import UsageError
from deploy.options import command
from deploy.session import KIND_TAG, Session, describe, finish, say

DAY_S = 86_400
SWITCHES = ("KmsKeyId", "DataCaptureConfig.EnableCapture")
METRICS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")


@command(changes=False)
@click.argument("name", required=False)
def status(session: Session, name: str | None) -> None:
    """
    Show what is there, what runs, what differs from deploy.toml.

    With the requests of the last day, and operations that were interrupted.

    \b
    ./deploy.sh status
    ./deploy.sh status my-endpoint --json
    """
    things = [each for each in owned.find(session) if name in (None, each.name)]
    if name and not things:
        raise UsageError(
            f"nothing named {name} carries the tag of {session.settings.application}; see "
            "./deploy.sh status, or set application in deploy.toml"
        )
    report: dict[str, Any] = {"endpoints": [], "jobs": []}
    for each in things:
        if each.kind == "endpoint" and (found := describe(session, "endpoint", each.name)):
            report["endpoints"].append(endpoint(session, each, found))
        elif each.kind.endswith("_job") and (found := describe(session, each.kind, each.name)):
            state = found.get("TrainingJobStatus") or found.get("TransformJobStatus")
            report["jobs"].append({"job": each.name, "state": state})
    if not any(report.values()):
        say(f"nothing carries the tag of {session.settings.application}: ./deploy.sh train begins")
    finish(session, report)


def endpoint(session: Session, thing: owned.Owned, found: dict[str, Any]) -> dict[str, Any]:
    """
    Return what is to be said of an endpoint.
    """
    name = thing.name
    configured = describe(session, "endpoint_config", found["EndpointConfigName"]) or {}
    models = {
        each["VariantName"]: each["ModelName"] for each in configured.get("ProductionVariants", [])
    }
    variants = []
    for each in found.get("ProductionVariants", []):
        model = describe(session, "model", models.get(each["VariantName"], "")) or {}
        variants.append(
            {
                "variant": each["VariantName"],
                "model": models.get(each["VariantName"]),
                "archive": model.get("PrimaryContainer", {}).get("ModelDataUrl"),
                "images": [
                    image.get("ResolvedImage") or image.get("SpecifiedImage")
                    for image in each.get("DeployedImages", [])
                ],
                "weight": each.get("CurrentWeight"),
                "instances": each.get("CurrentInstanceCount"),
                "wanted_instances": each.get("DesiredInstanceCount"),
                "last_day": requests(session, name, each["VariantName"]),
            }
        )
    return {
        "endpoint": name,
        "state": found["EndpointStatus"],
        "reason": found.get("FailureReason"),
        "configuration": found["EndpointConfigName"],
        "variants": variants,
        "differs_from_file": differences(session, thing.tags.get(KIND_TAG, ""), name, configured),
        "interrupted": operations.interrupted(session, name),
    }


def requests(session: Session, name: str, variant: str) -> dict[str, int]:
    """
    Return how many requests and errors a variant had in the last day.
    """
    day = timedelta(seconds=DAY_S)
    return {
        metric: int(
            sum(e["Sum"] for e in metrics.values(session, name, variant, metric, day, DAY_S, "Sum"))
        )
        for metric in METRICS
    }


def differences(
    session: Session, kind: str, name: str, configured: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """
    Return where a configuration is not what the file would make for the same model.
    """
    variants = configured.get("ProductionVariants", [])
    if not kind or not variants:
        return {}
    model = variants[0]["ModelName"]
    wanted = _flat(endpoints.configuration(session, kind, name, model), "")
    runs = _flat({part: value for part, value in configured.items() if part != "Tags"}, "")
    # AWS adds its own defaults, so only these are looked at where the file says nothing.
    paths = [*wanted, *(path for path in SWITCHES if path in runs and path not in wanted)]
    return {
        path: {"file": wanted.get(path), "runs": runs.get(path)}
        for path in paths
        if wanted.get(path) != runs.get(path)
    }


def _flat(value: Any, path: str) -> dict[str, Any]:
    """
    Return the leaves of a request by their paths.
    """
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    made: dict[str, Any] = {}
    for name, part in parts:
        here = f"{path}.{name}".lstrip(".")
        made |= _flat(part, here) if isinstance(part, dict | list) else {here: part}
    return made
