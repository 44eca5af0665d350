"""
Checkpoints: what a job keeps so that its next start continues where this one was ended.

The platform copies the folder to S3 while the job runs, and back when it starts the job anew on
another machine; it has no folder per host, so each name begins with the host's.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from time import monotonic
from typing import Any

from sagemaker_runtime.errors import ConfigurationError, SettingError
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.training import configuration
from sagemaker_runtime.training.failure import printable

EXAMPLE = '{"S3Uri": "s3://bucket/checkpoints/", "LocalPath": "/a/folder"}'
# Seconds from one checkpoint to the next: what is lost at most when a machine goes without SIGTERM.
INTERVAL = "CHECKPOINT_SECONDS"
INTERVAL_S = 60.0
# The newest may have reached S3 in part when the machine went; then the one before it is taken.
KEPT = 2
ABOUT = "checkpoint.json"  # beside the files of a checkpoint: what it is of, and their digests


class Checkpoints:
    """
    The checkpoints of this host, each a folder of files; without ``folder`` there are none, and
    none is kept.

    ``facts`` is what a checkpoint must agree on to be continued from.
    """

    def __init__(
        self,
        folder: Path | None = None,
        host: str = "algo-1",
        facts: Mapping[str, Any] | None = None,
        interval_s: float = INTERVAL_S,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder = folder
        self._host = host
        self._facts = dict(facts or {})
        self._interval_s = interval_s
        self._stopping = stopping
        self._kept_at = monotonic()
        self._is_last = False  # kept after the job was asked to stop

    def newest(self, **facts: Any) -> Path | None:
        """
        Return the folder of the newest checkpoint, None when there is none to continue from.

        ``facts``, such as ``data=job.fingerprint()``, are plain values that it must have been kept
        with, too, as must those that are kept from now on. One that is damaged or of something else
        is left alone, with the reason in the log.
        """
        self._facts |= _plain(facts)
        found = self._found()
        for number in sorted(found, reverse=True):
            fault = self._fault(found[number])
            if not fault:
                print(f"continuing from the checkpoint {found[number].name}")
                return found[number]
            print(f"the checkpoint {found[number].name} is not used: {fault}")
        if found:
            print("no checkpoint can be continued from: training starts anew")
        return None

    def keep(self, write: Callable[[Path], object], *, now: bool = False) -> bool:
        """
        Call ``write(folder)``, which writes files there, when the last checkpoint is old enough,
        when the job is to end, or ``now``; tell whether one was kept.

        It appears as a whole, or not at all; older ones than the last two are removed. A full disk
        costs the checkpoint, not the job.
        """
        if self.folder is None:
            return False
        is_last = self._stopping() and not self._is_last
        if not (now or is_last or monotonic() - self._kept_at >= self._interval_s):
            return False
        found = self._found()
        number = max(found, default=0) + 1
        staged = self.folder / f".{self._name(number)}"
        try:
            shutil.rmtree(staged, ignore_errors=True)  # of a job that was killed
            staged.mkdir(parents=True)
            write(staged)
            about = {"facts": self._facts, "files": _digests(staged)}
            (staged / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            staged.rename(self.folder / self._name(number))
        except OSError as error:
            print(f"no checkpoint was kept, training goes on: {error}", file=sys.stderr)
            shutil.rmtree(staged, ignore_errors=True)
            return False
        finally:
            self._kept_at = monotonic()
        self._is_last = is_last
        for old in sorted(found)[: 1 - KEPT]:
            shutil.rmtree(found[old], ignore_errors=True)
        return True

    def _name(self, number: int) -> str:
        return f"{self._host}-{number:06d}"

    def _found(self) -> dict[int, Path]:
        """
        Return the folders of this host's checkpoints by their numbers.
        """
        if self.folder is None or not self.folder.is_dir():
            return {}
        name = re.compile(re.escape(self._host) + r"-(\d{6,})")
        folders = ((name.fullmatch(path.name), path) for path in self.folder.iterdir())
        return {int(match[1]): path for match, path in folders if match and path.is_dir()}

    def _fault(self, checkpoint: Path) -> str:
        """
        Say why a checkpoint cannot be continued from, nothing when it can.
        """
        try:
            about = json.loads((checkpoint / ABOUT).read_text(encoding="utf-8"))
            facts, digests = dict(about["facts"]), dict(about["files"])
            if _digests(checkpoint) != digests:
                return "it is damaged: its files are not those that were kept"
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            return f"it is damaged ({type(error).__name__}: {printable(str(error))})"
        told = "; ".join(_differences(facts, self._facts))
        return told and f"it is of another training: {told}"


def find(
    paths: Paths,
    environ: Mapping[str, str],
    host: str,
    facts: Mapping[str, Any],
    stopping: Callable[[], bool],
) -> Checkpoints:
    """
    Return the checkpoints of ``host``: in the folder that checkpointconfig.json names, or the usual
    one where that exists.

    Raises ConfigurationError for such a file in another form, SettingError for an interval that is
    not one.
    """
    folder = paths.checkpoints if paths.checkpoints.is_dir() else None
    if given := configuration.read(paths.checkpoint_config, EXAMPLE):
        named = given.get("LocalPath") or str(Paths().checkpoints)
        if not isinstance(named, str):
            raise ConfigurationError(
                f"{paths.checkpoint_config.name} has {printable(repr(named))} for LocalPath; "
                f"expected a folder, as in {EXAMPLE}. Correct the file."
            )
        folder = paths.of_platform(named)
    return Checkpoints(folder, host, _plain(facts), _interval(environ), stopping)


def digest_of_code(package: Path) -> str:
    """
    Return the SHA-256 of the Python files below an algorithm's folder, names and contents.
    """
    total = sha256()
    for file in sorted(package.rglob("*.py")):
        content = file.read_bytes()
        total.update(f"{file.relative_to(package)} {len(content)} ".encode() + content)
    return total.hexdigest()


def _interval(environ: Mapping[str, str]) -> float:
    given = environ.get(INTERVAL) or str(INTERVAL_S)
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise SettingError(
            f"{INTERVAL} is {printable(given)!r}; expected seconds from 0, such as {INTERVAL_S:g}."
        )
    return seconds


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the facts as they come back from JSON.
    """
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if (name := str(path.relative_to(folder))) != ABOUT:
            with path.open("rb") as file:
                found[name] = file_digest(file, "sha256").hexdigest()
    return found


def _differences(was: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for name in sorted({*was, *now}):
        old, new = was.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{within}{name} ")
        elif old != new:
            yield f"{within}{name} was {printable(str(old))}, is {printable(str(new))}"
