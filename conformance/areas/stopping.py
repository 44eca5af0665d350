"""
Hosting: SIGTERM.
"""

import time
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

from conformance.client import Request
from conformance.endpoint import Endpoint
from conformance.verdicts import Area, Failed, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("stopping")

CALLERS = 3


@area.check(
    "stop-in-time",
    "At SIGTERM the server ends within 30 s.",
    consequence="It is killed: running requests are lost, and every update takes 30 s longer.",
    remedy="Handle SIGTERM in the first process; start the server by exec, not below a shell.",
)
def stop_in_time(lab: "Lab") -> str:
    with lab.servers.healthy() as endpoint:
        endpoint.container.signal("TERM")
        took = endpoint.container.wait(lab.limits.stop_serving)
        if took is None:
            raise Failed(f"it runs {lab.limits.stop_serving:g} s after SIGTERM")
        return f"ended after {took:.1f} s with exit code {endpoint.container.exit_code}"


@dataclass
class Call:
    """
    A request whose bytes are out when ``sent`` is set.
    """

    request: Request
    sent: Event
    outcome: str = ""

    def make(self, body: bytes, content_type: str) -> None:
        try:
            self.request.send("/invocations", body, {"Content-Type": content_type})
            self.sent.set()
            answer = self.request.answer()
            self.outcome = "answered" if answer.status == 200 else str(answer)
        except Failed as error:
            self.outcome = str(error)
        self.sent.set()


@area.check(
    "stop-loses-nothing",
    "Requests that are being worked on at SIGTERM are answered.",
    consequence="Each scale-in and each update of an endpoint costs callers their requests.",
    remedy="At SIGTERM take no new requests, finish the running ones, then exit.",
)
def stop_loses_nothing(lab: "Lab") -> str:
    heavy = lab.servers.heavy
    with lab.servers.healthy() as endpoint:
        calls = _start(endpoint, lab, heavy.body)
        for call in calls:
            call.sent.wait(lab.limits.answer)
        time.sleep(0.1)  # for the server to take them up
        running = [call for call in calls if not call.outcome]
        endpoint.container.signal("TERM")
        deadline = time.monotonic() + lab.limits.stop_serving
        while any(not call.outcome for call in running) and time.monotonic() < deadline:
            time.sleep(0.05)
        outcomes = [call.outcome or "no answer within 30 s" for call in running]
    if not running:
        raise NotTried(
            f"{heavy.rows:,} rows take {heavy.seconds * 1000:.0f} ms: no request could be caught "
            "while it was worked on; give a larger sample"
        )
    lost = [outcome for outcome in outcomes if outcome != "answered"]
    if lost:
        raise Failed(f"{len(lost)} of {len(running)} running requests were lost: {lost[0]}")
    return f"{len(running)} running requests of {heavy.rows:,} rows were answered"


def _start(endpoint: Endpoint, lab: "Lab", body: bytes) -> list[Call]:
    calls = [Call(Request(endpoint.address, lab.limits.answer), Event()) for _ in range(CALLERS)]
    for call in calls:
        Thread(target=call.make, args=(body, lab.sample.content_type), daemon=True).start()
    return calls
