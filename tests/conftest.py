"""
The option that says what becomes of the container suite, and what that suite shares.
"""

import os
import shutil
from collections.abc import Iterator

import pytest

import containers
from project import ALGORITHM, SAMPLE, TOP, quick

LEFT_OUT = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Add --docker.
    """
    parser.addoption(
        "--docker",
        choices=("auto", "require", "off"),
        default="auto",
        help="container suite: run it where an engine answers, fail where none does, leave it out",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Take the container suite out where it cannot run; a skip would be counted as fine.
    """
    suite = [item for item in items if item.get_closest_marker("docker")]
    wanted = config.getoption("--docker")
    if not suite or (wanted != "off" and containers.engine_answers()):
        return
    if wanted == "require":
        raise pytest.UsageError("--docker=require, but no Docker engine answers: see docker info")
    items[:] = [item for item in items if item not in suite]
    config.hook.pytest_deselected(items=suite)
    why = "--docker=off" if wanted == "off" else "no Docker engine answers"
    config.stash[LEFT_OUT] = f"CONTAINER SUITE LEFT OUT: {len(suite)} tests not run ({why})"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """
    Skip a test whose programs are not installed; with --docker=require, as in CI, it fails.
    """
    needed = [name for mark in item.iter_markers("needs") for name in mark.args]
    if missing := [name for name in needed if shutil.which(name) is None]:
        why = f"not installed: {', '.join(missing)}"
        if item.config.getoption("--docker") == "require":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """
    Print the image's size and, loudly, that the container suite was left out.
    """
    if containers.SIZES in config.stash:
        terminalreporter.section("image")
        terminalreporter.line(config.stash[containers.SIZES])
    if LEFT_OUT in config.stash:
        terminalreporter.section(config.stash[LEFT_OUT], sep="!", yellow=True, bold=True)


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The project's image, built by build.sh."""
    # Sessions that run at the same time must not remove each other's image.
    with containers.built(f"container-suite/{ALGORITHM}:{os.getpid()}") as tag:
        yield tag


@pytest.fixture(scope="session")
def stand_in(image: str) -> Iterator[str]:
    """The image with a ``serve`` and ``train`` that say what reached them: one small layer."""
    tag = f"container-suite/stand-in:{os.getpid()}"
    folder = str(TOP / "tests/local_cloud/stand_in")
    containers.docker("build", "--tag", tag, "--build-arg", f"IMAGE={image}", folder)
    try:
        yield tag
    finally:
        containers.docker("image", "rm", "--force", "--no-prune", tag)


@pytest.fixture(scope="session")
def trained(image: str, tmp_path_factory: pytest.TempPathFactory) -> containers.Job:
    """A job that the image has trained briefly on the data in local_test."""
    root = tmp_path_factory.mktemp("trained") / "ml"
    job = containers.Job(root, SAMPLE, **quick())
    assert job.train(image, "train") == 0, job.log
    return job
