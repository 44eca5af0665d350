"""
Checkpoints: a folder of the job and a prefix of S3, which follow one another.
"""

from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any

from local_cloud.store import Store

INSIDE = "/opt/ml/checkpoints"


class Checkpoints:
    """
    The checkpoints of one job.
    """

    def __init__(self, store: Store, config: dict[str, Any], folder: Path) -> None:
        self.inside: str = config.get("LocalPath", INSIDE)
        self.folder = folder
        self._store = store
        self._uri = config["S3Uri"].rstrip("/") + "/"
        self._known: dict[Path, tuple[int, int]] = {}
        if store.exists(self._uri):
            store.download(self._uri, folder)
        self._known = self._seen()

    def send(self) -> None:
        """
        Put what is new or has changed into S3.
        """
        seen = self._seen()
        for path, state in seen.items():
            if self._known.get(path) != state:
                name = path.relative_to(self.folder).as_posix()
                with suppress(FileNotFoundError):  # renamed or removed by the job meanwhile
                    self._store.write(f"{self._uri}{name}", path.read_bytes())
        self._known = seen

    def _seen(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                about = path.stat()
                if S_ISREG(about.st_mode):
                    found[path] = about.st_mtime_ns, about.st_size
        return found
