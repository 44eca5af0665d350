"""A job on several containers of a Docker network, by the names that SageMaker gives its hosts."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from containers import Container, container, docker
from harness import wait_until
from hosts import write_resources
from jobs import files
from sagemaker_runtime.errors import ExitCode

pytestmark = pytest.mark.docker

ROUNDS = """
import time
from sagemaker_runtime.algorithm import Column, Hyperparameter, Table

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = ()
DISTRIBUTED = True


def train(job):
    (job.model_dir / "model.txt").write_text("of " + job.cluster.here)
    rounds = 0
    while not any(job.cluster.gather(job.stopping())):
        rounds += 1
        print("round", rounds, flush=True)
        time.sleep(0.05)


def load(model_dir): ...
def predict(model, columns): return columns["x"]
"""
NAMES = ("algo-1", "algo-2", "algo-3")


@pytest.fixture(scope="module")
def rounds(image, tmp_path_factory) -> Iterator[str]:
    """An image whose algorithm trains in rounds until it is stopped."""
    folder, tag = tmp_path_factory.mktemp("rounds"), f"{image}-rounds"
    (folder / "rounds").mkdir()
    (folder / "rounds/__init__.py").write_text(ROUNDS)
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nCOPY rounds /opt/program/rounds\nENV ALGORITHM=rounds\n"
    )
    docker("build", "--quiet", "--tag", tag, str(folder))
    yield tag
    docker("image", "rm", "--force", "--no-prune", tag)


@contextmanager
def network() -> Iterator[str]:
    """Make a separate Docker network."""
    name = f"container-suite-hosts-{os.getpid()}"
    docker("network", "create", name)
    try:
        yield name
    finally:
        docker("network", "rm", name)


@contextmanager
def host(image: str, name: str, link: str, folder: Path) -> Iterator[Container]:
    """Start a container as the host ``name``, its tree in a folder of that name."""
    root = folder / name
    write_resources(root, name, NAMES)
    mount = ("--mount", f"type=bind,source={root},target=/opt/ml")
    account = ("--user", f"{os.getuid()}:{os.getgid()}")
    options = (*mount, *account, "--network", link, "--network-alias", name)
    with container(image, "train", options=options, allow=".") as started:
        yield started


@contextmanager
def running(image: str, folder: Path) -> Iterator[tuple[str, list[Container]]]:
    """Hand out the network and three hosts that train, of which the leader came last."""
    with ExitStack() as stack:
        link = stack.enter_context(network())
        others = [
            stack.enter_context(host(image, name, link, folder)) for name in reversed(NAMES[1:])
        ]
        for other in others:
            wait_until(
                lambda other=other: "this is algo-" in other.log(), what="it looks for algo-1"
            )
        every = [stack.enter_context(host(image, NAMES[0], link, folder)), *reversed(others)]
        wait_until(lambda: "round 5" in every[0].log(), timeout=60, what="all train")
        yield link, every


def test_containers_meet_by_name_and_sigterm_to_one_stops_all(rounds, tmp_path):
    """
    1. the name algo-1 does not exist when algo-2 and algo-3 start 2. algo-1 starts, all train
    3. SIGTERM reaches algo-3.

    Result: all end well after the same round, and the model is the leader's.
    """
    with running(rounds, tmp_path) as (_, every):
        docker("kill", "--signal", "TERM", every[2].identity)
        assert [each.wait() for each in every] == [0, 0, 0]
        assert len({each.log().count("round ") for each in every}) == 1
    assert (tmp_path / "algo-1/model/model.txt").read_text() == "of algo-1"
    assert files(tmp_path / "algo-2/model") == []


def test_a_host_without_network_ends_all(rounds, tmp_path):
    """
    1. three containers train 2. the network of algo-3 is cut.

    Result: within a minute algo-1 and algo-2 end naming algo-3, and algo-3 names the leader.
    """
    with running(rounds, tmp_path) as (link, every):
        docker("network", "disconnect", link, every[2].identity)
        assert [each.wait() for each in every] == [ExitCode.HOST_LOST] * 3
    for name, lost in (("algo-1", "algo-3"), ("algo-2", "algo-3"), ("algo-3", "algo-1")):
        reason = (tmp_path / name / "output/failure").read_text()
        assert reason.startswith(f"the host {lost} was not heard from for 20 s"), name
