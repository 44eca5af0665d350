"""
Training jobs on several hosts: a process for each, as SageMaker starts containers.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import free_port, wait_until
from jobs import files, write_hyperparameters

# The others look only for the leader, whose name must be one that resolves.
NAMES = ("localhost", "algo-2", "algo-3", "algo-4")


def write_resources(root: Path, here: str, hosts: Sequence[str]) -> None:
    """
    Write resourceconfig.json as the platform does.
    """
    path = root / "input/config/resourceconfig.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"current_host": here, "hosts": list(hosts)}))


class Host:
    """
    A host of a job: its tree below ``root``, and its process once it has been started.
    """

    def __init__(self, program: Path, root: Path, name: str, environ: dict[str, str]) -> None:
        self.program, self.root, self.name = program, root, name
        self._environ = environ
        self._log = root / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """
        The port on which the job's leader listens.
        """
        return int(self._environ["CLUSTER_PORT"])

    def start(self) -> None:
        """
        Start ``train``.
        """
        environ = os.environ | {"SAGEMAKER_BASE_DIR": str(self.root)} | self._environ
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, self.program / "train"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        """
        Send a signal to its process.
        """
        assert self.process is not None
        self.process.send_signal(number)

    def await_line(self, words: str, timeout: float = 60) -> None:
        """
        Return when the log has certain words; fail when the process ends without.
        """

        def there() -> bool:
            assert self.process is not None
            has_ended = self.process.poll() is not None
            found = words in self.log
            assert found or not has_ended, f"{self.name} ended without {words!r}:\n{self.log}"
            return found

        wait_until(there, timeout=timeout, what=f"{words!r} in the log of {self.name}")

    def wait(self, timeout: float = 60) -> int:
        """
        Return the exit code.
        """
        assert self.process is not None
        return self.process.wait(timeout)

    def end(self) -> None:
        """
        Kill the process if it still runs.
        """
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def failure(self) -> str:
        path = self.root / "output/failure"
        return path.read_text() if path.exists() else ""

    @property
    def model(self) -> list[str]:
        return files(self.root / "model") if (self.root / "model").exists() else []


@contextmanager
def hosts(
    program: Path,
    folder: Path,
    data: Sequence[Path | None] = (None, None),
    *,
    start: bool = True,
    sharded: bool = False,
    names: Sequence[str] = NAMES,
    environ: dict[str, str] | None = None,
    **hyperparameters: object,
) -> Iterator[list[Host]]:
    """
    Hand out a job's hosts, as many as ``data`` names training channels, the leader first; their
    processes are killed at the end, and a failing test prints their logs. ``sharded`` says that
    each has its own files, by S3DistributionType.
    """
    with free_port() as port:
        every = []
        for name, channel in zip(names, data, strict=False):
            root = folder / name
            write_hyperparameters(root, **hyperparameters)
            write_resources(root, name, names[: len(data)])
            if sharded:
                config = root / "input/config/inputdataconfig.json"
                config.write_text('{"training": {"S3DistributionType": "ShardedByS3Key"}}')
            if channel is not None:
                (root / "input/data").mkdir(parents=True)
                (root / "input/data/training").symlink_to(channel)
            host = Host(program, root, name, {"CLUSTER_PORT": str(port)} | (environ or {}))
            every.append(host)
        try:
            if start:
                for host in every:
                    host.start()
            yield every
        except BaseException as error:
            for host in every:
                error.add_note(f"{host.name} printed:\n{host.log}")
            raise
        finally:
            for host in every:
                host.end()


def outcomes(every: Sequence[Host], timeout: float = 60) -> list[int]:
    """
    Return the exit code of each host.
    """
    return [host.wait(timeout) for host in every]
