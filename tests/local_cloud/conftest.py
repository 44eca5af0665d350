"""
A local cloud, and an image whose server and training say what reached them.
"""

import os
from collections.abc import Iterator

import pytest
from local_cloud.server import local_cloud

import containers
from clouds import Rehearsal
from project import TOP

STAND_IN = TOP / "tests/local_cloud/stand_in"


@pytest.fixture(scope="session")
def stand_in(image: str) -> Iterator[str]:
    """The session's image with another ``serve`` and ``train``: one small layer."""
    tag = f"container-suite/stand-in:{os.getpid()}"
    containers.docker("build", "--tag", tag, "--build-arg", f"IMAGE={image}", str(STAND_IN))
    try:
        yield tag
    finally:
        containers.docker("image", "rm", "--force", "--no-prune", tag)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A cloud whose hours are seconds, for all tests; each uses its own names."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), clock=600, startup_s=6) as started:
        rehearsal = Rehearsal(started)
        rehearsal.bucket()
        yield rehearsal
