"""
InvokeEndpointAsync: a queue for each endpoint, results in S3, notifications by SNS.
"""

import json
import logging
import queue
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from local_cloud import errors
from local_cloud.clock import Stopped
from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, Failed
from local_cloud.hosting.endpoint import Endpoint
from local_cloud.hosting.endpoints import Endpoints
from local_cloud.hosting.instance import Answer
from local_cloud.hosting.requests import PREFIX, Requests, forwarded

DEFAULT_CONCURRENCY = 4  # AWS chooses by itself when MaxConcurrentInvocationsPerInstance is absent
TIMEOUT_S = 900  # of an invocation; at most 3,600
LIFE_S = 21_600  # of a request in the queue
MOST_INLINE = 128_000
LOOK_S = 0.1
BACKLOG_S = 60.0
log = logging.getLogger("local_cloud")


@dataclass(frozen=True)
class Task:
    """
    A request that waits.
    """

    identity: str
    inference: str
    location: str
    body: bytes | None
    headers: dict[str, str]
    output: str
    failure: str
    timeout_s: float
    end: float
    received: str


class Queues:
    """
    The queues of the asynchronous endpoints.
    """

    def __init__(self, cloud: Cloud, endpoints: Endpoints, requests: Requests) -> None:
        self._cloud = cloud
        self._endpoints = endpoints
        self._requests = requests
        self._lock = threading.Lock()
        self._queues: dict[str, queue.SimpleQueue[Task]] = {}
        self._running: dict[str, int] = {}

    def invoke(self, name: str, request: Request) -> Response:
        """
        InvokeEndpointAsync: accept a request.
        """
        endpoint = self._endpoints.answering(name)
        config = endpoint.fleet.config.get("AsyncInferenceConfig")
        if not config:
            raise AwsError("ValidationError", f"Endpoint {name} is not asynchronous.")
        task = self._task(config, request)
        with self._lock:
            waiting = self._queues.get(name)
            if waiting is None:
                waiting = self._queues[name] = queue.SimpleQueue()
                self._cloud.clock.background(self._work_forever, endpoint, waiting)
                self._cloud.clock.background(self._count_forever, endpoint, waiting)
        waiting.put(task)
        answer = Response(json.dumps({"InferenceId": task.inference}), 202)
        answer.content_type = "application/json"
        answer.headers["X-Amzn-SageMaker-OutputLocation"] = task.output
        answer.headers["X-Amzn-SageMaker-FailureLocation"] = task.failure
        return answer

    def _task(self, config: dict[str, Any], request: Request) -> Task:
        headers = request.headers
        location = headers.get(f"{PREFIX}inputlocation", "")
        body = request.get_data()
        if bool(location) == bool(body):
            raise AwsError("ValidationError", "Exactly one of InputLocation and Body is required")
        if len(body) > MOST_INLINE:
            raise AwsError("ValidationError", f"Body has more than {MOST_INLINE} bytes")
        identity = str(uuid.uuid4())
        places = config["OutputConfig"]
        output = places.get("S3OutputPath") or ""
        failure = places.get("S3FailurePath") or f"{output.rstrip('/')}-failure"
        return Task(
            identity=identity,
            inference=headers.get(f"{PREFIX}inference-id") or str(uuid.uuid4()),
            location=location,
            body=body or None,
            headers=forwarded(request),
            output=f"{output.rstrip('/')}/{identity}.out",
            failure=f"{failure.rstrip('/')}/{identity}-error.out",
            timeout_s=float(headers.get(f"{PREFIX}invocationtimeoutseconds", TIMEOUT_S)),
            end=time.monotonic() + float(headers.get(f"{PREFIX}requestttlseconds", LIFE_S)),
            received=self._cloud.clock.now().isoformat(),
        )

    def _work_forever(self, endpoint: Endpoint, waiting: "queue.SimpleQueue[Task]") -> None:
        while endpoint.record["EndpointStatus"] != "Deleting":
            client = endpoint.fleet.config["AsyncInferenceConfig"].get("ClientConfig", {})
            each = client.get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
            room = each * sum(variant.count for variant in endpoint.fleet.variants)
            if self._running.get(endpoint.name, 0) >= room or waiting.empty():
                self._cloud.clock.pause(LOOK_S)
                continue
            with self._lock:
                self._running[endpoint.name] = self._running.get(endpoint.name, 0) + 1
            self._cloud.clock.background(self._run, endpoint, waiting.get())
        with self._lock:
            self._queues.pop(endpoint.name, None)

    def _count_forever(self, endpoint: Endpoint, waiting: "queue.SimpleQueue[Task]") -> None:
        while endpoint.record["EndpointStatus"] != "Deleting":
            backlog = waiting.qsize() + self._running.get(endpoint.name, 0)
            instances = sum(variant.count for variant in endpoint.fleet.variants)
            self._cloud.metrics.add(
                {"EndpointName": endpoint.name},
                ApproximateBacklogSize=backlog,
                ApproximateBacklogSizePerInstance=backlog / max(1, instances),
                HasBacklogWithoutCapacity=bool(backlog and not instances),
            )
            self._cloud.clock.pause(max(0.25, self._cloud.clock.real(BACKLOG_S) / 2))

    def _run(self, endpoint: Endpoint, task: Task) -> None:
        answer = None
        try:
            reason, answer = self._answer(endpoint, task)
            if answer:
                kind = answer.header("content-type")
                self._cloud.store.write(task.output, answer.body, ContentType=kind)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller waits for an answer
            reason = errors.reason(error)
        try:
            if reason:
                self._cloud.store.write(task.failure, reason.encode())
        except Failed as error:
            log.warning("no failure object for %s: %s", task.identity, error)
        finally:
            with self._lock:
                self._running[endpoint.name] -= 1
        self._notify(endpoint, task, reason, answer)

    def _answer(self, endpoint: Endpoint, task: Task) -> tuple[str, Answer | None]:
        """
        Return why it failed, or the answer.
        """
        if time.monotonic() > task.end:
            return "The request was longer in the queue than RequestTTLSeconds", None
        try:
            body = task.body if task.body is not None else self._cloud.store.read(task.location)
            variant, instance = endpoint.take()
        except (Failed, AwsError) as error:
            return str(error), None
        answer = self._requests.ask(
            endpoint, variant, instance, body, task.headers, timeout=task.timeout_s
        )
        if answer.status < 400:
            return "", answer
        text = answer.body.decode("utf-8", "replace")
        side = "client" if answer.status < 500 else "server"
        return f"Received {side} error ({answer.status}) from model with message '{text}'", None

    def _notify(self, endpoint: Endpoint, task: Task, reason: str, answer: Answer | None) -> None:
        places = endpoint.fleet.config["AsyncInferenceConfig"]["OutputConfig"]
        topics = places.get("NotificationConfig", {})
        parameters = {"endpointName": endpoint.name, "inputLocation": task.location}
        kind = {key.lower(): value for key, value in task.headers.items()}.get("content-type")
        if kind:
            parameters["contentType"] = kind
        message: dict[str, Any] = {
            "awsRegion": self._cloud.region,
            "eventTime": self._cloud.clock.now().isoformat(),
            "receivedTime": task.received,
            "invocationStatus": "Failed" if reason else "Completed",
            "requestParameters": parameters,
            "inferenceId": task.inference,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        if reason:
            message["failureReason"] = reason
        elif answer:
            message["responseParameters"] = {
                "contentType": answer.header("content-type"),
                "outputLocation": task.output,
            }
        topic = topics.get("ErrorTopic" if reason else "SuccessTopic")
        self._cloud.backend.publish(topic, json.dumps(message))
