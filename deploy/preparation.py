"""
What is found out and checked before the first call of an update.
"""

from datetime import timedelta
from typing import Any

from deploy import alarms, checks, metrics, operations, scaling, strategies
from deploy.errors import UsageError
from deploy.models import Model
from deploy.session import ENDPOINT_TAG, KIND_TAG, Session, describe, say
from deploy.strategies import Strategy
from deploy.transition import Change

HOUR_S = 3600
CAPTURE = "DataCaptureConfig"
VARIANTS = ("ProductionVariants", "ShadowProductionVariants")


def serving(session: Session, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return an endpoint that can be changed, and its configuration; raises UsageError otherwise.
    """
    found = describe(session, "endpoint", name)
    if not found:
        raise UsageError(f"there is no endpoint {name}; make it: ./deploy.sh realtime")
    if record := operations.interrupted(session, name):
        raise UsageError(
            f"an operation on {name} has not ended: {record['step']}. Does it run elsewhere, let "
            f"it; was it interrupted, finish it first: {record['finish']}"
        )
    if found["EndpointStatus"] == "Failed":
        raise UsageError(
            f"the endpoint {name} has failed: ./deploy.sh why {name}\n"
            f"It can only be deleted: ./deploy.sh teardown {name}"
        )
    old = describe(session, "endpoint_config", found["EndpointConfigName"])
    if not old:
        raise UsageError(
            f"the configuration {found['EndpointConfigName']} of {name} was deleted, so that AWS "
            f"cannot update it; make the endpoint anew: ./deploy.sh teardown {name}"
        )
    return found, old


def kind(configuration: dict[str, Any]) -> str:
    """
    Tell which of realtime, serverless and async a configuration is.
    """
    if "AsyncInferenceConfig" in configuration:
        return "async"
    variants = configuration["ProductionVariants"]
    return "serverless" if "ServerlessConfig" in variants[0] else "realtime"


def prepare(
    session: Session,
    found: dict[str, Any],
    old: dict[str, Any],
    new: str,
    request: dict[str, Any],
    strategy: Strategy,
    spare: int | None = None,
    models: list[Model] | None = None,
    excluded: tuple[str, ...] = (),
) -> Change:
    """
    Return a change that may begin; raises UsageError for what would fail.
    """
    name, of_kind = found["EndpointName"], kind(old)
    change = Change(found, old, new, request, models or [], excluded=excluded)
    change.tags = {ENDPOINT_TAG: name, KIND_TAG: of_kind}
    change.scaling = scaling.read(session, name)
    if request.get(CAPTURE) != old.get(CAPTURE):
        change.excluded += (CAPTURE,)
    change.raised = _raised(change, spare)
    _guard(session, change, of_kind, strategy)
    _check_quota(session, change, strategy)
    return change


def _raised(change: Change, spare: int | None) -> dict[str, tuple[int, int]]:
    """
    Return the counts before and during the update: scaling rests then, so that what it might add
    is there beforehand.
    """
    most = {
        scaling.variant(each): each["target"]["MaxCapacity"]
        for each in change.scaling
        if not each["target"].get("SuspendedState", {}).get("DynamicScalingOutSuspended")
    }
    raised = {}
    for each in change.endpoint.get("ProductionVariants", []):
        name, count = each["VariantName"], each.get("DesiredInstanceCount", 0)
        more = spare if spare is not None else int(name in most)
        wanted = min(count + more, max(count, most.get(name, count + more)))
        if count and wanted > count:
            raised[name] = (count, wanted)
    return raised


def _instances(change: Change) -> dict[str, int]:
    """
    Return how many instances each variant has when the update begins.
    """
    listed = change.endpoint.get("ProductionVariants", [])
    counts = {each["VariantName"]: each.get("DesiredInstanceCount", 0) for each in listed}
    return counts | {name: after for name, (_, after) in change.raised.items()}


def _guard(session: Session, change: Change, of_kind: str, strategy: Strategy) -> None:
    """
    Choose alarms and DeploymentConfig.
    """
    name, variants = change.name, [each["VariantName"] for each in change.old["ProductionVariants"]]
    same = variants == [each["VariantName"] for each in change.request["ProductionVariants"]]
    if not strategy.guarded:
        return
    if of_kind == "serverless" or not same:
        if strategy.kind != "all-at-once" or strategy.alarms:
            what = "a serverless endpoint" if same else "an update that adds or removes variants"
            raise UsageError(f"{what} is updated all at once, and no alarm rolls it back")
        return
    strategies.check(strategy, sum(_instances(change).values()), len(variants))
    if not strategy.alarms:
        change.alarms = alarms.default_set(session, name, variants, strategy, of_kind == "async")
    made = [each["AlarmName"] for each in change.alarms]
    alarms.check(session, list(strategy.alarms), made)
    change.deployment = strategies.deployment(strategy, [*strategy.alarms, *made])
    alarms.check_role(session, _role(session, change), change.watched)
    asked = ("Invocations", timedelta(seconds=HOUR_S), HOUR_S, "Sum")
    if of_kind == "realtime" and not any(
        value["Sum"] for each in variants for value in metrics.values(session, name, each, *asked)
    ):
        say(
            f"nobody has asked {name} in the last hour: without requests no alarm goes off, so "
            "that the update proves nothing. Send some while it runs"
        )


def _role(session: Session, change: Change) -> str:
    variant = change.old["ProductionVariants"][0]
    model = describe(session, "model", variant["ModelName"]) or {}
    return str(model.get("ExecutionRoleArn") or session.settings.role)


def _check_quota(session: Session, change: Change, strategy: Strategy) -> None:
    """
    Raise UsageError unless old and new fleet may stand side by side.
    """
    counts = _instances(change)
    needed: dict[str, int] = {}
    for configuration in (change.old, change.request):
        if configuration is change.request and "DesiredInstanceCount" in change.excluded:
            counts = {}  # it says itself how many
        for each in (each for member in VARIANTS for each in configuration.get(member, [])):
            if instance_type := each.get("InstanceType"):
                count = counts.get(each["VariantName"], each.get("InitialInstanceCount", 1))
                if strategy.kind == "rolling" and configuration is change.request:
                    count = -(-count * strategy.share // 100)
                needed[instance_type] = needed.get(instance_type, 0) + count
    for instance_type, count in needed.items():
        checks.check_quota(session, instance_type, count, "endpoint")
