"""
The last question before a model is published: would ``serve`` be able to serve it?

A fresh process answers it, as ``serve`` is one: this one has classes, settings and objects from
training that serving would lack. Its memory is free when it has ended.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from sagemaker_runtime.errors import ModelError
from sagemaker_runtime.paths import PROGRAM, Paths
from sagemaker_runtime.training.stop import KILL_S

# The platform gives up an endpoint that has not answered a ping for so long.
LIMIT_S = 480.0
# Of the time between SIGTERM and the end this much is left to publish the model.
PUBLISH_S = 30.0
POLL_S = 0.2
COMMAND = (sys.executable, str(PROGRAM / "self_test.py"))


def verify(
    root: Path,
    environ: Mapping[str, str],
    stops: Sequence[float] = (),
    limit_s: float = LIMIT_S,
    command: Sequence[str] = COMMAND,
) -> None:
    """
    Load the model in ``root``/model and predict the example in a fresh process.

    ``environ`` is what ``train`` was started with; ``stops`` are the moments at which the platform
    has asked the job to end. Raises ModelError with the reason when the model cannot be served; a
    job that is to end keeps a model for which there was no time.
    """
    paths, started = Paths(root), monotonic()
    process = subprocess.Popen(  # noqa: S603 - the program's own file
        command,
        cwd=PROGRAM,
        env={**environ, "SAGEMAKER_BASE_DIR": str(root)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the job's group is for the job to handle
    )
    try:
        while process.poll() is None and monotonic() < _deadline(started + limit_s, stops):
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
        seconds = monotonic() - started
        if process.returncode is None:
            if stops:
                print(f"no time to load the model again ({seconds:.0f} s): published unverified")
                return
            raise ModelError(
                f"the model cannot be served: it was not loaded within {limit_s:g} s, after which "
                "SageMaker gives up an endpoint; save it in a form that loads faster."
            )
    finally:
        _end(process)
    reason = paths.failure.read_text(encoding="utf-8") if paths.failure.exists() else None
    if reason is None:
        reason = f"the process that loaded it {_ending(process.returncode)}"
    if reason:
        raise ModelError(
            f"the model cannot be served: {reason}. It was not published; load and predict must "
            "work in a fresh process."
        )
    print(f"the model was tried in a fresh process, as serve will load it ({seconds:.1f} s)")


def _deadline(ordinary: float, stops: Sequence[float]) -> float:
    return min(ordinary, stops[0] + KILL_S - PUBLISH_S) if stops else ordinary


def _end(process: subprocess.Popen) -> None:
    """
    End what is left of the process and its children.
    """
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of what has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely for lack of memory: choose an instance with more"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code} before it answered: the log has why"
