"""
Requests to an endpoint.
"""

import mimetypes
import sys
import time
import uuid
from typing import Any

import click
from botocore.exceptions import ClientError

from deploy import storage
from deploy.errors import Failed, TimedOut, UsageError
from deploy.options import NAME, command
from deploy.session import Session, client, describe, home

ENDINGS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".npy": "application/x-npy",
    ".parquet": "application/x-parquet",
    ".txt": "text/plain",
}
SMALL_BODY = 128_000  # bytes that an asynchronous request may hold itself


def content_type(name: str) -> str:
    """
    Return the media type of a file by its ending.
    """
    ending = "." + name.rpartition(".")[2]
    return ENDINGS.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"


@command(changes=False)
@click.argument("file_", metavar="[FILE]", type=click.File("rb"), default="-")
@NAME
@click.option(
    "--content-type", "media_type", default="", help="Of the file (default: by its ending)."
)
@click.option("--accept", default="", help="Media type of the answer (default: the model's).")
@click.option("--variant", default="", help="Ask this variant only.")
@click.option("--stream", is_flag=True, help="Print the answer as it comes.")
@click.option("--timeout", "minutes", default=60.0, help="Minutes to wait for a queued answer.")
@click.option("--poll", default=2.0, help="Seconds between two looks for it.")
def invoke(
    session: Session,
    file_: Any,
    name: str,
    media_type: str,
    accept: str,
    variant: str,
    stream: bool,
) -> None:
    """
    Send a file or standard input, and print the answer.

    The answer of an asynchronous endpoint is waited for.

    \b
    ./deploy.sh invoke question.csv
    echo 1,2,3 | ./deploy.sh invoke --content-type text/csv
    """
    name = name or session.settings.application
    file_name = str(getattr(file_, "name", "<stdin>"))
    if not media_type and file_name == "<stdin>":
        raise UsageError("what comes from standard input? say it, such as --content-type text/csv")
    body = file_.read()
    request = {"EndpointName": name, "ContentType": media_type or content_type(file_name)}
    request |= {"Accept": accept} if accept else {}
    found = describe(session, "endpoint", name)
    if not found:
        raise UsageError(f"there is no endpoint {name}; see ./deploy.sh status")
    try:
        if found.get("AsyncInferenceConfig"):
            _write(_queued(session, request, body))
            return
        request |= {"TargetVariant": variant} if variant else {}
        runtime = client(session, "sagemaker-runtime")
        if stream:
            answer = runtime.invoke_endpoint_with_response_stream(**request, Body=body)
            for event in answer["Body"]:
                if "PayloadPart" not in event:
                    raise Failed(f"the answer broke off: {event}")
                _write(event["PayloadPart"]["Bytes"])
        else:
            _write(runtime.invoke_endpoint(**request, Body=body)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise
        status = error.response.get("OriginalStatusCode", "")
        said = error.response.get("OriginalMessage") or error.response["Error"]["Message"]
        raise Failed(f"{name} answered {status}: {said}\nmore: ./deploy.sh logs {name}") from None


def _write(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _queued(session: Session, request: dict[str, Any], body: bytes) -> bytes:
    """
    Put a request into the queue and return its answer once it is there.
    """
    if len(body) > SMALL_BODY:
        place = f"{home(session)}/async/{request['EndpointName']}/questions/{uuid.uuid4()}"
        storage.write(session, place, body)
        request["InputLocation"] = place
    else:
        request["Body"] = body
    asked = client(session, "sagemaker-runtime").invoke_endpoint_async(**request)
    deadline = time.monotonic() + (session.minutes or 60) * 60
    while True:
        if storage.head(session, asked["OutputLocation"]):
            return storage.read(session, asked["OutputLocation"])
        failure = asked.get("FailureLocation")
        if failure and storage.head(session, failure):
            said = storage.read(session, failure).decode(errors="replace")
            raise Failed(f"{request['EndpointName']} failed: {said}")
        if time.monotonic() > deadline:
            raise TimedOut(f"no answer yet; it will come to {asked['OutputLocation']}")
        time.sleep(session.poll)
