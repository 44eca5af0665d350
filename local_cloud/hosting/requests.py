"""
The runtime: InvokeEndpoint and its stream, answered by the containers.
"""

import http.client
import time
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Request, Response

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError
from local_cloud.hosting import event_stream
from local_cloud.hosting.capture import Capture, Side
from local_cloud.hosting.endpoint import Endpoint
from local_cloud.hosting.endpoints import Endpoints
from local_cloud.hosting.fleet import Turns
from local_cloud.hosting.instance import Answer, Instance
from local_cloud.hosting.multi_model import MultiModel
from local_cloud.hosting.variant import Variant

MOST_BYTES = 25_000_000
MOST_SERVERLESS_BYTES = 4_000_000
SHOWN = 2048  # characters of a container's complaint that its caller sees
PREFIX = "x-amzn-sagemaker-"
OF_THE_PLATFORM = {f"{PREFIX}target-variant", f"{PREFIX}enable-explanations"}


class Requests:
    """
    Hands requests to instances and notes what came of them.
    """

    def __init__(self, cloud: Cloud, endpoints: Endpoints) -> None:
        self._cloud = cloud
        self._endpoints = endpoints
        self._shadow_turns = Turns()
        self._models = MultiModel(cloud)
        self.capture = Capture(cloud)

    def invoke(self, name: str, request: Request) -> Response:
        """
        InvokeEndpoint.
        """
        endpoint, body = self._accepted(name, request)
        headers = forwarded(request)
        self._shadow(endpoint, body, headers)
        variant, instance = endpoint.take(request.headers.get(f"{PREFIX}target-variant", ""))
        path = "/invocations"
        if variant.servable and variant.servable.several:
            target = request.headers.get(f"{PREFIX}target-model", "")
            try:
                path = self._models.path(instance, variant.servable, target)
            except BaseException:
                instance.give_back()
                raise
        answer = self.ask(endpoint, variant, instance, body, headers, path=path)
        self.capture.add(
            endpoint.fleet.config.get("DataCaptureConfig"),
            (endpoint.name, variant.name),
            Side(headers.get("Content-Type", ""), body),
            Side(answer.header("content-type"), answer.body),
            headers.get("X-Amzn-Sagemaker-Inference-Id", ""),
        )
        if answer.status >= 400:
            raise self._model_error(endpoint, answer)
        response = Response(answer.body, content_type=answer.header("content-type"))
        _passed_back(answer, response, variant)
        return response

    def stream(self, name: str, request: Request) -> Response:
        """
        InvokeEndpointWithResponseStream.
        """
        endpoint, body = self._accepted(name, request)
        variant, instance = endpoint.take(request.headers.get(f"{PREFIX}target-variant", ""))
        started = time.monotonic()
        try:
            answer, parts = instance.stream("/invocations", body, forwarded(request))
        except (OSError, http.client.HTTPException) as error:
            instance.give_back()
            answer = self._broken(variant, instance, error)
            raise self._model_error(endpoint, answer) from None
        if answer.status >= 400:
            whole = Answer(answer.status, answer.headers, b"".join(parts))
            instance.give_back()
            self._count(endpoint, variant, whole.status, started)
            raise self._model_error(endpoint, whole)

        def framed() -> Iterator[bytes]:
            try:
                for part in parts:
                    yield event_stream.part(part)
            except (OSError, http.client.HTTPException) as error:
                yield event_stream.failure("ModelStreamError", str(error))
            finally:
                instance.give_back()
                self._count(endpoint, variant, answer.status, started)

        response = Response(framed(), content_type="application/vnd.amazon.eventstream")
        response.headers["X-Amzn-SageMaker-Content-Type"] = answer.header("content-type")
        _passed_back(answer, response, variant)
        return response

    def ask(
        self,
        endpoint: Endpoint,
        variant: Variant,
        instance: Instance,
        body: bytes,
        headers: dict[str, str],
        timeout: float = 60.0,
        path: str = "/invocations",
    ) -> Answer:
        """
        Return what a taken instance answers, errors included, and give it back; counted in
        CloudWatch.
        """
        started = time.monotonic()
        try:
            answer = instance.ask(path, body, headers, timeout)
        except TimeoutError:
            text = "Your invocation timed out while waiting for a response from container primary."
            answer = Answer(504, {}, text.encode())
        except (OSError, http.client.HTTPException) as error:
            answer = self._broken(variant, instance, error)
        finally:
            instance.give_back()
        self._count(endpoint, variant, answer.status, started)
        return answer

    def _accepted(self, name: str, request: Request) -> tuple[Endpoint, bytes]:
        endpoint = self._endpoints.answering(name)
        if "AsyncInferenceConfig" in endpoint.fleet.config:
            raise AwsError(
                "ValidationError",
                f"Endpoint {name} is asynchronous: use InvokeEndpointAsync instead.",
            )
        serverless = endpoint.fleet.variants[0].serverless
        most = MOST_SERVERLESS_BYTES if serverless else MOST_BYTES
        body = request.get_data()
        if len(body) > most:
            raise AwsError(
                "RequestEntityTooLargeException",
                f"the body has {len(body)} bytes; at most {most} are accepted",
                413,
            )
        return endpoint, body

    def _shadow(self, endpoint: Endpoint, body: bytes, headers: dict[str, str]) -> None:
        for shadow in endpoint.fleet.shadows:
            production = endpoint.fleet.variants[0].weight or 1.0
            share = min(1.0, shadow.weight / production)
            if self._shadow_turns.choose([(share, True), (1 - share, False)]):
                self._cloud.clock.background(self._copy, endpoint, shadow, body, headers)

    def _copy(
        self, endpoint: Endpoint, shadow: Variant, body: bytes, headers: dict[str, str]
    ) -> None:
        self.ask(endpoint, shadow, shadow.take(), body, headers)

    def _broken(self, variant: Variant, instance: Instance, error: Exception) -> Answer:
        # The platform puts another instance in the place of one that does not answer any more.
        self._cloud.clock.background(variant.replace, instance)
        return Answer(503, {}, f"the container does not answer: {error}".encode())

    def _count(self, endpoint: Endpoint, variant: Variant, status: int, started: float) -> None:
        taken = (time.monotonic() - started) * 1e6
        self._cloud.metrics.add(
            {"EndpointName": endpoint.name, "VariantName": variant.name},
            Invocations=1,
            InvocationsPerInstance=1 / max(1, variant.count),
            Invocation4XXErrors=400 <= status < 500,
            Invocation5XXErrors=status >= 500,
            ModelLatency=taken,
            OverheadLatency=taken / 100,
        )

    def _model_error(self, endpoint: Endpoint, answer: Answer) -> AwsError:
        side = "client" if answer.status < 500 else "server"
        text = answer.body.decode("utf-8", "replace")[:SHOWN]
        group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
        region, account = self._cloud.region, self._cloud.account
        more: dict[str, Any] = {
            "OriginalStatusCode": answer.status,
            "OriginalMessage": text,
            "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{group}",
        }
        return AwsError(
            "ModelError",
            f'Received {side} error ({answer.status}) from primary with message "{text}". '
            f"See log group {group} in account {account} for more information.",
            424,
            **more,
        )


def forwarded(request: Request) -> dict[str, str]:
    """
    Return the headers that a container sees.
    """
    found = {}
    for name, value in request.headers.items():
        low = name.lower()
        if low in ("content-type", "content-encoding", "accept"):
            found[name] = value
        elif low in (f"{PREFIX}content-type", f"{PREFIX}accept"):  # of asynchronous requests
            found[low.removeprefix(PREFIX).title()] = value
        elif low.startswith(PREFIX) and low not in OF_THE_PLATFORM:
            found[name.title()] = value
    return found


def _passed_back(answer: Answer, response: Response, variant: Variant) -> None:
    response.headers["x-Amzn-Invoked-Production-Variant"] = variant.name
    custom = "x-amzn-sagemaker-custom-attributes"
    if custom in answer.headers:
        response.headers["X-Amzn-SageMaker-Custom-Attributes"] = answer.headers[custom]
