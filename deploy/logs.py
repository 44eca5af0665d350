"""
What containers print, in CloudWatch Logs.
"""

import time
from collections.abc import Iterator
from typing import Any

import click

from deploy.errors import UsageError
from deploy.options import command
from deploy.session import Session, client, describe

# The group of each kind, and what the streams' names begin with.
GROUPS = {
    "endpoint": ("/aws/sagemaker/Endpoints/{}", ""),
    "training_job": ("/aws/sagemaker/TrainingJobs", "{}/"),
    "transform_job": ("/aws/sagemaker/TransformJobs", "{}/"),
}
STREAMS = 20  # whose last lines are shown: hosts of a job, or the latest instances of an endpoint
LATE_MS = 60_000  # lines of one host may arrive after later ones of another
ENDED = ("Completed", "Failed", "Stopped")


def find(session: Session, name: str) -> tuple[str, dict[str, Any]]:
    """
    Return whether a name is an endpoint, a training job or a transform job, and its description.
    """
    for kind in GROUPS:
        if found := describe(session, kind, name):
            return kind, found
    raise UsageError(
        f"there is no endpoint, training job or transform job '{name}'; see ./deploy.sh status"
    )


def lines(
    session: Session, kind: str, name: str, since: int = 0
) -> Iterator[tuple[int, str, str, str]]:
    """
    Yield time in milliseconds, identity, host and text of the lines of all hosts in their order.
    """
    group, prefix = (each.format(name) for each in GROUPS[kind])
    logs = client(session, "logs")
    asked: dict[str, Any] = {"logGroupName": group, "startTime": since}
    if prefix:
        asked["logStreamNamePrefix"] = prefix
    try:
        for page in logs.get_paginator("filter_log_events").paginate(**asked):
            for each in page["events"]:
                stream = each["logStreamName"]
                if not stream.startswith(prefix):  # moto does not look at the prefix
                    continue
                text = each["message"].rstrip("\n")
                yield each["timestamp"], each["eventId"], _host(stream, prefix), text
    except logs.exceptions.ResourceNotFoundException:
        return


def tail(session: Session, kind: str, name: str, count: int) -> list[tuple[str, str]]:
    """
    Return host and text of the last lines of each host.
    """
    group, prefix = (each.format(name) for each in GROUPS[kind])
    logs, found = client(session, "logs"), []
    # With a prefix AWS orders by name only; an endpoint's group has streams of instances long gone.
    order = {"logStreamNamePrefix": prefix} if prefix else {"orderBy": "LastEventTime"}
    asked = {"logGroupName": group, "descending": not prefix, "limit": STREAMS, **order}
    try:
        for stream in logs.describe_log_streams(**asked)["logStreams"]:
            where = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
            events = logs.get_log_events(**where, limit=count, startFromHead=False)["events"]
            host = _host(stream["logStreamName"], prefix)
            found += [(host, each["message"].rstrip("\n")) for each in events]
    except logs.exceptions.ResourceNotFoundException:
        pass
    return found


def _host(stream: str, prefix: str) -> str:
    """
    Return what is said before a line: of a job the host, of an endpoint variant and instance.
    """
    return stream.removeprefix(prefix).rpartition("-")[0] if prefix else stream


@command(changes=False)
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended, or Ctrl-C.")
@click.option(
    "--minutes", "past", default=60.0, show_default=True, help="For endpoints: how far back."
)
@click.option("--poll", default=5.0, help="Seconds between two looks.")
def logs(session: Session, name: str | None, follow: bool, past: float) -> None:
    """
    Show what the containers of an endpoint or a job print.

    \b
    ./deploy.sh logs
    ./deploy.sh logs --follow JOB
    """
    name = name or session.settings.application
    kind, found = find(session, name)
    since = int((time.time() - past * 60) * 1000) if kind == "endpoint" else 0
    seen: set[str] = set()
    try:
        while True:
            for moment, identity, host, text in lines(session, kind, name, since):
                if identity not in seen:
                    seen.add(identity)
                    since = max(since, moment - LATE_MS)
                    click.echo(f"{host} | {text}")
            status = "".join(
                str(found.get(each, "")) for each in ("TrainingJobStatus", "TransformJobStatus")
            )
            if not follow or status in ENDED:
                return
            time.sleep(session.poll)
            # Looked at before the lines, so that none which came last is missed.
            kind, found = find(session, name)
    except KeyboardInterrupt:
        return
