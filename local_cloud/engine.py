"""
The Docker engine: images by the names that AWS has for them, containers of this cloud only.
"""

import json
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

ECR = re.compile(r"\d{12}\.dkr\.ecr\.[\w.-]+/(?P<name>.+)")
LABEL = "local_cloud"


class EngineError(Exception):
    """
    What docker complained about.
    """


def docker(*arguments: str) -> str:
    """
    Return what a docker command prints; raises EngineError.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        raise EngineError(done.stderr.strip() or f"docker {arguments[0]} failed")
    return done.stdout.strip()


class Engine:
    """
    Runs containers, all with one label, by which the last of them are removed.
    """

    def __init__(self, identity: str) -> None:
        self._label = f"{LABEL}={identity}"
        self._lock = threading.Lock()
        self._change = threading.Condition()
        self._starting = 0
        self._closed = False
        self._pushed: dict[str, str] = {}

    def register(self, uri: str, image: str) -> None:
        """
        Let a name of AWS's registry stand for an image of this machine.
        """
        with self._lock:
            self._pushed[uri] = image

    def image(self, uri: str) -> str | None:
        """
        Return the name by which the engine knows an image, or None.

        Without the registry's part of the name, an image that was only built is found too.
        """
        with self._lock:
            names = [self._pushed[uri]] if uri in self._pushed else [uri]
        if short := ECR.fullmatch(uri):
            names.append(short["name"])
        for name in names:
            try:
                docker("image", "inspect", "--format", "{{.Id}}", name)
            except EngineError:
                continue
            return name
        return None

    def describe(self, image: str) -> dict[str, object]:
        """
        Return what docker knows of an image.
        """
        (found,) = json.loads(docker("image", "inspect", image))
        described: dict[str, object] = found
        return described

    def start(
        self,
        image: str,
        command: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[tuple[Path, str, bool]] = (),
        options: Sequence[str] = (),
    ) -> str:
        """
        Start a container and return its identity; mounts are folder, target, whether read-only.
        """
        settings = [f"--env={name}={value}" for name, value in (environment or {}).items()]
        for folder, target, read_only in mounts:
            ending = ",readonly" if read_only else ""
            settings.append(f"--mount=type=bind,source={folder},target={target}{ending}")
        with self._change:
            if self._closed:
                raise EngineError("the cloud is being stopped")
            self._starting += 1
        try:
            return docker(
                "run", "--detach", f"--label={self._label}", *settings, *options, image, *command
            )
        finally:
            with self._change:
                self._starting -= 1
                self._change.notify_all()

    def port(self, identity: str, inside: int = 8080) -> int:
        """
        Return the port of this machine behind which a container's port lies.
        """
        return int(docker("port", identity, f"{inside}/tcp").splitlines()[0].rpartition(":")[2])

    def running(self, identity: str) -> bool:
        """
        Tell whether a container runs.
        """
        try:
            return docker("inspect", "--format", "{{.State.Running}}", identity) == "true"
        except EngineError:
            return False

    def exit_code(self, identity: str) -> int:
        """
        Wait for the end of a container and return its exit code.
        """
        return int(docker("wait", identity))

    def stop(self, identity: str, grace_s: int) -> None:
        """
        Send SIGTERM, and SIGKILL after some seconds.
        """
        docker("stop", "-t", str(grace_s), identity)

    def remove(self, identity: str) -> None:
        """
        Remove a container, which may be running or gone.
        """
        subprocess.run(["docker", "rm", "--force", "--volumes", identity], capture_output=True)  # noqa: S603, S607

    def network(self, name: str, isolated: bool = False) -> None:
        """
        Make a network whose containers find each other by name; isolated, they find nothing else.
        """
        options = ["--internal"] if isolated else []
        docker("network", "create", f"--label={self._label}", *options, name)

    def remove_network(self, name: str) -> None:
        """
        Remove a network.
        """
        subprocess.run(["docker", "network", "rm", name], capture_output=True)  # noqa: S603, S607

    def follow(self, identity: str) -> subprocess.Popen[str]:
        """
        Return a process that prints what a container prints until it ends.
        """
        return subprocess.Popen(  # noqa: S603
            ["docker", "logs", "--follow", identity],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def hand_back(self, image: str, folder: Path, owner: str) -> None:
        """
        Give the files that root wrote in a container to this process's account.
        """
        mount = f"--mount=type=bind,source={folder},target=/opt/ml"
        command = ("--entrypoint=chown", image, "-R", owner, "/opt/ml")
        docker("run", "--rm", "--user=0", "--network=none", mount, *command)

    def clear(self) -> None:
        """
        Remove every container and network of this cloud, and start no more.
        """
        with self._change:  # what is being started is not listed yet
            self._closed = True
            self._change.wait_for(lambda: not self._starting)
        listed = ("--quiet", "--filter", f"label={self._label}")
        if containers := docker("ps", "--all", *listed).split():
            docker("rm", "--force", "--volumes", *containers)
        if networks := docker("network", "ls", *listed).split():
            docker("network", "rm", *networks)
