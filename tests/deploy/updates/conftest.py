"""
A local cloud whose hours are seconds, the commands in it, and endpoints to change.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from deploy import rehearsal
from deploy.settings import Settings
from local_cloud import images
from local_cloud.server import REGION, local_cloud

from clouds import OWN_KEY, Rehearsal
from deployments import Commands

SETTINGS = Settings(role=rehearsal.ROLE, bucket=rehearsal.BUCKET)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, stand_in: str) -> Iterator[Rehearsal]:
    """A cloud for all tests, each with its own endpoints; its registry has the stand-in."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), clock=600, startup_s=6) as started:
        images.push(started.cloud, stand_in, "toys:v1")
        yield Rehearsal(started)


@pytest.fixture
def run(cloud: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands, whose account is the local cloud."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, OWN_KEY)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    rehearsal.furnish(SETTINGS)
    lines = ['application = "toys"', f'role = "{SETTINGS.role}"', f'bucket = "{SETTINGS.bucket}"']
    return Commands(tmp_path / "deploy.toml", lines)


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the folder of a model that answers by its name."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(name, encoding="utf-8")
        return folder

    return make


class Asking:
    """Four clients that ask an endpoint all the while; what they were told, and how often."""

    def __init__(self, cloud: Rehearsal, endpoint: str) -> None:
        self.answers: Counter[str] = Counter()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(cloud, endpoint)) for _ in range(4)
        ]

    def __enter__(self) -> "Counter[str]":
        for thread in self._threads:
            thread.start()
        return self.answers

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, cloud: Rehearsal, endpoint: str) -> None:
        while not self._ended.wait(0.02):
            try:
                self.answers[cloud.ask(endpoint).decode()] += 1
            except ClientError as error:
                self.answers[error.response["Error"]["Code"]] += 1


@pytest.fixture
def asking(cloud: Rehearsal) -> Callable[[str], Asking]:
    """Asks an endpoint for as long as the context lasts."""
    return lambda endpoint: Asking(cloud, endpoint)
