"""
Back to the configuration that served before the last update.
"""

from typing import Any

import click

from deploy import autoscale, operations
from deploy.errors import UsageError
from deploy.options import command
from deploy.preparation import prepare, serving
from deploy.session import Session, describe, finish
from deploy.strategies import Strategy
from deploy.transition import Transition, types

# At once and without alarms, of which one may be red just now.
AT_ONCE = Strategy(guarded=False)


@command("rollback")
@click.argument("name", required=False)
@click.option("--to", "wanted", default="", help="A configuration (default: the previous one).")
def rollback_command(session: Session, name: str | None, wanted: str) -> None:
    """
    Go back to the configuration before the last update.

    \b
    ./deploy.sh rollback
    ./deploy.sh rollback my-endpoint --to my-endpoint-3fa94c1b02
    """
    finish(session, rollback(session, name or session.settings.application, wanted))


def rollback(session: Session, name: str, wanted: str = "") -> dict[str, Any]:
    """
    Update an endpoint to the configuration before, or to another one that there is.

    Returns what serves. Raises UsageError where none is known.
    """
    found, old = serving(session, name)
    wanted = wanted or (operations.read(session, name) or {}).get("before") or ""
    if not wanted:
        raise UsageError(
            f"no update of {name} is recorded, so that nothing is known to have served before; "
            "name a configuration: --to"
        )
    if wanted == old["EndpointConfigName"]:
        raise UsageError(f"{name} serves {wanted} already; name another configuration: --to")
    described = describe(session, "endpoint_config", wanted)
    if not described:
        raise UsageError(f"there is no endpoint configuration {wanted}; name one that is: --to")
    request = operations.accepted(session, "sagemaker", "CreateEndpointConfig", described)
    # A variant that comes back has its configuration's weight, beside which the others' later ones
    # would say something else.
    decided = () if set(types(old)) == set(types(request)) else ("DesiredWeight",)
    change = prepare(session, found, old, wanted, request, AT_ONCE, excluded=decided)
    Transition(session, change).run()
    if session.wait:
        _hold_ready(session, found, request)
    return {"endpoint": name, "configuration": wanted, "before": old["EndpointConfigName"]}


def _hold_ready(session: Session, found: dict[str, Any], request: dict[str, Any]) -> None:
    """
    Let serverless variants hold ready what they held: AWS retains it for no update.
    """
    most = {
        each["VariantName"]: each["ServerlessConfig"]["MaxConcurrency"]
        for each in request["ProductionVariants"]
        if "ServerlessConfig" in each
    }
    for each in found["ProductionVariants"]:
        ready = each.get("DesiredServerlessConfig", {}).get("ProvisionedConcurrency")
        name = each["VariantName"]
        if ready and name in most:
            autoscale.hold_ready(session, found["EndpointName"], name, min(ready, most[name]))
