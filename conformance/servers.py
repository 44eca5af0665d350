"""
Runs servers.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.client import Answer
from conformance.endpoint import Endpoint
from conformance.engine import SERVER_PORT, not_executed
from conformance.once import Memory, once
from conformance.opt_ml import OPT_ML
from conformance.verdicts import Failed, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

HEAVY_BYTES = 20_000_000
WITHOUT_S = 30  # for a server that was given no model


@dataclass(frozen=True)
class Start:
    """
    What came of the first start: a healthy server, or the reason why there is none.
    """

    executed: bool
    isolated: bool  # it ran without a network
    seconds: float
    reason: str = ""
    endpoint: Endpoint | None = None
    first_answer: Answer | Failed | None = None


@dataclass(frozen=True)
class Heavy:
    """
    A request that keeps a server busy for a second or so.
    """

    body: bytes
    rows: int
    seconds: float


class Servers(Memory):
    """
    The servers of one image.
    """

    def __init__(self, lab: "Lab") -> None:
        super().__init__()
        self._lab = lab
        self._isolated = lab.engine.direct
        self._shared: Endpoint | None = None

    def _options(self, model: Path | None, variables: Mapping[str, str]) -> list[str]:
        network = ["--network", "bridge"]
        if self._isolated:
            # A name that is looked up is refused at once, not after the resolver's patience.
            name = self._lab.engine.network("hosting", isolated=True)
            network = ["--network", name, "--dns", "127.0.0.1"]
        if model:
            network += ["--mount", f"type=bind,source={model},target={OPT_ML}/model,readonly"]
        return [*network, *self._lab.environment(variables)]

    @contextmanager
    def serving(
        self,
        model: Path | None,
        *,
        options: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        port: int = SERVER_PORT,
    ) -> Iterator[Endpoint]:
        """
        Start a server and remove it afterwards; it may not be healthy yet.
        """
        every = [*self._options(model, variables or {}), *options]
        lab = self._lab
        with lab.engine.container(lab.image, "serve", options=every, port=port) as container:
            yield Endpoint(container, container.address(port), lab.limits)

    @contextmanager
    def healthy(
        self,
        *,
        options: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        port: int = SERVER_PORT,
    ) -> Iterator[Endpoint]:
        """
        The same with the model, handed out when it is healthy; raises Failed if it never is.
        """
        self.need_healthy()
        model = self._lab.model
        with self.serving(model, options=options, variables=variables, port=port) as endpoint:
            endpoint.wait(self.patience)
            yield endpoint

    @property
    def patience(self) -> float:
        """
        How long a server that is not the first one may take to get healthy.
        """
        return min(self._lab.limits.start, max(30.0, 10 * self.start.seconds))

    def need_healthy(self) -> None:
        """
        Raise NotTried unless the first server was healthy.
        """
        if self.start.endpoint is None:
            raise NotTried("the server does not get healthy: see ping-start")

    @once
    def start(self) -> Start:
        """The first start, without a network if the server does without."""
        start = self._start()
        if start.endpoint is None and start.executed and self._isolated:
            self._isolated = False
            online = self._start()
            if online.endpoint:
                return online
            self._isolated = True
        return start

    def _start(self) -> Start:
        endpoint = self._unguarded()
        started = time.monotonic()
        try:
            # Without a model most servers never get healthy: those that do are quick.
            limits = self._lab.limits
            endpoint.wait(limits.start if self._lab.has_model else min(limits.start, WITHOUT_S))
        except Failed as error:
            container = endpoint.container
            executed = not not_executed(container)
            container.remove()
            return Start(executed, self._isolated, time.monotonic() - started, str(error))
        seconds = time.monotonic() - started
        return Start(True, self._isolated, seconds, "", endpoint, self._first_answer(endpoint))

    def _unguarded(self) -> Endpoint:
        """
        Start a server that lasts until the engine is closed.
        """
        lab = self._lab
        options = self._options(lab.model, {})
        container = lab.engine.create(lab.image, "serve", options=options, port=SERVER_PORT)
        container.start()
        return Endpoint(container, container.address(), lab.limits)

    def _first_answer(self, endpoint: Endpoint) -> Answer | Failed | None:
        try:
            sample = self._lab.sample
            return endpoint.predict(sample.body, sample.content_type)
        except NotTried:
            return None
        except Failed as error:
            return error

    @property
    def shared(self) -> Endpoint:
        """
        The server of checks that leave it as it is; started anew when it has ended.
        """
        self.need_healthy()
        with self.lock("shared"):
            endpoint: Endpoint = self._shared or self.start.endpoint
            if not endpoint.container.running:
                endpoint = self._unguarded()
                endpoint.wait(self.patience)
            self._shared = endpoint
            return endpoint

    @once
    def heavy(self) -> Heavy:
        """A request that keeps the server busy for a second, if one of 20 MB does."""
        best: Heavy | None = None
        sample = self._lab.sample
        for rows in (1_000, 10_000, 50_000, 200_000):
            body = sample.of(rows)
            if len(body) > HEAVY_BYTES:
                body, rows = sample.of_bytes(HEAVY_BYTES)
            try:
                answer = self.shared.good(body, sample.content_type)
            except Failed:
                break
            best = Heavy(body, rows, answer.seconds)
            if answer.seconds > 1 or len(body) > 0.8 * HEAVY_BYTES:
                break
        if best is None:
            raise NotTried("a request of 1,000 rows is not answered: see rows-few")
        return best
