"""
Another model, image or instance type behind a running endpoint.
"""

from typing import Any

import click

from deploy import checks, endpoints, images, models, operations
from deploy.errors import UsageError
from deploy.options import IMAGE, MODEL, command
from deploy.preparation import kind, prepare, serving
from deploy.session import Session, finish, named, say
from deploy.strategies import KINDS, Strategy
from deploy.transition import Transition, settle

GUARD = (
    click.option(
        "--strategy",
        "how",
        type=click.Choice(KINDS),
        default="all-at-once",
        show_default=True,
        help="How traffic moves to the new instances.",
    ),
    click.option("--percent", default=0, help="Share that moves at once (canary 10, others 25)."),
    click.option(
        "--bake", default=300, show_default=True, help="Seconds to watch alarms after each move."
    ),
    click.option(
        "--alarm",
        "watched",
        multiple=True,
        help="CloudWatch alarm that rolls back, repeatable (default: made, on errors and latency).",
    ),
    click.option(
        "--latency-ms",
        default=0.0,
        help="Limit of the default alarm (default: three times the last day's average).",
    ),
    click.option(
        "--spare",
        type=click.IntRange(0),
        help="Additional instances during the update (default: 1 for a scaled variant).",
    ),
)


def guarded(function: Any) -> Any:
    """
    Add the options of a guarded update to a command.
    """
    for option in reversed(GUARD):
        function = option(function)
    return function


@command("update")
@click.argument("name", required=False)
@MODEL
@IMAGE
@click.option("--variant", default="", help="Which variant, where there are several.")
@click.option("--resume", is_flag=True, help="Only finish an update that was interrupted.")
@guarded
def update_command(
    session: Session,
    name: str | None,
    model: str,
    image: str,
    variant: str,
    resume: bool,
    how: str,
    percent: int,
    bake: int,
    watched: tuple[str, ...],
    latency_ms: float,
    spare: int | None,
) -> None:
    """
    Put another model or image behind a running endpoint.

    Changed settings of deploy.toml apply too; number of instances, weights and scaling stay. If
    alarms bring the old configuration back, the exit code is 5.

    \b
    ./deploy.sh update --model JOB
    ./deploy.sh update my-endpoint --image my-model:v2 --strategy canary
    ./deploy.sh update my-endpoint --resume
    """
    name = name or session.settings.application
    if resume:
        finish(session, finish_interrupted(session, name))
        return
    strategy = Strategy(how, percent, bake, watched, latency_ms)
    finish(session, update(session, name, model, image, strategy, variant, spare))


def update(
    session: Session,
    name: str,
    model: str = "",
    image: str = "",
    strategy: Strategy = Strategy(),  # noqa: B008 - frozen
    variant: str = "",
    spare: int | None = None,
) -> dict[str, Any]:
    """
    Bring an endpoint to another model or image, and to what deploy.toml says now.

    Returns what serves. Raises UsageError for what cannot be, before anything is changed, and
    RolledBack when the old configuration serves again.
    """
    checks.check_role(session)
    found, old = serving(session, name)
    changed = _variant(old, variant)
    if image and not model:
        model = _archive(session, changed)
    wanted = models.wanted(session, model, image)
    request = _request(session, found, old, changed, wanted.name)
    if wanted.image:
        entry = next(e for e in request["ProductionVariants"] if e["ModelName"] == wanted.name)
        images.check(wanted.image, entry.get("InstanceType", ""))
    new = named(name, request)
    result = {"endpoint": name, "configuration": new, "model": wanted.name, "before": None}
    if new == old["EndpointConfigName"]:
        say(f"{name} serves this already")
        return result
    change = prepare(session, found, old, new, request, strategy, spare, [wanted])
    Transition(session, change).run()
    return result | {"before": old["EndpointConfigName"], "back": f"./deploy.sh rollback {name}"}


def finish_interrupted(session: Session, name: str) -> dict[str, Any]:
    """
    Bring back scaling and counts after an operation that was interrupted; say what serves.
    """
    record = operations.read(session, name)
    if not record or record.get("ended"):
        say(f"no operation on {name} is interrupted")
        return {"endpoint": name}
    outcome = settle(session, record)
    if outcome != "updated":
        say(f"{name} serves {record['old']} as before; the command that was interrupted may be run")
    return {"endpoint": name, "outcome": outcome}


def _variant(old: dict[str, Any], name: str) -> dict[str, Any]:
    """
    Return the part of a configuration for the variant that is changed.
    """
    listed = {each["VariantName"]: each for each in old["ProductionVariants"]}
    if not name and len(listed) == 1:
        name = next(iter(listed))
    if name not in listed:
        raise UsageError(f"--variant is '{name}'; expected {' or '.join(listed)}")
    found: dict[str, Any] = listed[name]
    return found


def _archive(session: Session, variant: dict[str, Any]) -> str:
    """
    Return the address of the archive that a variant serves now, for another image.
    """
    address = models.container_of(session, variant["ModelName"]).get("ModelDataUrl")
    if not address:
        raise UsageError(f"{variant['ModelName']} has no archive; name one: --model")
    return str(address)


def _request(
    session: Session,
    found: dict[str, Any],
    old: dict[str, Any],
    changed: dict[str, Any],
    model: str,
) -> dict[str, Any]:
    """
    Return the new configuration: deploy.toml's, with what only the running one knows.
    """
    request = endpoints.configuration(session, kind(old), found["EndpointName"], model)
    (entry,) = request["ProductionVariants"]
    entry["VariantName"] = changed["VariantName"]
    if "InitialVariantWeight" in changed:
        entry["InitialVariantWeight"] = changed["InitialVariantWeight"]
    runs = {each["VariantName"]: each for each in found.get("ProductionVariants", [])}
    # AWS retains what is held ready for no update, so that the configuration has to say it.
    now = runs.get(changed["VariantName"], {}).get("DesiredServerlessConfig")
    ready = (now or changed.get("ServerlessConfig", {})).get("ProvisionedConcurrency")
    if ready:
        limits = entry["ServerlessConfig"]
        limits["ProvisionedConcurrency"] = min(ready, limits["MaxConcurrency"])
    request["ProductionVariants"] = [
        entry if each["VariantName"] == changed["VariantName"] else each
        for each in old["ProductionVariants"]
    ]
    if shadows := old.get("ShadowProductionVariants"):
        request["ShadowProductionVariants"] = shadows
    return request
