"""
A server in its container, asked as SageMaker asks it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.client import Address, Answer, ask
from conformance.engine import Container, not_executed
from conformance.limits import Limits
from conformance.verdicts import Failed


@dataclass(frozen=True)
class Endpoint:
    """
    A server that may or may not be healthy.
    """

    container: Container
    address: Address
    limits: Limits

    def ping(self, timeout: float | None = None) -> Answer:
        return ask(self.address, "/ping", timeout=timeout or self.limits.ping)

    def predict(
        self,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """
        Return the answer to a request; raises Unanswered.
        """
        both = {"Content-Type": content_type, **(headers or {})}
        return ask(self.address, "/invocations", body, both, timeout=timeout or self.limits.answer)

    def good(
        self,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """
        The same; raises Failed unless it is 200.
        """
        answer = self.predict(body, content_type, headers, timeout)
        if answer.status != 200:
            raise Failed(f"{len(body)} bytes of {content_type} were answered with {answer}")
        return answer

    def status(self) -> int:
        """
        Return the status of a ping, 0 when there is no answer.
        """
        try:
            return self.ping().status
        except Failed:
            return 0

    def wait(self, seconds: float) -> float:
        """
        Wait until it is healthy and return how long that took; raises Failed.
        """
        if said := not_executed(self.container):
            raise Failed(said)
        started = time.monotonic()
        while (status := self.status()) != 200:
            took = time.monotonic() - started
            if not self.container.running:
                raise Failed(
                    f"ended with exit code {self.container.exit_code} before it was healthy; "
                    f"it wrote: {self.container.last_words()}"
                )
            if took > seconds:
                said = f"answers {status}" if status else "is not answered"
                raise Failed(
                    f"/ping {said} after {took:.0f} s; it wrote: {self.container.last_words()}"
                )
            time.sleep(0.03)
        return time.monotonic() - started

    def ended(self) -> str:
        """
        Say how it ended, or that it runs.
        """
        if self.container.running:
            return "it still runs"
        return f"it ended with exit code {self.container.exit_code}"
