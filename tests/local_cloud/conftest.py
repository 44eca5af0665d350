"""
A local cloud for all tests.
"""

from collections.abc import Iterator

import pytest
from local_cloud.server import local_cloud

from clouds import Rehearsal


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A cloud whose hours are seconds, for all tests; each uses its own names."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), clock=600, startup_s=6) as started:
        rehearsal = Rehearsal(started)
        rehearsal.bucket()
        yield rehearsal
