"""
Hosting: the start.
"""

from typing import TYPE_CHECKING

from conformance.verdicts import Area, Failed, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("hosting")

ADVICE = "give a model to serve: --training DIR or --model DIR"


@area.check(
    "serve-starts",
    "`docker run IMAGE serve` finds something to execute.",
    consequence='No endpoint starts: exec: "serve": executable file not found in $PATH.',
    remedy="Put an executable file named serve on PATH (chmod +x, Unix line endings), or an "
    "ENTRYPOINT that takes the word.",
)
def serve_starts(lab: "Lab") -> str:
    start = lab.servers.start
    if not start.executed:
        raise Failed(start.reason)
    return "started"


@area.check(
    "ping-start",
    "/ping answers 200 within 8 minutes of the start, on port 8080 of every interface.",
    consequence='The endpoint fails: the container "did not pass the ping health check".',
    remedy="Listen on 0.0.0.0:8080, answer GET /ping with 200 once the model is loaded.",
    alone=True,
)
def ping_start(lab: "Lab") -> str:
    start = lab.servers.start
    if not start.executed:
        raise NotTried("it cannot be started: see serve-starts")
    if start.endpoint is None:
        if not lab.has_model:
            raise NotTried(f"without a model: {start.reason}; {ADVICE}")
        raise Failed(start.reason)
    return f"{start.seconds:.2f} s from the start to the first 200"


@area.check(
    "serve-offline",
    "The server needs no network when it starts.",
    consequence="Endpoints with network isolation, or in a private subnet, do not start.",
    remedy="Install packages and download models when the image is built, or put them into the "
    "model's archive.",
)
def serve_offline(lab: "Lab") -> str:
    lab.servers.need_healthy()
    if not lab.engine.direct:
        raise NotTried("the networks of containers cannot be reached here; run the kit on Linux")
    if not lab.servers.start.isolated:
        raise Failed("healthy where there is a network; without one it is not")
    return "healthy on a network that leads nowhere"


@area.check(
    "ping-means-ready",
    "When /ping answers 200 for the first time, /invocations works.",
    consequence="The endpoint is InService and answers its first callers with errors.",
    remedy="Load the model, and best ask it once, before /ping answers 200.",
)
def ping_means_ready(lab: "Lab") -> str:
    lab.servers.need_healthy()
    lab.sample  # noqa: B018 - raises where none was given
    answer = lab.servers.start.first_answer
    if answer is None or isinstance(answer, Failed):
        raise Failed(f"right after the first 200 of /ping: {answer}")
    if answer.status >= 500:
        raise Failed(f"right after the first 200 of /ping: {answer}")
    if answer.status != 200:
        raise NotTried(f"it refuses the sample: {answer}; give one that it takes")
    return f"answered in {answer.seconds * 1000:.0f} ms"


@area.check(
    "unknown-headers",
    "Headers that the platform adds do no harm.",
    consequence="Callers that set custom attributes, an inference or a session id get errors.",
    remedy="Ignore headers that you do not know; take up to 16 KB of them.",
)
def unknown_headers(lab: "Lab") -> str:
    sample = lab.sample
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": "c000" + "b4a5" * 255,
        "X-Amzn-SageMaker-Target-Variant": "AllTraffic",
        "X-Amzn-SageMaker-Inference-Id": "4f6c0c8e-conformance",
        "X-Amzn-SageMaker-Session-Id": "NEW_SESSION",
        "X-Amzn-SageMaker-Something-New": "1",
        "X-Amz-Date": "20240101T000000Z",
    }
    lab.servers.shared.good(sample.body, sample.content_type)
    lab.servers.shared.good(sample.body, sample.content_type, headers)
    return f"{len(headers)} headers, one of 1,024 characters"
