"""
A Lambda function that asks two endpoints the same question at once and returns both answers.

API Gateway hands it the request. What has not answered within the budget is left out, and the
answer says so. It needs boto3 only, which Lambda's Python has.
"""

import base64
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

ENDPOINTS = {"first": os.environ["FIRST_ENDPOINT"], "second": os.environ["SECOND_ENDPOINT"]}
BUDGET_S = int(os.environ["BUDGET_MS"]) / 1000
LATE = {"status": "late"}
RESERVE_S = 0.5  # of Lambda's own time limit, to put the answer together

log = logging.getLogger()
log.setLevel(logging.INFO)
# A second try would begin when the budget is spent, and burden an endpoint that is slow already.
runtime = boto3.client(
    "sagemaker-runtime",
    config=Config(
        connect_timeout=BUDGET_S, read_timeout=BUDGET_S, retries={"total_max_attempts": 1}
    ),
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """
    Answer a request of API Gateway (REST API, Lambda proxy integration).

    200: both have answered. 207: one has. 502: none. 504: none, both were too slow. 4xx: both
    models refused the question; the status is the first one's.
    """
    started = time.monotonic()
    budget = min(BUDGET_S, context.get_remaining_time_in_millis() / 1000 - RESERVE_S)
    question = read(event)
    # New threads for each request: one that still waits for a slow endpoint holds up no other.
    threads = ThreadPoolExecutor(max_workers=len(ENDPOINTS))
    asked = {name: threads.submit(ask, endpoint, question) for name, endpoint in ENDPOINTS.items()}
    threads.shutdown(wait=False)
    wait(asked.values(), timeout=budget)
    answers = {name: each.result() if each.done() else LATE for name, each in asked.items()}
    status = status_of(list(answers.values()))
    line: dict[str, Any] = {"request": question["InferenceId"], "status": status}
    line["ms"] = round((time.monotonic() - started) * 1000)
    log.info(json.dumps(line | {name: each["status"] for name, each in answers.items()}))
    body = {"complete": status == 200, "budget_ms": round(budget * 1000), "answers": answers}
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "X-Request-Id": question["InferenceId"]},
        "body": json.dumps(body),
    }


def read(event: dict[str, Any]) -> dict[str, Any]:
    """
    Return what InvokeEndpoint is asked, but for the endpoint's name.

    Both requests have the id of API Gateway's, by which what was captured of them can be joined.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    body = (event.get("body") or "").encode()
    question = {
        "Body": base64.b64decode(body) if event.get("isBase64Encoded") else body,
        "ContentType": headers.get("content-type", "application/json"),
        "InferenceId": event["requestContext"]["requestId"],
    }
    return question | ({"Accept": headers["accept"]} if "accept" in headers else {})


def ask(endpoint: str, question: dict[str, Any]) -> dict[str, Any]:
    """
    Return an endpoint's answer, or what went wrong, without the account's details.
    """
    try:
        answer = runtime.invoke_endpoint(EndpointName=endpoint, **question)
        content_type = answer.get("ContentType", "")
        body = content(answer["Body"].read(), content_type)
        return {"status": "answered", "content_type": content_type, "body": body}
    except ClientError as error:
        log.warning("%s: %s", endpoint, error)
        original = error.response.get("OriginalStatusCode", 0)
        if 400 <= original < 500:
            said = error.response.get("OriginalMessage", "").encode()
            return {"status": "refused", "code": original, "message": content(said, "json")}
        return {"status": "failed", "message": error.response["Error"]["Code"]}
    except (ConnectTimeoutError, ReadTimeoutError):
        return LATE
    except BotoCoreError as error:
        log.warning("%s: %s", endpoint, error)
        return {"status": "failed", "message": type(error).__name__}
    except Exception:
        log.exception("%s", endpoint)
        return {"status": "failed", "message": "InternalError"}


def content(body: bytes, content_type: str) -> Any:
    """
    Return a body as it can stand in JSON: parsed, as text, or in base64.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
    if "json" in content_type:
        try:
            return json.loads(text)
        except ValueError:  # JSON Lines, or cut off
            pass
    return text


def status_of(answers: list[dict[str, Any]]) -> int:
    """
    Return the HTTP status that says how complete the answer is.
    """
    found = {each["status"] for each in answers}
    if found == {"answered"}:
        return 200
    if "answered" in found:
        return 207
    if found == {"refused"}:
        return int(answers[0]["code"])
    return 504 if found == {"late"} else 502
