"""
Runs images in containers, for the tests marked ``docker``.

Whatever way a test ends, its containers are removed; a log line that warns of something and that
nobody allowed for fails it.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Answer, call, is_stray, wait_until
from project import ALGORITHM, TOP

START_S = 60.0

# What the summary of a run says of the image.
SIZES = pytest.StashKey[str]()


def engine_answers() -> bool:
    """
    Tell whether there is a docker client and an engine that it reaches.
    """
    try:
        return subprocess.run(["docker", "info"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def docker(*arguments: str) -> str:
    """
    Return what a docker command prints; raises AssertionError with its complaint.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def build(tag: str, *arguments: str) -> None:
    """
    Build an image by build.sh.
    """
    command = [str(TOP / "build.sh"), tag, *arguments]
    environ = os.environ | {"ALGORITHM": ALGORITHM}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@contextmanager
def built(tag: str, *arguments: str) -> Iterator[str]:
    """
    Build an image and remove the tag afterwards; the classic builder's layers stay, so that the
    next build takes seconds.
    """
    build(tag, *arguments)
    try:
        yield tag
    finally:
        docker("image", "rm", "--force", "--no-prune", tag)


def base_image() -> str:
    """
    Return the name of the base that build.sh builds on.
    """
    found = re.search("^ARG BASE_IMAGE=(.+)$", (TOP / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    return os.environ.get("BASE_IMAGE") or found[1]


def unpack(archive: Path, folder: Path) -> None:
    """
    Unpack a model archive as the platform does.
    """
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)


class Container:
    """
    A container that was started.
    """

    def __init__(self, identity: str, port: int) -> None:
        self.identity = identity
        self._inside = port

    @property
    def port(self) -> int:
        """
        The port on this machine behind which the server's port lies.
        """
        published = docker("port", self.identity, f"{self._inside}/tcp")
        return int(published.splitlines()[0].rpartition(":")[2])

    def log(self) -> str:
        """
        Return what it wrote to stdout and stderr.
        """
        command = ["docker", "logs", self.identity]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout

    def running(self) -> bool:
        """
        Tell whether its first process lives.
        """
        return docker("inspect", "--format", "{{.State.Running}}", self.identity) == "true"

    def wait(self) -> int:
        """
        Return its exit code once it has ended.
        """
        return int(docker("wait", self.identity))

    def stop(self) -> int:
        """
        Stop it as SageMaker stops an instance of an endpoint and return its exit code.
        """
        docker("stop", "-t", "30", self.identity)
        return self.wait()

    def execute(self, *command: str, body: bytes = b"") -> str:
        """
        Return what a command prints inside that reads ``body``.
        """
        command = ("docker", "exec", "--interactive", self.identity, *command)
        done = subprocess.run(command, input=body, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def predict(self, body: bytes, content_type: str = "text/csv") -> Answer:
        """
        Return the answer to a payload.
        """
        return call(self.port, "/invocations", body, {"Content-Type": content_type}, timeout=60)

    def healthy(self) -> bool:
        """
        Tell whether /ping answers 200; raises AssertionError when the server has ended.
        """
        try:
            return call(self.port, "/ping").status == 200
        except OSError:
            assert self.running(), f"ended with exit code {self.wait()}:\n{self.log()}"
            return False


@contextmanager
def container(
    image: str,
    *command: str,
    options: Sequence[str] = (),
    port: int = 8080,
    allow: str = "$^",
) -> Iterator[Container]:
    """
    Start a container, remove it afterwards and fail on stray lines that do not match ``allow``.
    """
    publish = () if "none" in options else ("--publish", f"127.0.0.1:0:{port}")
    identity = docker("create", *publish, *options, image, *command)
    try:
        docker("start", identity)
        started = Container(identity, port)
        try:
            yield started
        except BaseException as error:
            error.add_note("the container printed:\n" + started.log())
            raise
        stray = [
            line
            for line in started.log().splitlines()
            if is_stray(line) and not re.search(allow, line)
        ]
        assert not stray, "\n".join(stray)
    finally:
        docker("rm", "--force", identity)


def model_mount(model: Path) -> tuple[str, ...]:
    """
    Return the options that mount a model as SageMaker does: read-only.
    """
    return ("--mount", f"type=bind,source={model},target=/opt/ml/model,readonly")


@contextmanager
def server(
    image: str, model: Path, options: Sequence[str] = (), port: int = 8080, allow: str = "$^"
) -> Iterator[Container]:
    """
    Serve a model; the container answers pings when it is handed out.
    """
    options = (*model_mount(model), *options)
    with container(image, "serve", options=options, port=port, allow=allow) as started:
        wait_until(started.healthy, timeout=START_S, what="/ping answers 200")
        yield started


class Job:
    """
    A tree as SageMaker mounts it at /opt/ml, and the training in it.
    """

    def __init__(self, root: Path, data: Path | None, **hyperparameters: object) -> None:
        """
        Make the tree, writable for any user id; ``data`` becomes the training channel.
        """
        self.root = root
        self.model = root / "model"
        self.log = ""
        (root / "input/config").mkdir(parents=True)
        text = json.dumps({name: str(value) for name, value in hyperparameters.items()})
        (root / "input/config/hyperparameters.json").write_text(text, encoding="utf-8")
        if data:
            shutil.copytree(data, root / "input/data/training")
        for folder in (root, root / "model", root / "output"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)

    def train(
        self, image: str, *command: str, options: Sequence[str] = (), allow: str = "$^"
    ) -> int:
        """
        Run the image with the tree mounted and return its exit code; the log stays in ``log``.
        """
        mount = ("--mount", f"type=bind,source={self.root},target=/opt/ml")
        try:
            with container(image, *command, options=(*mount, *options), allow=allow) as started:
                code = started.wait()
                self.log = started.log()
            return code
        finally:
            owner = f"{os.getuid()}:{os.getgid()}"
            docker("run", "--rm", *mount, "--entrypoint", "chown", image, "-R", owner, "/opt/ml")

    def files(self) -> list[str]:
        """
        Return the names of the model's files.
        """
        return sorted(
            str(path.relative_to(self.model)) for path in self.model.rglob("*") if path.is_file()
        )
