"""
Which models a multi-model endpoint has loaded: small files on which all workers agree.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.serving.processes import is_alive

# Models in one answer to GET /models.
PAGE = 100


class AlreadyLoaded(RequestError):
    """
    A model of this name is loaded.
    """

    status = 409
    code = "model_already_loaded"


class NotLoaded(RequestError):
    """
    No model of this name is loaded.
    """

    status = 404
    code = "model_not_loaded"


class NoMemory(RequestError):
    """
    The model does not fit beside those that are loaded; the platform unloads some and tries again.
    """

    status = 507
    code = "insufficient_memory"


@dataclass(frozen=True)
class Entry:
    """
    A model: ``key`` is its URL-encoded name, ``size`` the bytes that it takes, ``worker`` the
    process that has it or is to have it.
    """

    key: str
    url: str
    size: int
    worker: int
    loaded: bool

    def is_expected(self) -> bool:
        """
        Tell whether its memory is still to be taken: while it is being loaded, and when its worker
        has ended and the next one has not yet been asked for it.
        """
        return self.loaded != is_alive(self.worker)


class Registry:
    """
    The models of all workers, a file for each in ``folder``, which the first of them makes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Entry | None:
        """
        Return a model that is loaded, None when there is none.
        """
        entry = _read(self._file(key))
        return entry if entry and entry.loaded else None

    def page(self, after: str, size: int = PAGE) -> tuple[list[Entry], str | None]:
        """
        Return loaded models in the order of their files, those behind the token ``after``, and the
        token of the next page, None on the last.
        """
        entries: list[Entry] = []
        names = [name for name in self._names() if name > after]
        for number, name in enumerate(names):
            if (entry := _read(self._folder / name)) and entry.loaded:
                entries.append(entry)
            if len(entries) == size and number + 1 < len(names):
                return entries, name
        return entries, None

    def reserve(self, entry: Entry, left: Callable[[], int]) -> None:
        """
        Take note of a model that is about to be loaded; ``left`` returns the bytes that all models
        may still take. Raises NoMemory when those, and others about to be loaded, leave too little.
        """
        with self._locked():
            others = (_read(self._folder / name) for name in self._names())
            expected = sum(
                each.size
                for each in others
                if each and each.key != entry.key and each.is_expected()
            )
            most = left() - expected
            if entry.size > most:
                raise NoMemory(
                    f"the model takes {entry.size / 1e6:.0f} MB, of which {max(0, most) / 1e6:.0f} "
                    "MB are left; unload others or take a larger instance"
                )
            self.write(entry)

    def write(self, entry: Entry) -> None:
        """
        Write a model's file anew.
        """
        self._folder.mkdir(exist_ok=True)
        file = self._file(entry.key)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(entry)), encoding="ascii")
        new.replace(file)

    def remove(self, key: str) -> None:
        """
        Forget a model.
        """
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        # A key may be longer than a file's name.
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted(name for name in os.listdir(self._folder) if name.endswith(".json"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """
        Let one worker at a time count and take memory.
        """
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(file: Path) -> Entry | None:
    try:
        return Entry(**json.loads(file.read_text(encoding="ascii")))
    except FileNotFoundError:  # never there, or removed meanwhile
        return None
