"""
Runs ``train.py`` as a process, as AWS's training toolkit does.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import IO

from sagemaker_runtime.errors import HostLost, JobError, Stopped
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.script_mode import code
from sagemaker_runtime.script_mode.environment import Given, variables
from sagemaker_runtime.training.job import TrainingJob
from sagemaker_runtime.training.stop import KILL_S

POLL_S = 0.1
# Of the time between SIGTERM and the end, what is left to try the model and to publish it.
PUBLISH_S = 45.0
# What is kept of stderr to find the error in, and what of an error is told, in characters; a
# FailureReason has 1024.
TAIL_LENGTH = 64 * 1024
CAUSE_LENGTH = 850
# A process that the script left behind may hold stderr open.
STDERR_S = 5.0

TRACEBACK = "Traceback (most recent call last):"


class ScriptError(JobError):
    """
    The script failed or wrote no model.
    """


def run(job: TrainingJob, package: Path) -> None:
    """
    Run the job's script, from a folder that it may write to, with hyperparameters as arguments and
    the rest in SM_ variables.

    Raises ScriptError with the script's last error, Stopped when the platform ended the job before
    there was a model, HyperparameterError for code that cannot be fetched.
    """
    paths = Paths.from_environ(os.environ)
    given = Given.read(paths)
    with tempfile.TemporaryDirectory(prefix="code-") as folder:
        named = code.fetch(given, Path(folder))
        source = named or package
        program = code.program(given, source)
        code.check_requirements(source)
        work = Path(folder, "work")
        shutil.copytree(source, work, ignore=shutil.ignore_patterns("__pycache__"))
        _run(program, work, job, paths, given)
        if named:
            _keep(named, job.model_dir / "code")


def _run(program: str, work: Path, job: TrainingJob, paths: Paths, given: Given) -> None:
    module_dir = given.platform.get(code.SUBMIT_DIRECTORY) or work
    environ = {"PYTHONUNBUFFERED": "1", **os.environ}
    environ |= variables(given, job, paths, program, module_dir)
    interpreter = "/bin/bash" if program.endswith(".sh") else sys.executable
    before = _files(paths.model)
    print(f"running {program} {' '.join(given.arguments)}".rstrip(), flush=True)
    command = [interpreter, program, *given.arguments]
    status, error = _watched(command, work, environ, job)
    # Some scripts name the model folder of the platform themselves.
    for file in _files(paths.model) - before:
        target = job.model_dir / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(paths.model / file, target)
    saved = bool(_files(job.model_dir))
    if job.stopping() and not saved and job.cluster.is_leader:
        raise Stopped(f"asked to stop before {program} had saved a model.")
    if job.stopping() and status != 0:
        print(f"{program} was stopped; what it has saved becomes the model")
        return
    if status != 0:
        told = paths.failure.read_text(encoding="utf-8") if paths.failure.exists() else error
        raise ScriptError(_reason(program, status, told.strip()))
    if not saved and job.cluster.is_leader:
        raise ScriptError(
            f"{program} ended well but wrote no model; save it into the folder that SM_MODEL_DIR "
            'names: joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib")).'
        )


def _watched(
    command: Sequence[str], folder: Path, environ: dict[str, str], job: TrainingJob
) -> tuple[int, str]:
    """
    Run a command, tell it when the job is to end, and return its status and its last error.

    Raises HostLost when another host of the job is lost, and ends the command then.
    """
    process = subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.PIPE)  # noqa: S603
    assert process.stderr is not None  # noqa: S101 - for mypy
    tail = bytearray()
    reader = Thread(target=_pass_on, args=(process.stderr, tail), daemon=True)
    reader.start()
    asked = None
    while True:
        try:
            status = process.wait(POLL_S)
            break
        except subprocess.TimeoutExpired:
            try:
                job.cluster.check()
            except HostLost:
                process.kill()
                raise
            if job.stopping() and asked is None:
                asked = monotonic()
                process.send_signal(signal.SIGTERM)
            elif asked is not None and monotonic() > asked + KILL_S - PUBLISH_S:
                process.kill()
    reader.join(STDERR_S)
    return status, last_error(tail.decode("utf-8", "replace"))


def _pass_on(source: IO[bytes], tail: bytearray) -> None:
    """
    Copy a stream to stderr as it comes, progress bars too, and keep its end.
    """
    while chunk := os.read(source.fileno(), TAIL_LENGTH):
        sys.stderr.buffer.write(chunk)
        sys.stderr.buffer.flush()
        tail += chunk
        del tail[:-TAIL_LENGTH]


def last_error(text: str) -> str:
    """
    Return what a script printed last: of a traceback its message, which may have several lines,
    otherwise the last line.
    """
    _, traceback, after = text.rpartition(TRACEBACK)
    if traceback and (message := re.search(r"^(?=\S)(?!\^)", after.lstrip("\n"), re.MULTILINE)):
        return after.lstrip("\n")[message.start() :].strip()
    return text.strip().rpartition("\n")[2].strip()


def _reason(program: str, status: int, error: str) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        memory = "; most likely memory ran out: choose a larger instance" if status == -9 else ""
        return f"{program} was ended by {name}{memory}."
    error = error[:CAUSE_LENGTH] or "no error was printed"
    return f"{error} ({program} ended with exit code {status})"


def _files(folder: Path) -> set[Path]:
    """
    List the files below a folder, but those of hidden folders: ``train`` may keep its own there.
    """
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {file for file in found if not any(part[0] == "." for part in file.parts[:-1])}


def _keep(source: Path, target: Path) -> None:
    """
    Copy the code into the model, so that it is served with the same functions; what the script
    has put there itself stays.
    """
    for file in _files(source):
        if "__pycache__" not in file.parts and not (target / file).exists():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target / file)
