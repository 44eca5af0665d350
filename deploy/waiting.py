"""
Waiting until something has ended: one line for each change, with the time that has passed.
"""

import time
from collections.abc import Callable
from typing import Any

from deploy.errors import Failed, Interrupted, RolledBack, TimedOut
from deploy.session import STATUS, Session, describe, say

RUNNING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def until(session: Session, name: str, look: Callable[[], tuple[str, bool]], stop: str) -> None:
    """
    Call ``look``, which returns a state and whether it is the last, until it is.

    ``stop`` is the command that ends what would go on. Raises TimedOut and Interrupted.
    """
    started, last = time.monotonic(), ""
    goes_on = f"goes on in AWS\n  look: ./deploy.sh status {name}\n  stop: {stop}"
    try:
        while True:
            state, ended = look()
            seconds = int(time.monotonic() - started)
            if state != last:
                say(f"{seconds // 60:3}:{seconds % 60:02}  {state}")
                last = state
            if ended:
                return
            if session.minutes is not None and seconds > session.minutes * 60:
                raise TimedOut(f"after {session.minutes:g} minutes {name} is {state}; it {goes_on}")
            time.sleep(min(session.poll, max(1.0, seconds / 10)))  # often at first
    except KeyboardInterrupt:
        raise Interrupted(f"{name} {goes_on}") from None


def rest(session: Session, name: str, also: Callable[[], str] = lambda: "") -> dict[str, Any]:
    """
    Wait until an endpoint is in service and return its description; ``also`` is shown with its
    state. Raises Failed.
    """
    found: dict[str, Any] = {}

    def look() -> tuple[str, bool]:
        found.clear()
        found.update(describe(session, "endpoint", name) or {"EndpointStatus": "Deleted"})
        pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
        steps = {step["Status"] for each in pending for step in each.get("VariantStatus", [])}
        state = " ".join([found["EndpointStatus"], *sorted(steps), also()]).strip()
        return state, found["EndpointStatus"] not in RUNNING

    until(session, name, look, f"./deploy.sh teardown {name}")
    if found["EndpointStatus"] != "InService":
        raise Failed(
            f"endpoint {name} is {found['EndpointStatus']}: {_reason(found)}\n"
            f"more: ./deploy.sh why {name}"
        )
    return found


def endpoint(
    session: Session, name: str, configuration: str, also: Callable[[], str] = lambda: ""
) -> dict[str, Any]:
    """
    Wait until an endpoint serves a configuration and return its description.

    A rollback ends InService like a success: only the name of the configuration tells. Raises
    Failed and RolledBack.
    """
    found = rest(session, name, also)
    if found["EndpointConfigName"] != configuration:
        raise RolledBack(
            f"endpoint {name} serves {found['EndpointConfigName']} again, not {configuration}: "
            f"{_reason(found)}\nmore: ./deploy.sh why {name}"
        )
    return found


def _reason(found: dict[str, Any]) -> str:
    return str(found.get("FailureReason") or "no reason is given")


def job(
    session: Session, kind: str, name: str, progress: Callable[[], str] = lambda: ""
) -> dict[str, Any]:
    """
    Wait until a job has ended and return its description.

    ``progress`` is shown with its state. Raises Failed unless the job is Completed.
    """
    found: dict[str, Any] = {}
    field = STATUS[kind]

    def look() -> tuple[str, bool]:
        found.clear()
        found.update(describe(session, kind, name) or {field: "Deleted"})
        state = found.get("SecondaryStatus", found[field])
        return f"{state} {progress()}".strip(), found[field] not in ("InProgress", "Stopping")

    dashed = kind.replace("_", "-")
    until(session, name, look, f"aws sagemaker stop-{dashed} --{dashed}-name {name}")
    if found[field] != "Completed":
        reason = found.get("FailureReason") or found.get("SecondaryStatus", "no reason is given")
        raise Failed(f"{name} is {found[field]}: {reason}\nmore: ./deploy.sh why {name}")
    return found
