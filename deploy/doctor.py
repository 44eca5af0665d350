"""
Looks for what would make a deployment fail: a finding for each part, with its remedy.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator

import click
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy import checks, images, operations, owned
from deploy.errors import DeployError, Failed
from deploy.options import command
from deploy.session import Session, bucket, client, finish, home, role

OK, BAD, UNKNOWN = "ok", "problem", "cannot know"


@command(changes=False)
def doctor(session: Session) -> None:
    """
    Look for what would make a deployment fail, and say the remedy.

    \b
    ./deploy.sh doctor
    """
    checked: list[tuple[str, Callable[[Session], Iterator[tuple[str, str]]]]] = [
        ("credentials", _credentials),
        ("role", _role),
        ("image", _image),
        ("bucket", _bucket),
        ("quota", _quota),
        ("operations", _operations),
        ("docker", _docker),
    ]
    findings = []
    for what, look in checked:
        try:
            findings += [(what, *each) for each in look(session)]
        except DeployError as error:
            findings.append((what, BAD, error.message))
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            denied = "AccessDenied" in str(error) or "not authorized" in str(error)
            findings.append((what, UNKNOWN if denied else BAD, str(error)))
    if session.as_json:
        rows = [dict(zip(("what", "finding", "about"), each, strict=True)) for each in findings]
        finish(session, {"findings": rows})
    else:
        for what, finding, about in findings:
            click.echo(f"{finding:<12} {what:<12} {about}")
    if bad := sum(finding == BAD for _, finding, _ in findings):
        raise Failed(f"{bad} of {len(findings)} findings are problems, see above")


def _credentials(session: Session) -> Iterator[tuple[str, str]]:
    who = client(session, "sts").get_caller_identity()
    yield OK, f"{who['Arn']} in {session.boto.region_name}"


def _role(session: Session) -> Iterator[tuple[str, str]]:
    checks.check_role(session)
    if checks.trusts_sagemaker(session, role(session)) is None:
        yield UNKNOWN, f"you may not look at {role(session)}: iam:GetRole"
        return
    yield OK, f"{role(session)} trusts SageMaker"
    place = f"arn:aws:s3:::{bucket(session)}"
    needed = {
        f"{place}/{session.settings.application}/x": ["s3:GetObject", "s3:PutObject"],
        place: ["s3:ListBucket"],
        "*": [
            "ecr:GetAuthorizationToken",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "cloudwatch:PutMetricData",
        ],
    }
    lacking = []
    for resource, actions in needed.items():
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


def _image(session: Session) -> Iterator[tuple[str, str]]:
    found = images.find(session)
    images.check(found, session.settings.realtime.instance_type)
    yield OK, f"{found.uri}, {found.architecture or 'processor unknown'}"


def _bucket(session: Session) -> Iterator[tuple[str, str]]:
    name = bucket(session)
    try:
        client(session, "s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
            yield BAD, f"there is no bucket {name}; make it: aws s3 mb s3://{name}"
            return
        yield UNKNOWN, f"you may not look into {name}: s3:ListBucket"
        return
    yield OK, home(session)


def _quota(session: Session) -> Iterator[tuple[str, str]]:
    settings = session.settings
    wanted = [
        # While an update runs, the new instances stand beside the old ones.
        (settings.realtime.instance_type, 2 * settings.realtime.instance_count, "endpoint"),
        (settings.training.instance_type, settings.training.instance_count, "training job"),
        (settings.batch.instance_type, settings.batch.instance_count, "transform job"),
    ]
    for instance_type, count, usage in wanted:
        allowed = checks.quota(session, instance_type, usage)
        about = f"{instance_type} for {usage} usage: {count} wanted"
        if allowed is None:
            yield UNKNOWN, about
        elif allowed < count:
            yield BAD, f"{about}, {allowed:g} allowed; ask for more in Service Quotas"
        else:
            yield OK, f"{about}, {allowed:g} allowed"


def _operations(session: Session) -> Iterator[tuple[str, str]]:
    open_ = [
        record
        for each in owned.find(session)
        if each.kind == "endpoint" and (record := operations.interrupted(session, each.name))
    ]
    for record in open_:
        yield BAD, f"{record['endpoint']}: {record['step']}; finish it: {record['finish']}"
    if not open_:
        yield OK, "none is interrupted"


def _docker(session: Session) -> Iterator[tuple[str, str]]:
    program = shutil.which("docker")
    if not program:
        yield UNKNOWN, "docker is not installed; it is needed to build images and for --local"
        return
    done = subprocess.run([program, "version"], capture_output=True, text=True)  # noqa: S603
    yield (
        (OK, "an engine answers")
        if done.returncode == 0
        else (
            UNKNOWN,
            "no engine answers; it is needed to build images and for --local",
        )
    )
