# ruff: noqa: S603, S607 - the docker command is started
"""
Runs containers by the docker command, and removes what it made.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from typing import Any

SERVER_PORT = 8080
# What runc and the kernel say of a script whose interpreter is not there.
EXEC_FAILED = re.compile(r"exec .*(no such file or directory|exec format error|permission denied)")


class DockerError(Exception):
    """
    A docker command failed; the message is its complaint.
    """


def docker(*arguments: str, body: bytes = b"", timeout: float = 600) -> bytes:
    """
    Return what a docker command prints; raises DockerError.
    """
    try:
        done = subprocess.run(
            ["docker", *arguments], input=body, capture_output=True, timeout=timeout
        )
    except FileNotFoundError:
        raise DockerError("docker is not installed: https://docs.docker.com/get-docker/") from None
    except subprocess.TimeoutExpired:
        raise DockerError(f"docker {arguments[0]} took longer than {timeout:g} s") from None
    if done.returncode != 0:
        raise DockerError(done.stderr.decode(errors="replace").strip()[-1000:])
    return done.stdout


def wait_for(predicate: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """
    Tell whether something becomes true within some seconds.
    """
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


class Container:
    """
    A container that was created.
    """

    def __init__(self, identity: str, published: bool) -> None:
        self.identity = identity
        self._published = published
        self.complaint = ""  # why it could not be started at all

    def start(self) -> None:
        """
        Start it; what the engine says when there is nothing to execute stays in ``complaint``.
        """
        try:
            docker("start", self.identity)
        except DockerError as error:
            self.complaint = str(error)

    def inspect(self) -> dict[str, Any]:
        """
        Return what the engine knows of it.
        """
        found: dict[str, Any] = json.loads(docker("inspect", self.identity))[0]
        return found

    def address(self, port: int = SERVER_PORT) -> tuple[str, int]:
        """
        Return where a port of it can be reached from here.
        """
        settings = self.inspect()["NetworkSettings"]
        if self._published:
            bindings = settings["Ports"].get(f"{port}/tcp") or []
            return ("127.0.0.1", int(bindings[0]["HostPort"])) if bindings else ("127.0.0.1", 9)
        addresses = [network["IPAddress"] for network in settings["Networks"].values()]
        return (addresses[0] if addresses and addresses[0] else "127.0.0.1", port)

    @property
    def running(self) -> bool:
        return bool(self.inspect()["State"]["Running"])

    @property
    def exit_code(self) -> int:
        return int(self.inspect()["State"]["ExitCode"])

    @property
    def killed_by_memory(self) -> bool:
        return bool(self.inspect()["State"]["OOMKilled"])

    def wait(self, seconds: float) -> float | None:
        """
        Return how long it went on until it ended, or None when it still runs after some seconds.
        """
        started = time.monotonic()
        ended = wait_for(lambda: not self.running, seconds)
        return time.monotonic() - started if ended else None

    def signal(self, name: str) -> bool:
        """
        Send a signal to its first process, as an engine does that stops it; tell whether it was
        still there to hear it.
        """
        try:
            docker("kill", "--signal", name, self.identity)
        except DockerError:
            if self.running:
                raise
            return False
        return True

    def log(self) -> str:
        """
        Return what it wrote to stdout and stderr.
        """
        done = subprocess.run(
            ["docker", "logs", self.identity], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout.decode(errors="replace")

    def last_words(self, lines: int = 3) -> str:
        """
        Return the end of its log, for evidence.
        """
        log = [line.strip() for line in self.log().splitlines() if line.strip()]
        return " / ".join(line[:200] for line in log[-lines:]) or "nothing"

    def shell(self, script: str) -> str:
        """
        Run a shell script inside as root; raises DockerError where there is no shell.
        """
        command = ("exec", "--user", "0", self.identity, "/bin/sh", "-c", script)
        return docker(*command).decode(errors="replace")

    def file(self, path: str) -> tuple[bytes, int] | None:
        """
        Return a file's first 64 KiB and its mode, or None when there is no such file.
        """
        try:
            copied = docker("cp", "--follow-link", f"{self.identity}:{path}", "-")
        except DockerError:
            return None
        with tarfile.open(fileobj=BytesIO(copied)) as archive:
            member = archive.next()
            content = archive.extractfile(member) if member else None
            return (content.read(65536), member.mode) if member and content else None

    def remove(self) -> None:
        """
        Kill and remove it with its volumes.
        """
        docker("rm", "--force", "--volumes", self.identity)


class Engine:
    """
    The Docker engine and what one run of the kit made in it.
    """

    def __init__(self) -> None:
        self.run = f"conformance-{os.getpid()}-{time.monotonic_ns() % 10**9}"
        self._numbers = count(1)
        # Elsewhere containers live in a virtual machine whose networks cannot be reached from here.
        info = docker("info", "--format", "{{.OperatingSystem}}").decode()
        remote = os.environ.get("DOCKER_HOST", "unix:").partition(":")[0] != "unix"
        self.direct = sys.platform == "linux" and "Desktop" not in info and not remote
        self._networks: dict[str, str] = {}

    def network(self, name: str, *, isolated: bool) -> str:
        """
        Return a network of this run, made when it is first asked for.
        """
        full = f"{self.run}-{name}"
        if full not in self._networks:
            docker("network", "create", *(["--internal"] if isolated else []), full)
            self._networks[full] = full
        return full

    def create(
        self, image: str, *command: str, options: Sequence[str] = (), port: int = 0
    ) -> Container:
        """
        Create a container; ``port`` is the one that will be asked from here.
        """
        publish = bool(port) and not self.direct
        name = f"{self.run}-{next(self._numbers)}"
        arguments = ["create", "--name", name, "--label", f"conformance={self.run}"]
        if publish:
            arguments += ["--publish", f"127.0.0.1:0:{port}"]
        identity = docker(*arguments, *options, image, *command).decode().strip()
        return Container(identity, publish)

    @contextmanager
    def container(
        self, image: str, *command: str, options: Sequence[str] = (), port: int = 0
    ) -> Iterator[Container]:
        """
        Start a container and remove it afterwards.
        """
        made = self.create(image, *command, options=options, port=port)
        try:
            made.start()
            yield made
        finally:
            made.remove()

    def close(self) -> None:
        """
        Remove all that this run made.
        """
        label = f"label=conformance={self.run}"
        left = docker("ps", "--all", "--quiet", "--filter", label).decode().split()
        if left:
            docker("rm", "--force", "--volumes", *left)
        for network in self._networks:
            docker("network", "rm", network)
        self._networks.clear()


def not_executed(container: Container) -> str:
    """
    Say what the engine found instead of something to execute, or nothing.
    """
    if container.complaint:
        return f"the container does not start: {container.complaint.splitlines()[0]}"
    if container.running or not container.exit_code:
        return ""
    words = container.last_words()
    if container.exit_code in (126, 127) or EXEC_FAILED.search(words):
        return f"ended at once with exit code {container.exit_code}; it wrote: {words}"
    return ""
