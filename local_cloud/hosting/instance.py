"""
One instance of an endpoint, or of a batch job: a container that answers pings and invocations.
"""

import http.client
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local_cloud.cloud import Cloud
from local_cloud.engine import EngineError
from local_cloud.errors import Failed

PING_S = 2.0  # a ping must be answered within 2 s
ANSWER_S = 60.0  # and a request within 60 s
STOP_S = 30  # between SIGTERM and SIGKILL
LOOK_S = 0.1


@dataclass(frozen=True)
class Answer:
    """
    What a container answered.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def header(self, name: str, default: str = "") -> str:
        """
        Return a header, whatever its case.
        """
        return self.headers.get(name.lower(), default)


class Instance:
    """
    A container that serves; ``busy`` counts the requests that it has.
    """

    def __init__(
        self,
        cloud: Cloud,
        image: str,
        folder: Path | None,
        environment: Mapping[str, str],
        options: Sequence[str],
        log_place: tuple[str, str],
        folder_inside: str = "/opt/ml/model",
    ) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self.busy = 0
        self.used = time.monotonic()
        try:
            self.container = cloud.engine.start(
                image,
                ["serve"],
                environment,
                [(folder, folder_inside, True)] if folder else [],
                ["--publish=127.0.0.1::8080", *options],
            )
        except EngineError as error:
            raise Failed(f"ClientError: the container could not be started: {error}") from None
        self.log = cloud.log(self.container, *log_place)
        self._port: int | None = None

    def wait_until_healthy(self, within_s: float, reason: str) -> None:
        """
        Ping until the answer is 200; raises Failed with the reason.
        """
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self.healthy():
                return
            if not self._cloud.engine.running(self.container):
                break
            self._cloud.clock.pause(LOOK_S)
        raise Failed(reason)

    def healthy(self) -> bool:
        """
        Tell whether a ping is answered by 200 in time.
        """
        try:
            return self.ask("/ping", method="GET", timeout=PING_S).status == 200
        except (OSError, http.client.HTTPException, EngineError, IndexError):
            return False

    def ask(
        self,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = ANSWER_S,
        method: str = "POST",
    ) -> Answer:
        """
        Return the answer; raises OSError or http.client.HTTPException.
        """
        with self._response(path, body, headers or {}, timeout, method) as response:
            return Answer(response.status, _lower(response), response.read())

    def stream(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[Answer, Iterator[bytes]]:
        """
        Return status and headers, and the parts of the body as they come.
        """
        opened = ExitStack()
        response = opened.enter_context(self._response(path, body, headers, ANSWER_S, "POST"))

        def parts() -> Iterator[bytes]:
            with opened:
                while part := response.read1(65_536):
                    yield part

        return Answer(response.status, _lower(response), b""), parts()

    @contextmanager
    def _response(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout: float, method: str
    ) -> Iterator[http.client.HTTPResponse]:
        if self._port is None:
            self._port = self._cloud.engine.port(self.container)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request(method, path, body if method == "POST" else None, dict(headers))
            yield connection.getresponse()
        finally:
            connection.close()

    def take(self) -> None:
        """
        Count one request more, so that nobody stops the instance under it.
        """
        with self._lock:
            self.busy += 1
            self.used = time.monotonic()

    def give_back(self) -> None:
        """
        Count one request less.
        """
        with self._lock:
            self.busy -= 1
            self.used = time.monotonic()

    def stop(self) -> None:
        """
        Stop it once its requests are answered, as the platform does.
        """
        end = time.monotonic() + ANSWER_S
        while self.busy and time.monotonic() < end and not self._cloud.clock.stopped:
            time.sleep(LOOK_S)
        with suppress(EngineError):
            self._cloud.engine.stop(self.container, STOP_S)
        self.log.wait()
        self._cloud.engine.remove(self.container)


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
