"""
How the hosts of a job find each other: all others connect to the leader, which may come up last.
"""

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic, sleep

from sagemaker_runtime.errors import ConfigurationError, HostLost, SettingError
from sagemaker_runtime.training import cluster_messages as messages
from sagemaker_runtime.training.cluster_messages import Kind, Message
from sagemaker_runtime.training.failure import printable

PORT_NAME, JOIN_NAME = "CLUSTER_PORT", "CLUSTER_JOIN_S"
# Below the ports that systems hand out, and not 7777, which AWS's toolkits tell scripts to use.
PORT = 7070
# Seconds: an instance may start minutes after another, as images and data are fetched before.
JOIN_S = 900.0

GREETING_S = 10.0  # for a connection to say who it is
CONNECT_S = 5.0
AGAIN_S = 0.5
# Connections that may be greeting at once, and lines in the log on those that are turned away: a
# port scanner takes no more memory and log than that.
GREETING_AT_ONCE = 64
LINES = 10


@dataclass(frozen=True)
class Place:
    """
    Where and how long the hosts look for each other.
    """

    port: int = PORT
    join_s: float = JOIN_S

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Place":
        """
        Read CLUSTER_PORT and CLUSTER_JOIN_S; raises SettingError.
        """
        port = _number(environ, PORT_NAME, PORT, 1, 65535)
        return cls(int(port), _number(environ, JOIN_NAME, JOIN_S, 1, 24 * 3600))


def _number(
    environ: Mapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    given = environ.get(name, "").strip() or str(default)
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not least <= value <= most or (name == PORT_NAME and value != int(value)):
        raise SettingError(
            f"{name} is {printable(given)!r}; expected a number from {least:g} to {most:g}, "
            f"such as {default:g}."
        )
    return value


class Door:
    """
    The leader's: hands each connection that greets as one of the hosts to ``admit``.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        place: Place,
        admit: Callable[[str, socket.socket], None],
    ) -> None:
        self._hosts = hosts
        self._place = place
        self._admit = admit
        self._missing = set(hosts[1:])
        self._lock = Lock()
        self._greeting = BoundedSemaphore(GREETING_AT_ONCE)
        self._lines = LINES

    def stand_open(self, check: Callable[[], None]) -> None:
        """
        Return when all hosts are there; ``check`` is called meanwhile and may raise.

        Raises HostLost naming those that did not come, SettingError when the port is taken.
        """
        until = monotonic() + self._place.join_s
        try:
            door = socket.create_server(("", self._place.port), backlog=128)
        except OSError as error:
            raise SettingError(
                f"the port {self._place.port}, on which the hosts of a job meet, cannot be opened "
                f"({error.strerror}). Set another one for all hosts: {PORT_NAME}=7071."
            ) from error
        with door:
            door.settimeout(AGAIN_S)
            while self._missing:
                check()
                if monotonic() > until:
                    raise self._nobody()
                with suppress(TimeoutError):
                    connection, (address, *_) = door.accept()
                    self._greet(connection, address)

    def _nobody(self) -> HostLost:
        names = ", ".join(map(printable, sorted(self._missing)[:4]))
        return HostLost(
            f"of {len(self._hosts)} hosts {len(self._missing)} did not come within "
            f"{self._place.join_s:g} s ({names}): their instances did not start, or the network "
            f"lets nothing through to port {self._place.port}. In a VPC its security group must "
            f"allow all traffic within itself. {JOIN_NAME} sets the time."
        )

    def _greet(self, connection: socket.socket, address: str) -> None:
        if self._greeting.acquire(blocking=False):
            Thread(target=self._hear, args=(connection, address), daemon=True).start()
        else:
            connection.close()

    def _hear(self, connection: socket.socket, address: str) -> None:
        try:
            until = monotonic() + GREETING_S
            name = self._name_in(messages.receive(connection, messages.WORDS_LIMIT, until))
            with self._lock:
                if name not in self._missing:
                    raise ValueError(f"{printable(name)} is here already")
                connection.settimeout(GREETING_S)
                messages.send(connection, Message(Kind.WELCOME))
                self._admit(name, connection)
                self._missing.remove(name)
        except (OSError, ValueError) as error:
            self._turn_away(connection, address, error)
        finally:
            self._greeting.release()

    def _name_in(self, message: Message) -> str:
        if message.kind is not Kind.HELLO:
            raise messages.Foreign("it does not speak this protocol")
        try:
            found = json.loads(message.body)
            name, hosts = str(found["host"]), list(found["hosts"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise messages.Foreign("its greeting is not understood") from error
        if hosts != list(self._hosts) or name not in self._hosts[1:]:
            raise ValueError(f"{printable(name)} is of a job with other hosts")
        return name

    def _turn_away(self, connection: socket.socket, address: str, error: Exception) -> None:
        with suppress(OSError):
            if type(error) is ValueError:  # it speaks the protocol, so it is told
                body = str(error).encode()
                messages.send(connection, Message(Kind.REFUSED, body=body))
        connection.close()
        with self._lock:
            self._lines -= 1
            if self._lines >= 0:
                print(f"a connection from {address} was turned away: {error}", flush=True)


def knock(
    hosts: tuple[str, ...], here: str, place: Place, check: Callable[[], None]
) -> socket.socket:
    """
    Return a connection to the leader, whose name and port may be late; ``check`` may raise.

    Raises HostLost when it is not there in time, ConfigurationError when it refuses this host.
    """
    until = monotonic() + place.join_s
    hello = Message(Kind.HELLO, body=json.dumps({"host": here, "hosts": hosts}).encode())
    while True:
        check()
        try:
            connection = socket.create_connection((hosts[0], place.port), CONNECT_S)
        except OSError as error:
            why: Exception = error
        else:
            try:
                return _greeted(connection, hello, hosts[0])
            except OSError as error:
                connection.close()
                why = error
        if monotonic() > until:
            raise HostLost(
                f"the leader {printable(hosts[0])} was not reached at port {place.port} within "
                f"{place.join_s:g} s ({why}): its instance did not start, or the network lets "
                "nothing through. In a VPC its security group must allow all traffic within "
                f"itself. {JOIN_NAME} sets the time."
            ) from why
        sleep(AGAIN_S)


def _greeted(connection: socket.socket, hello: Message, leader: str) -> socket.socket:
    messages.send(connection, hello)
    until = monotonic() + GREETING_S
    answer = messages.receive(connection, messages.WORDS_LIMIT, until)
    if answer.kind is Kind.REFUSED:
        connection.close()
        words = printable(bytes(answer.body).decode("utf-8", "replace"), 200)
        raise ConfigurationError(
            f"the leader {printable(leader)} refuses this host: {words}. All hosts of a job must "
            "have the same hosts in resourceconfig.json."
        )
    if answer.kind is not Kind.WELCOME:
        raise messages.Foreign("it does not speak this protocol")
    return connection
