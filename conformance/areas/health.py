"""
Hosting: pings.
"""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.client import Answer
from conformance.load import load, pings
from conformance.verdicts import Area, Failed, NotOffered, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("health")

PINGS = 40
LOUD = PINGS // 4


def _slowest(lab: "Lab", answers: list[Answer]) -> str:
    slowest = max(answer.seconds for answer in answers)
    connected = max(answer.connected for answer in answers)
    said = f"the slowest of {len(answers)} pings took {slowest * 1000:.0f} ms"
    if slowest > lab.limits.ping:
        raise Failed(f"{said}; the limit is {lab.limits.ping:g} s")
    if connected > lab.limits.connect:
        raise Failed(f"a connection was accepted after {connected * 1000:.0f} ms; limit 250 ms")
    return said


@area.check(
    "ping-idle",
    "An idle server answers each ping within 2 s.",
    consequence="The instance counts as unhealthy and is replaced.",
    remedy="Answer pings without work: no model call, no look at the disk.",
    alone=True,
)
def ping_idle(lab: "Lab") -> str:
    return _slowest(lab, pings(lab.servers.shared, 1, 20))


@area.check(
    "ping-busy",
    "A server under load answers each ping within 2 s and accepts connections within 250 ms.",
    consequence="A busy instance counts as unhealthy, is taken out, and the others get its load.",
    remedy="Answer pings in another thread or process than predictions.",
    alone=True,
)
def ping_busy(lab: "Lab") -> str:
    heavy = lab.servers.heavy
    with load(lab.servers.shared, heavy.body, lab.sample.content_type, 4) as tally:
        time.sleep(0.3)
        said = _slowest(lab, pings(lab.servers.shared, 3, 20))
    return f"{said}, beside {tally.good + len(tally.bad)} requests of {heavy.rows:,} rows"


@area.check(
    "ping-quiet",
    "Pings leave no lines in the log.",
    consequence="A ping every few seconds from each instance fills CloudWatch and hides errors.",
    remedy="Take /ping out of the access log.",
)
def ping_quiet(lab: "Lab") -> str:
    with lab.servers.healthy() as endpoint:
        time.sleep(0.3)  # for lines about the start
        before = len(endpoint.container.log().splitlines())
        pings(endpoint, 0, PINGS)
        time.sleep(0.3)
        lines = endpoint.container.log().splitlines()[before:]
    if len(lines) >= LOUD:
        raise Failed(f"{PINGS} pings left {len(lines)} lines, such as {lines[-1][:150]!r}")
    return f"{PINGS} pings left {len(lines)} lines"


@area.check(
    "ping-missing-model",
    "Without its model the server does not answer /ping with 200.",
    consequence="An endpoint with the wrong archive is InService and answers only errors.",
    remedy="Load the model before answering pings; answer 503, or exit, and log what is missing.",
)
def ping_missing_model(lab: "Lab") -> str:
    empty = lab.new_folder("empty")
    empty.mkdir()
    return _not_healthy(lab, empty, "an empty /opt/ml/model")


@area.check(
    "ping-broken-model",
    "With a damaged model the server does not answer /ping with 200.",
    consequence="An endpoint whose model cannot be loaded is InService and answers only errors.",
    remedy="Load the model, and best ask it once, before answering pings.",
)
def ping_broken_model(lab: "Lab") -> str:
    if not lab.has_model:
        raise NotTried("there is no model to damage; give one: --training DIR or --model DIR")
    broken = lab.new_folder("broken")
    shutil.copytree(
        lab.model, broken, copy_function=lambda _, to: Path(to).write_bytes(b"damaged\n")
    )
    return _not_healthy(lab, broken, "a model whose files are damaged")


def _not_healthy(lab: "Lab", model: Path, what: str) -> str:
    lab.servers.need_healthy()
    # Long enough for a server that would get healthy.
    seconds = 2 * lab.servers.start.seconds + 2
    with lab.servers.serving(model) as endpoint:
        started = time.monotonic()
        status = 0
        while time.monotonic() - started < seconds and endpoint.container.running:
            status = endpoint.status() or status
            if status == 200:
                break
            time.sleep(0.05)
        if status != 200:
            return f"with {what} pings are answered with {status or 'nothing'}, {endpoint.ended()}"
        sample = lab.sample
        try:
            answer = endpoint.predict(sample.body, sample.content_type)
        except Failed as error:
            raise Failed(f"with {what} /ping answers 200, a request: {error}") from None
        if answer.status == 200:
            raise NotOffered(f"with {what} requests are answered too: the model is in the image")
        raise Failed(f"with {what} /ping answers 200, a request {answer}")
