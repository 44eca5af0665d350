"""
An endpoint comes from one configuration to another, in AWS's seven steps for endpoints with
automatic scaling.

Before the first step a record is written to the bucket, since whatever follows may be the last
thing that the process does; ``settle`` brings back what the record says.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy import alarms, operations, scaling, waiting
from deploy.errors import DeployError, Failed, Interrupted, RolledBack, TimedOut
from deploy.models import Model
from deploy.session import SOON, Session, describe, ensure, say, send
from deploy.superseded import delete

STEPS = 7
BUSY_S = 60  # so long a call is tried again while scaling changes the endpoint


@dataclass
class Change:
    """
    ``old`` and ``request`` are the two configurations, ``new`` the second one's name. ``raised``
    has, for variants that get more instances for the time of the update, both counts; ``excluded``
    names what the new configuration decides, not the running endpoint.
    """

    endpoint: dict[str, Any]
    old: dict[str, Any]
    new: str
    request: dict[str, Any]
    models: list[Model] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    scaling: list[dict[str, Any]] = field(default_factory=list)
    raised: dict[str, tuple[int, int]] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    deployment: dict[str, Any] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """
        The endpoint's name.
        """
        return str(self.endpoint["EndpointName"])

    @property
    def watched(self) -> list[str]:
        """
        The names of the alarms that roll it back.
        """
        listed = self.deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        return [each["AlarmName"] for each in listed]

    @property
    def in_the_way(self) -> list[dict[str, Any]]:
        """
        The scaling of variants that go or change their instance type, with which AWS refuses.
        """
        before, after = types(self.old), types(self.request)
        return [
            each
            for each in self.scaling
            if after.get(scaling.variant(each), "gone") != before.get(scaling.variant(each))
        ]


def types(configuration: dict[str, Any]) -> dict[str, str | None]:
    """
    Return the instance types by variant; None for a serverless one.
    """
    listed = configuration["ProductionVariants"]
    return {each["VariantName"]: each.get("InstanceType") for each in listed}


def _model(configuration: dict[str, Any]) -> str:
    return str(configuration["ProductionVariants"][0]["ModelName"])  # which monitor looks at


class Transition:
    """
    The seven steps of one change.
    """

    def __init__(self, session: Session, change: Change) -> None:
        self._session = session
        self._change = change
        self._red: dict[str, str] = {}
        last = operations.read(session, change.name) or {}
        self.record: dict[str, Any] = {
            "endpoint": change.name,
            "step": f"0 of {STEPS}: nothing is changed yet",
            "finish": f"./deploy.sh update {change.name} --resume",
            "begun": datetime.now(UTC),
            "old": change.old["EndpointConfigName"],
            "new": change.new,
            "before": last.get("before"),
            "superseded": last.get("before"),
            "since": operations.served_since(last, change.old).isoformat(),
            "old_configuration": change.old,
            "keeps_model": _model(change.old) == _model(change.request),
            "scaling": change.scaling,
            "deregistered": [each["target"]["ResourceId"] for each in change.in_the_way],
            "raised": change.raised,
        }

    def run(self) -> None:
        """
        Take the steps; raises RolledBack when the old configuration serves after all.
        """
        operations.write(self._session, self.record)
        try:
            self._take()
        except (TimedOut, Interrupted) as error:
            rest = f"{error.message}\n  then finish it: {self.record['finish']}"
            raise type(error)(rest) from None
        except (DeployError, BotoCoreError, ClientError) as error:
            self._give_up()
            if isinstance(error, RolledBack):
                raise RolledBack("\n".join([error.message, *self._red.values()])) from None
            raise

    def _take(self) -> None:
        session, change = self._session, self._change
        away, raised = change.in_the_way, change.raised
        keeps = "the scaled variants keep their instance types" if change.scaling else "none scales"
        self._step(
            1,
            "take the scaling away",
            lambda: scaling.deregister(session, [each["target"] for each in away]),
            "" if away else keeps,
        )
        self._step(
            2,
            "raise the capacity",
            lambda: _set_counts(session, change.name, {v: to for v, (_, to) in raised.items()}),
            "" if raised else "no variant is scaled below its most; --spare adds instances",
        )
        self._step(3, "wait until it is in service", self._wait_for_old)
        self._step(4, "read the present configuration", self._read)
        self._step(5, "create the new one", self._create)
        self._step(6, "update", self._update)
        if session.wait:
            self._step(
                7,
                "bring back scaling and counts",
                lambda: _bring_back(session, self.record),
                "" if away or raised else "nothing was taken away",
            )
            _end(session, self.record, "updated")
        else:
            say(f"step 7 of {STEPS} is left: {self.record['finish']}")

    def _step(self, number: int, what: str, act: Callable[[], Any], skipped: str = "") -> None:
        title, planned = f"{number} of {STEPS}: {what}", self._session.planned
        if skipped:
            say(f"step {title}: skipped, {skipped}")
            planned += [{"step": title, "skipped": skipped}] if self._session.dry_run else []
            return
        say(f"step {title}")
        if not self._session.dry_run:
            self.record["step"] = title
            operations.write(self._session, self.record)
            act()
            return
        begun = len(planned)
        act()
        planned[begun:] = [{"step": title} | each for each in planned[begun:] or [{}]]

    def _wait_for_old(self) -> None:
        if not self._session.dry_run:
            waiting.endpoint(
                self._session, self._change.name, self._change.old["EndpointConfigName"]
            )

    def _read(self) -> None:
        found = describe(self._session, "endpoint_config", self.record["old"])
        if not found or types(found) != types(self._change.old):
            raise Failed(
                f"the configuration of {self._change.name} was changed by somebody else meanwhile; "
                "run the command again"
            )

    def _create(self) -> None:
        change, session = self._change, self._session
        for each in change.models:
            ensure(session, "model", each.name, each.request)
        ensure(session, "endpoint_config", change.new, change.request, **change.tags)
        alarms.ensure(session, change.alarms)

    def _update(self) -> None:
        change, session = self._change, self._session
        request = {
            "EndpointName": change.name,
            "EndpointConfigName": change.new,
            "RetainAllVariantProperties": True,
        }
        if change.excluded:
            listed = [{"VariantPropertyType": each} for each in change.excluded]
            request["ExcludeRetainedVariantProperties"] = listed
        if change.deployment:
            request["DeploymentConfig"] = change.deployment
        ask(session, "update_endpoint", request)
        if session.wait and not session.dry_run:
            waiting.endpoint(session, change.name, change.new, lambda: "; ".join(self._seen()))
            self.record["updated"] = datetime.now(UTC)

    def _seen(self) -> dict[str, str]:
        self._red = alarms.red(self._session, self._change.watched) | self._red
        return self._red

    def _give_up(self) -> None:
        """
        Bring back what can be brought back at once; the rest stays in the record.
        """
        with suppress(DeployError, BotoCoreError, ClientError):
            found = describe(self._session, "endpoint", self._change.name) or {}
            if found.get("EndpointStatus") == "InService":
                settle(self._session, self.record)
                return
        say(f"left as it is at step {self.record['step']}; finish it: {self.record['finish']}")


def settle(session: Session, record: dict[str, Any]) -> str:
    """
    Bring an operation to its end: whichever configuration serves, with scaling and counts as
    before. Return what has come of it.
    """
    found = waiting.rest(session, record["endpoint"])
    updated = found["EndpointConfigName"] == record["new"]
    record.setdefault("updated", found["LastModifiedTime"])  # unless the process saw it happen
    _bring_back(session, record)
    outcome = "updated" if updated else "not updated"
    _end(session, record, outcome)
    return outcome


def ask(session: Session, method: str, request: dict[str, Any]) -> None:
    """
    Change an endpoint; while scaling changes it, wait.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            send(session, "sagemaker", method, request)
            return
        except ClientError as error:
            message = error.response["Error"].get("Message", "")
            found = describe(session, "endpoint", request["EndpointName"]) or {}
            pending = found.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
            if pending and pending == request.get("EndpointConfigName"):
                return  # the answer to an earlier attempt was lost
            soon = "in-progress" in message or SOON.match(message)
            if not soon or time.monotonic() > deadline:
                raise
            time.sleep(min(2.0, session.poll))


def _set_counts(session: Session, endpoint: str, counts: dict[str, int]) -> None:
    for place, (name, count) in enumerate(counts.items()):
        if place and not session.dry_run:
            waiting.rest(session, endpoint)  # AWS changes the capacity of one variant at a time
        wanted = {"VariantName": name, "DesiredInstanceCount": count}
        request = {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [wanted]}
        ask(session, "update_endpoint_weights_and_capacities", request)


def _bring_back(session: Session, record: dict[str, Any]) -> None:
    found = describe(session, "endpoint", record["endpoint"]) or {}
    counts = {
        each["VariantName"]: each.get("DesiredInstanceCount")
        for each in found.get("ProductionVariants", [])
    }
    taken = record["deregistered"]
    kept = [each for each in record["scaling"] if each["target"]["ResourceId"] in taken]
    scaling.restore(session, kept, set(counts))
    lower = {
        name: before
        for name, (before, raised) in record["raised"].items()
        if counts.get(name) == raised  # otherwise somebody has changed it since
    }
    if lower:
        _set_counts(session, record["endpoint"], lower)
        if not session.dry_run:
            waiting.rest(session, record["endpoint"])


def _end(session: Session, record: dict[str, Any], outcome: str) -> None:
    if session.dry_run:
        return
    if outcome == "updated":
        record["before"] = record["old"]
        if not record["keeps_model"]:
            record["since"] = record["updated"]
    operations.end(session, record, outcome)
    superseded = record["superseded"]
    if outcome == "updated" and superseded and superseded not in (record["old"], record["new"]):
        delete(session, record["endpoint"], superseded)
