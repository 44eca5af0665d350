"""
Causes and remedies: what ``why`` looks up, and the troubleshooting page's table.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """
    ``signs`` are parts of what AWS or the container says, any of which is enough.
    """

    signs: tuple[str, ...]
    meaning: str
    remedy: str


CAUSES = (
    Cause(
        ("did not pass the ping health check",),
        "The model did not load or did not answer the test row.",
        "The log has one ERROR line with the reason; `/ping` says it too. Start the same image and "
        "archive with `local_test/serve-local.sh`.",
    ),
    Cause(
        ('exec: "train"', 'exec: "serve"', "executable file not found in $PATH"),
        "The image was not built with this Dockerfile, which puts `train` and `serve` on the PATH "
        "and sets their run bits.",
        "Build with `./build.sh`, push with `./build_and_push.sh`.",
    ),
    Cause(
        ("exec format error",),
        "The image was built for another processor, such as on an Apple laptop.",
        "`./build.sh` builds linux/amd64 unless `PLATFORM` says otherwise.",
    ),
    Cause(
        ("Unsupported manifest media type", "manifest is application/vnd"),
        "SageMaker takes Docker v2 manifests of one platform only.",
        "Push with `./build_and_push.sh`, which makes one and checks it.",
    ),
    Cause(
        ("Could not access model data", "Could not find model data"),
        "The archive is not where the model says, or the execution role may not read it.",
        "`aws s3 ls` the address; give the role `s3:GetObject` and `s3:ListBucket` on it.",
    ),
    Cause(
        ("AlgorithmError",),
        "`train` ended by itself. Other toolkits say `AlgorithmError: ExecuteUserScriptError: "
        "ExitCode 1` and no more; here the reason begins with the cause, and the exit code has a "
        "name: [training.md](training.md#exit-codes).",
        "Correct what the reason names and run `./deploy.sh train` again: it makes a new attempt.",
    ),
    Cause(
        ("was sent SIGKILL! Perhaps out of memory?", "exit code: 137", "out of memory"),
        "The container needed more memory than the instance has.",
        "Take a larger instance type, or fewer workers: `MODEL_SERVER_WORKERS`.",
    ),
    Cause(
        ("MaxRuntimeExceeded",),
        "The job was stopped at its time limit; what was in the model folder by then is kept.",
        "Raise `training.max_hours`, or take a larger instance type.",
    ),
    Cause(
        ("MaxWaitTimeExceeded",),
        "There was no spare capacity for the spot job in time.",
        "Raise `training.max_wait_hours`, take another instance type, or turn `training.spot` off.",
    ),
    Cause(
        (
            "CapacityError",
            "InsufficientInstanceCapacity",
        ),
        "AWS has no such instances free at the moment.",
        "Run the command again later, or take another instance type or another zone's subnet.",
    ),
    Cause(
        ("ResourceLimitExceeded",),
        "The account's quota for this instance type is used up; an update needs twice as many.",
        "Ask for more in Service Quotas, Amazon SageMaker; or take another type.",
    ),
    Cause(
        ("Could not assume role",),
        "The execution role does not trust SageMaker, or was made a moment ago.",
        "Trust the principal `sagemaker.amazonaws.com`; wait a minute after making a role. "
        "`./deploy.sh doctor` looks at it.",
    ),
    Cause(
        ("AccessDenied", "is not authorized to perform"),
        "The caller or the execution role lacks the permission that is named.",
        "Grant the action on the resource in the message; `./deploy.sh doctor` looks at the role.",
    ),
    Cause(
        ("Unable to locate credentials", "ExpiredToken", "security token included in the request"),
        "There are no valid AWS credentials.",
        "`aws configure` or `aws sso login`, or choose a profile: `export AWS_PROFILE=NAME`.",
    ),
    Cause(
        ("must specify a region",),
        "No AWS region is chosen.",
        "`export AWS_REGION=eu-west-1`, or `aws configure set region eu-west-1`.",
    ),
    Cause(
        ("Could not connect to the endpoint", "Connect timeout on endpoint"),
        "AWS cannot be reached.",
        "Check the network, a proxy (`HTTPS_PROXY`), `AWS_ENDPOINT_URL`; in a private subnet the "
        "VPC's endpoints.",
    ),
    Cause(
        ("ThrottlingException", "Rate exceeded"),
        "Too many calls in a short time, by all users of the account together.",
        "Run the command again: it goes on where it was.",
    ),
    Cause(
        ("is ALARM",),
        "An alarm went off while the update was being watched, and the old configuration serves.",
        "Look at what the new one did: `./deploy.sh logs`; the alarm's metric says when.",
    ),
    Cause(
        ("invalid_value", '"status": 422'),
        "A value or column of a request breaks the schema.",
        "`where` in the answer names row and column. In batch, a header is not a row: files with "
        "one need `--whole-files`.",
    ),
    Cause(
        ("unsupported_media_type", '"status": 415'),
        "The content type is not one that the model reads.",
        "The message lists what is read: `--content-type`. A body may be compressed by gzip "
        "(`Content-Encoding: gzip`), by nothing else.",
    ),
    Cause(
        ("not_acceptable", '"status": 406'),
        "`Accept` names nothing that the algorithm writes.",
        "Leave `--accept` out to get its usual format.",
    ),
    Cause(
        ("payload_too_large", '"status": 413'),
        "The body is above `MODEL_SERVER_MAX_PAYLOAD_MB`, or above SageMaker's limits: 25 MB "
        "real-time, 4 MB serverless, 100 MB batch, 1 GB asynchronous.",
        "Send smaller bodies, or use `./deploy.sh async` or `batch`.",
    ),
    Cause(
        (
            "worker_failed",
            "upstream prematurely closed connection",
            "WORKER TIMEOUT",
        ),
        "A worker died or was too slow: look for the line before it.",
        "`MODEL_SERVER_TIMEOUT` sets the time for all layers; above 60 s take `./deploy.sh async`.",
    ),
)


def match(text: str) -> list[Cause]:
    """
    Return the causes whose signs are in a text.
    """
    return [each for each in CAUSES if any(sign in text for sign in each.signs)]


def markdown() -> str:
    """
    Return the table for the troubleshooting page.
    """
    rows = [
        f"| {', '.join(f'`{sign}`' for sign in each.signs)} | {each.meaning} {each.remedy} |"
        for each in CAUSES
    ]
    return "\n".join(["| you see | what it means here, and what to do |", "|---|---|", *rows])
