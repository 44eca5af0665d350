"""
The account around the models: the templates of infra/ as stacks.
"""

import difflib
import time
from typing import Any

import click
from botocore.exceptions import ClientError

from deploy import waiting
from deploy.errors import Failed, Interrupted, UsageError
from deploy.options import command, pairs
from deploy.session import TAG, Session, bucket, client, finish, say, send
from deploy.settings import TOP

PARTS = ("storage", "policies", "network", "watching", "audit", "retraining")
USUAL = ("storage", "policies")
# Which output is which key of deploy.toml.
KEYS = {
    "ExecutionRole": "role",
    "Bucket": "bucket",
    "OutputKey": "keys.output",
    "VolumeKey": "keys.volume",
    "SecurityGroup": "network.security_groups",
}
UNCHANGED = ("didn't contain changes", "No updates are to be performed")


@command()
@click.argument("parts", metavar="[PART]...", nargs=-1, type=click.Choice(PARTS))
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def infra(session: Session, parts: tuple[str, ...], given: tuple[str, ...], yes: bool) -> None:
    """
    Make or update keys, bucket, repository and roles.

    It shows the difference first, then asks. Each PART is a CloudFormation template in infra/ and
    becomes a stack; without one, storage and policies do. It needs rights over roles and keys that
    the other commands do not need.

    \b
    ./deploy.sh infra
    ./deploy.sh infra watching --set Email=me@example.com
    """
    values = pairs(given, "Email=me@example.com")
    bodies = {part: _body(part) for part in parts or USUAL}
    names = {part: _parameters(session, body) for part, body in bodies.items()}
    known = {name for each in names.values() for name in each}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1) or sorted(known)
            raise UsageError(f"--set {name}: no part has this parameter; it has {', '.join(near)}")
    outputs: dict[str, str] = {}
    for part, body in bodies.items():
        outputs |= _stack(session, part, body, names[part], values, yes)
    lines = {key: outputs[name] for name, key in KEYS.items() if name in outputs}
    finish(session, {"outputs": outputs, "for_deploy_toml": lines})


def _body(part: str) -> str:
    return (TOP / "infra" / f"{part}.yaml").read_text(encoding="utf-8")


def _parameters(session: Session, body: str) -> dict[str, bool]:
    """
    Return the names of a template's parameters, and whether each must be given.
    """
    summary = client(session, "cloudformation").get_template_summary(TemplateBody=body)
    return {each["ParameterKey"]: "DefaultValue" not in each for each in summary["Parameters"]}


def _stack(
    session: Session,
    part: str,
    body: str,
    names: dict[str, bool],
    values: dict[str, str],
    yes: bool,
) -> dict[str, str]:
    """
    Bring one stack to its template, and return its outputs.
    """
    settings = _settings(session) | values
    owner = settings["Endpoint" if part == "watching" else "Application"]
    change = {
        "StackName": f"{owner}-{part}",
        "ChangeSetName": time.strftime("deploy-%Y-%m-%d-%H-%M-%S"),
    }
    stack = change["StackName"]
    there = describe(session, stack) or {"StackStatus": ""}
    if there["StackStatus"] == "ROLLBACK_COMPLETE":
        raise UsageError(
            f"the stack {stack} could not be made once; look at it, then delete what is left: "
            f"aws cloudformation delete-stack --stack-name {stack}"
        )
    new = there["StackStatus"] in ("", "REVIEW_IN_PROGRESS")
    if new and part == "storage":
        _check_bucket(session, settings["Bucket"])
    before = {each["ParameterKey"] for each in there.get("Parameters", [])}
    if missing := [each for each in names if names[each] and each not in {*settings, *before}]:
        raise UsageError(f"{part} needs " + " ".join(f"--set {each}=…" for each in missing))
    tags = {**session.settings.tags, TAG: session.settings.application}
    request = change | {
        "ChangeSetType": "CREATE" if new else "UPDATE",
        "TemplateBody": body,
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": settings[name]}
            if name in settings
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in sorted(names)
            if name in settings or name in before
        ],
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
    }
    if session.dry_run:
        send(session, "cloudformation", "create_change_set", request)
        send(session, "cloudformation", "execute_change_set", change)
        return {}
    if changes := _changes(session, change, request):
        for each in changes:
            say(f"{stack}: {each}")
        if not yes and not click.confirm(f"Change the stack {stack} so?", err=True):
            _forget(session, change, new)
            raise Interrupted("nothing was changed")
        send(session, "cloudformation", "execute_change_set", change)
        if session.wait:
            _wait(session, stack)
    else:
        say(f"{stack} is as its template says")
    found = describe(session, stack) or {}
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def _settings(session: Session) -> dict[str, str]:
    """
    Return the parameters that deploy.toml says.
    """
    network = session.settings.network
    return {
        "Application": session.settings.application,
        "Bucket": bucket(session),
        "InVpc": "yes" if network.subnets else "no",
        "Endpoint": session.settings.application,
    } | ({"Subnets": ",".join(network.subnets)} if network.subnets else {})


def describe(session: Session, stack: str) -> dict[str, Any] | None:
    """
    Return what CloudFormation knows of a stack, or None when there is none.
    """
    try:
        found: dict[str, Any] = client(session, "cloudformation").describe_stacks(StackName=stack)
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise
    first: dict[str, Any] = found["Stacks"][0]
    return first


def _check_bucket(session: Session, name: str) -> None:
    try:
        client(session, "s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
            return
    raise UsageError(
        f"the bucket {name} is there and not the stack's; take another name, such as "
        f'bucket = "{session.settings.application}-files" in deploy.toml, or --set Bucket=NAME'
    )


def _changes(session: Session, change: dict[str, str], request: dict[str, Any]) -> list[str]:
    """
    Ask for a change set and return what it would do, a line for each resource, if anything.
    """
    cloudformation = client(session, "cloudformation")
    found: dict[str, Any] = {}

    def look() -> tuple[str, bool]:
        found.update(cloudformation.describe_change_set(**change))
        return "comparing", found["Status"] in ("CREATE_COMPLETE", "FAILED")

    try:
        send(session, "cloudformation", "create_change_set", request)
    except ClientError as error:
        if any(words in str(error) for words in UNCHANGED):
            return []
        raise
    waiting.until(session, change["StackName"], look, "nothing is changed yet")
    if found["Status"] == "FAILED":
        reason = found.get("StatusReason", "")
        _forget(session, change, request["ChangeSetType"] == "CREATE")
        if any(words in reason for words in UNCHANGED):
            return []
        raise Failed(f"{change['StackName']} cannot be compared with its template: {reason}")
    pages = cloudformation.get_paginator("describe_change_set").paginate(**change)
    return [_line(each["ResourceChange"]) for page in pages for each in page["Changes"]]


def _line(change: dict[str, Any]) -> str:
    action = "Replace" if change.get("Replacement") == "True" else change["Action"]
    details = change.get("Details", [])
    properties = sorted({d["Target"]["Name"] for d in details if "Name" in d.get("Target", {})})
    text = f"{action:<8} {change['ResourceType']:<28} {change['LogicalResourceId']}"
    return f"{text} ({', '.join(properties)})" if properties else text


def _forget(session: Session, change: dict[str, str], new: bool) -> None:
    """
    Delete a change set that is not wanted, and the empty stack that it made.
    """
    send(session, "cloudformation", "delete_change_set", change)
    if new:
        send(session, "cloudformation", "delete_stack", {"StackName": change["StackName"]})


def _wait(session: Session, stack: str) -> None:
    """
    Wait until a stack has settled; raises Failed with the first reasons if it went back.
    """

    def look() -> tuple[str, bool]:
        state = (describe(session, stack) or {"StackStatus": "DELETE_COMPLETE"})["StackStatus"]
        return state, not state.endswith("_IN_PROGRESS")

    waiting.until(session, stack, look, f"aws cloudformation cancel-update-stack {stack}")
    state = look()[0]
    if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        events = client(session, "cloudformation").describe_stack_events(StackName=stack)
        reasons = [
            f"  {each['LogicalResourceId']}: {each.get('ResourceStatusReason', '')}"
            for each in events["StackEvents"]
            if each["ResourceStatus"].endswith("_FAILED")
        ]
        raise Failed("\n".join([f"the stack {stack} is {state}", *reversed(reasons)]))
