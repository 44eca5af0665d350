"""
The model's way into the archive: written in a hidden folder, published by renaming.

A rename needs no second copy of the model, and a kill leaves whole files under their names.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sagemaker_runtime.errors import JobError
from sagemaker_runtime.training.failure import printable

STAGING = ".train-staging"


@contextmanager
def staging(model: Path) -> Iterator[Path]:
    """
    Hand out an empty hidden folder from which files can be renamed into ``model``; whatever the
    end, it is removed, and what a killed job has left is removed before.

    It stands beside ``model``, where the platform does not upload it, or inside when ``model`` is a
    mount. Raises JobError when neither can be written to.
    """
    for leftover in _places(model):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        model.mkdir(parents=True, exist_ok=True)
        folder = _created(*_places(model))
    except OSError as error:
        raise _unwritten(model, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def unpublished() -> Iterator[Path]:
    """
    Hand out a folder for files of which none is published: those of hosts other than the leader.

    It is not beside the model, as the SDK's local mode gives all hosts one folder for it.
    """
    with tempfile.TemporaryDirectory(prefix="train-") as folder:
        yield Path(folder)


def _places(model: Path) -> tuple[Path, Path]:
    return model.parent / STAGING, model / STAGING


def _created(beside: Path, inside: Path) -> Path:
    """
    Create the folder at the first place that is on the model's mount.
    """
    try:
        beside.mkdir()
    except OSError:
        inside.mkdir()
        return inside
    try:
        beside.rename(inside)  # device numbers do not tell: mounts may share one
    except OSError:
        beside.rmdir()
        inside.mkdir()
        return inside
    inside.rename(beside)
    return beside


def collect(staged: Path, copies: Path) -> list[tuple[Path, Path]]:
    """
    List the files of a staged model, readable for all since archives are unpacked under other user
    ids: each file beside its path in the model.

    Archives hold no links: what one leads to is copied into the new folder ``copies``. Raises
    JobError when there is no file, when a link leads nowhere or to a folder around it, or when the
    disk is full.
    """
    files = []
    try:
        copies.mkdir()
        for number, (name, linked) in enumerate(_files(staged)):
            file = staged / name
            if linked:
                file = copies / str(number)
                shutil.copyfile(staged / name, file)
            file.chmod(0o644)
            files.append((file, name))
    except OSError as error:
        raise _unwritten(copies, error) from error
    if not files:
        raise JobError("train wrote no file into job.model_dir; save the model there.")
    return files


def unless_there(
    name: str, text: str, files: Iterable[tuple[Path, Path]], folder: Path
) -> list[tuple[Path, Path]]:
    """
    Write a file of the runtime's into ``folder`` and return it as ``collect`` does; none where the
    algorithm has one of that name.

    Raises JobError when it cannot be written.
    """
    if any(Path(name) == taken for _, taken in files):
        return []
    try:
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)
    except OSError as error:
        raise _unwritten(folder, error) from error
    return [(folder / name, Path(name))]


def publish(files: Iterable[tuple[Path, Path]], model: Path) -> None:
    """
    Rename each file to its path in ``model``, which is on the same file system.

    Raises JobError when it cannot be written there.
    """
    try:
        for file, name in files:
            target = model / name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
    except OSError as error:
        raise _unwritten(model, error) from error


def _files(
    staged: Path, name: Path = Path(), linked: bool = False, above: tuple[Path, ...] = ()
) -> Iterator[tuple[Path, bool]]:
    """
    Yield the path of each file below ``name``, counted from ``staged``, and whether it stands
    elsewhere too: behind a link, or under a second name.
    """
    real = (staged / name).resolve()
    if real in above:
        raise JobError(
            f"{_named(name)} in job.model_dir is a link to a folder around it; remove the link or "
            "save the model without it."
        )
    for entry in sorted(os.scandir(staged / name), key=lambda entry: entry.name):
        each, is_link = name / entry.name, linked or entry.is_symlink()
        if entry.is_dir():
            yield from _files(staged, each, is_link, (*above, real))
        elif entry.is_file():
            yield each, is_link or entry.stat().st_nlink > 1
        elif entry.is_symlink():
            raise JobError(
                f"{_named(each)} in job.model_dir is a link to {_named(Path(os.readlink(entry)))}, "
                "which does not exist; save the file itself."
            )


def _named(path: Path) -> str:
    return printable(str(path))


def _unwritten(folder: Path, error: OSError) -> JobError:
    return JobError(
        f"the model could not be written to {folder}: {error}. "
        "If the disk is full give the job a larger volume_size."
    )
