"""
One image under examination: what was given, its jobs, its servers.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from conformance.engine import DockerError, Engine, docker
from conformance.jobs import Jobs
from conformance.limits import Limits
from conformance.once import Memory, once
from conformance.opt_ml import TrainingData
from conformance.sample import Sample, described
from conformance.servers import Servers
from conformance.verdicts import NotTried


@dataclass(frozen=True)
class Given:
    """
    What the person running the kit said.
    """

    image: str
    sample: Sample | None = None
    training: TrainingData | None = None
    model: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


class Lab(Memory):
    """
    What the checks share.
    """

    def __init__(self, given: Given, engine: Engine) -> None:
        super().__init__()
        self.given = given
        self.image = given.image
        self.limits = given.limits
        self.engine = engine
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        self._numbers = count(1)
        self.jobs = Jobs(self)
        self.servers = Servers(self)

    def new_folder(self, name: str) -> Path:
        """
        Return the path of a folder that is not there yet.
        """
        return self.folder / f"{next(self._numbers)}-{name}"

    @once
    def config(self) -> dict[str, Any]:
        """What the engine says of the image."""
        found: dict[str, Any] = json.loads(docker("image", "inspect", self.image))[0]
        return found

    def label(self, capability: str) -> bool:
        """
        Tell whether the image claims one of SageMaker's capabilities.
        """
        labels = self.config["Config"].get("Labels") or {}
        name = f"com.amazonaws.sagemaker.capabilities.{capability}"
        return str(labels.get(name, "")).lower() == "true"

    def environment(self, variables: Mapping[str, str]) -> list[str]:
        """
        Return docker's options for the platform's variables and the person's.
        """
        both = {"AWS_REGION": "eu-west-1", **variables, **self.given.environment}
        return [word for name, value in both.items() for word in ("--env", f"{name}={value}")]

    @property
    def has_model(self) -> bool:
        """
        Tell whether there is a model to serve that is not in the image itself.
        """
        return bool(self.given.model or self.given.training)

    @once
    def model(self) -> Path:
        """The model that was given, else the trained one, else an empty folder."""
        if self.given.model:
            return self.given.model
        if self.given.training:
            self.jobs.need_trained()
            return self.jobs.trained.tree.model
        empty = self.new_folder("model")
        empty.mkdir()
        return empty

    @once
    def sample(self) -> Sample:
        """The request that was given, or that the model's OpenAPI description holds."""
        found = self.given.sample or described(self.model)
        if found is None:
            raise NotTried(
                "there is nothing to ask; give a request that the image should answer: "
                "--sample FILE --content-type TYPE"
            )
        return found

    def hand_back(self, folder: Path) -> None:
        """
        Give the files that another user wrote in a container to the caller, where that is needed.
        """
        if os.getuid() == 0 or all(path.stat().st_uid == os.getuid() for path in _walk(folder)):
            return
        owner = f"{os.getuid()}:{os.getgid()}"
        mount = f"type=bind,source={folder},target=/conformance"
        options = ["--rm", "--network", "none", "--user", "0", "--mount", mount]
        command = ["--entrypoint", "chown", self.image, "-R", owner, "/conformance"]
        try:
            docker("run", *options, *command)
        except DockerError:
            raise NotTried(
                f"what the job wrote to {folder} belongs to root, and there is no chown in the "
                "image to hand it back; run the kit as root"
            ) from None

    def close(self) -> None:
        """
        Remove what the checks made.
        """
        self.engine.close()
        with suppress(NotTried):
            self.hand_back(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def _walk(folder: Path) -> Iterator[Path]:
    yield folder
    for path in folder.rglob("*"):
        if not path.is_symlink():
            yield path
