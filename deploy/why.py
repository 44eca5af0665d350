"""
Why something failed: all that is known of it, in one answer.
"""

from typing import Any

import click

from deploy import causes, logs, operations, status
from deploy.options import command
from deploy.session import Session, client, finish

LINES = 20


@command(changes=False)
@click.argument("name", required=False)
def why(session: Session, name: str | None) -> None:
    """
    Explain a failed job, endpoint or update, with the remedy.

    \b
    ./deploy.sh why
    ./deploy.sh why JOB
    """
    name = name or session.settings.application
    kind, found = logs.find(session, name)
    lines = logs.tail(session, kind, name, LINES)
    report: dict[str, Any] = {
        kind: name,
        "state": found.get("EndpointStatus")
        or found.get("SecondaryStatus")
        or found.get("TransformJobStatus"),
        "reason": found.get("FailureReason", ""),
        **(_endpoint(session, name, found) if kind == "endpoint" else {}),
        "last_lines": [f"{host} | {text}" for host, text in lines],
    }
    # The platform's own words first: what the log says may be older.
    evidence = [str(value) for field, value in report.items() if field != "last_lines"]
    matching = causes.match("\n".join([*evidence, *report["last_lines"]]))
    report["causes"] = [{"meaning": each.meaning, "remedy": each.remedy} for each in matching]
    if not matching:
        good = report["state"] in ("InService", "Completed") and not report["reason"]
        unknown = "the cause is not one of docs/troubleshooting.md; read the lines above"
        report["hint"] = "nothing has failed" if good else unknown
    finish(session, report)


def _endpoint(session: Session, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """
    Return what is known beyond the description: alarms that watch its updates, requests, a record.
    """
    watching = (
        found.get("LastDeploymentConfig", {}).get("AutoRollbackConfiguration", {}).get("Alarms", [])
    )
    names = [each["AlarmName"] for each in watching]
    alarms = client(session, "cloudwatch").describe_alarms(AlarmNames=names) if names else {}
    return {
        "alarms": [
            f"{each['AlarmName']} is {each['StateValue']}: {each.get('StateReason', '')}"
            for each in alarms.get("MetricAlarms", [])
        ],
        "last_day": {
            each["VariantName"]: status.requests(session, name, each["VariantName"])
            for each in found.get("ProductionVariants", [])
        },
        "interrupted": operations.interrupted(session, name),
    }
