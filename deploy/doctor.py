"""
Looks for what would make a deployment fail: a finding for each part, with its remedy.
"""

import shutil
import subprocess
from collections.abc import Iterator

import click
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy import checks, images, operations, owned
from deploy.checks import BAD, OK, UNKNOWN, Finding
from deploy.errors import DeployError, Failed
from deploy.options import command
from deploy.session import Session, bucket, client, finish, home, role


@command(changes=False)
def doctor(session: Session) -> None:
    """
    Find what would make a deployment fail, with the remedy.

    \b
    ./deploy.sh doctor
    """
    findings = []
    for look in (_credentials, _role, _image, _bucket, _quota, _operations, _docker):
        what = look.__name__.strip("_")
        try:
            findings += [(what, *each) for each in look(session)]
        except DeployError as error:
            findings.append((what, BAD, error.message))
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            known = not (isinstance(error, ClientError) and checks.denied(error))
            findings.append((what, BAD if known else UNKNOWN, str(error)))
    if session.as_json:
        rows = [dict(zip(("what", "finding", "about"), each, strict=True)) for each in findings]
        finish(session, {"findings": rows})
    else:
        for what, finding, about in findings:
            click.echo(f"{finding:<12} {what:<12} {about}")
    if bad := sum(finding == BAD for _, finding, _ in findings):
        raise Failed(f"{bad} of {len(findings)} findings are problems, see above")


def _credentials(session: Session) -> Iterator[Finding]:
    who = client(session, "sts").get_caller_identity()
    yield OK, f"{who['Arn']} in {session.boto.region_name}"


def _role(session: Session) -> Iterator[Finding]:
    yield (trust := checks.trust(session))
    if trust[0] != OK:
        return
    place, lacking = f"arn:aws:s3:::{bucket(session)}", []
    for resource, actions in (
        (f"{place}/{session.settings.application}/x", ["s3:GetObject", "s3:PutObject"]),
        (place, ["s3:ListBucket"]),
        ("*", ["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"]),
        ("*", ["logs:CreateLogStream", "logs:PutLogEvents"]),
    ):
        try:
            answer = client(session, "iam").simulate_principal_policy(
                PolicySourceArn=role(session), ActionNames=actions, ResourceArns=[resource]
            )
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            yield UNKNOWN, f"its permissions: {error}"
            return
        lacking += [
            f"{each['EvalActionName']} on {resource}"
            for each in answer["EvaluationResults"]
            if each["EvalDecision"] != "allowed"
        ]
    yield (BAD, f"grant the role {', '.join(lacking)}") if lacking else (OK, "it may do its work")


def _image(session: Session) -> Iterator[Finding]:
    found = images.find(session)
    images.check(found, session.settings.realtime.instance_type)
    yield OK, f"{found.uri}, {found.architecture or 'processor unknown'}"


def _bucket(session: Session) -> Iterator[Finding]:
    name = bucket(session)
    try:
        client(session, "s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
            yield BAD, f"there is no bucket {name}; make it: aws s3 mb s3://{name}"
        else:
            yield UNKNOWN, f"you may not look into {name}: s3:ListBucket"
        return
    yield OK, home(session)


def _quota(session: Session) -> Iterator[Finding]:
    hosting, jobs = session.settings.realtime, session.settings
    # While an update runs, the new instances stand beside the old ones.
    yield checks.quota(session, hosting.instance_type, 2 * hosting.instance_count, "endpoint")
    for each, usage in ((jobs.training, "training job"), (jobs.batch, "transform job")):
        yield checks.quota(session, each.instance_type, each.instance_count, usage)


def _operations(session: Session) -> Iterator[Finding]:
    names = [each.name for each in owned.find(session) if each.kind == "endpoint"]
    records = [each for name in names if (each := operations.interrupted(session, name))]
    for each in records:
        yield BAD, f"{each['endpoint']}: {each['step']}; finish it: {each['finish']}"
    if not records:
        yield OK, "none is interrupted"


def _docker(session: Session) -> Iterator[Finding]:
    program = shutil.which("docker")
    # The program is the one on the caller's PATH.
    if program and not subprocess.run([program, "version"], capture_output=True).returncode:  # noqa: S603
        yield OK, "an engine answers"
    else:
        yield UNKNOWN, "no Docker engine answers; it is needed to build images and for --local"
