"""
The folder of one run of ``serve``: sockets, nginx's configuration, temporary files.

What root reads in it, the workers cannot replace: the folder stays root's, only ``temporary`` and
``metrics`` are shared, where nobody can remove another's files.
"""

import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sagemaker_runtime import resources
from sagemaker_runtime.errors import SettingError
from sagemaker_runtime.paths import PROGRAM

# Where prometheus-client reads the folder of the metrics.
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# The kernel's limit for the path of a unix socket.
SOCKET_PATH_LENGTH = 107


class RunFolder:
    """
    A folder that is gone after the ``with`` block, and the account whose processes may use it.

    Raises SettingError where nothing can be written.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        # The user and group that the workers run as, None when they keep the ones of serve.
        self.account, self.note = _workers_account()
        try:
            self.path = Path(tempfile.mkdtemp(prefix="serve-"))
        except OSError as error:
            named = repr(environ["TMPDIR"]) if environ.get("TMPDIR") else "not set"
            raise SettingError(
                f"TMPDIR is {named} and no folder for temporary files can be made "
                f"({error.strerror}). Mount a writable /tmp, such as by docker run --tmpfs /tmp, "
                "or set TMPDIR to a folder that is writable."
            ) from error
        self.temporary = self.path / "tmp"
        # What the workers count; see metrics.py.
        self.metrics = self.path / "metrics"
        # nginx answers differently once this file exists; see nginx.conf.
        self.stopping = self.path / "stopping"

    def __enter__(self) -> "RunFolder":
        try:
            for shared in (self.temporary, self.metrics):
                shared.mkdir()
                if self.account:
                    shutil.chown(shared, group=self.account[1])
                    shared.chmod(0o1770)
            if self.account:
                shutil.chown(self.path, group=self.account[1])
                self.path.chmod(0o710)
        except OSError as error:
            self.__exit__()
            raise SettingError(
                f"TMPDIR is {str(self.path.parent)!r}, where a folder can be made but not used "
                f"({error.strerror}). Set TMPDIR to a folder that is writable, such as /tmp."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def sockets(self, workers: int) -> list[Path]:
        """
        Return the paths where nginx finds the workers, one for each.
        """
        return [self.path / f"worker-{number}.sock" for number in range(workers)]

    def check_sockets(self, workers: int) -> None:
        """
        Raise SettingError when the paths of the sockets are too long for the kernel.
        """
        if len(str(self.sockets(workers)[-1])) > SOCKET_PATH_LENGTH:
            raise SettingError(
                f"TMPDIR is {str(self.path.parent)!r}, too long a path for a unix socket; "
                "expected a short one, such as /tmp."
            )


def _workers_account() -> tuple[tuple[str, str] | None, str]:
    """
    Return the account for the workers of root, and why they stay root if they do.
    """
    account = resources.account()
    if account is None:
        return None, ""
    if not resources.may_change_account():
        return None, f"the workers stay root, which lacks the capability to become {account[0]}"
    needed = [folder / "x" for folder in (PROGRAM, Path(sys.prefix), Path(sys.base_prefix))]
    for folder in {parent for path in needed for parent in path.resolve().parents}:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return None, f"the workers stay root: {account[0]} may not enter {folder}"
    return account, ""
