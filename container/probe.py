"""
Tries a model in a fresh process before a worker of a multi-model endpoint loads it: what ends a
process, hangs or takes all memory then harms no other model, and its memory is known.

The file is that process's program, too. It writes what it found to a pipe.
"""

import json
import logging.config
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import gevent
from gevent.os import make_nonblocking, nb_read

from answers import ModelUnavailable, TimedOut
from predictor import Predictor
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.logs import logging_config
from sagemaker_runtime.serving import memory
from sagemaker_runtime.serving.children import end_with_parent
from sagemaker_runtime.serving.models import NoMemory
from sagemaker_runtime.settings import Settings

# The pipe's descriptor in the fresh process.
PIPE = 3
# Time for a process that has closed its pipe to be gone.
END_S = 2.0


def measure(model_dir: Path, limit_s: float) -> int:
    """
    Load the model and predict the example in a fresh process; return the memory in bytes that the
    model takes.

    Raises ModelUnavailable when it cannot be served, NoMemory when memory ran out, TimedOut.
    """
    reading, writing = os.pipe()
    try:
        # Not by subprocess: as gevent has it, Python code runs in a fork of this worker.
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, __file__, str(model_dir)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, PIPE),
            ],
            setsid=True,  # all that it starts ends with it
            setsigmask=(),
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    late = TimedOut(
        f"the model was not loaded within {limit_s:g} s; save it in a form that loads faster, or "
        "set MODEL_SERVER_LOAD_TIMEOUT to more seconds"
    )
    code = None
    try:
        make_nonblocking(reading)
        with gevent.Timeout(limit_s, late):
            text = b""
            # To the line's end and not the pipe's: processes that loading forked may hold it open.
            while not text.endswith(b"\n") and (piece := nb_read(reading, 65536)):
                text += piece
        code = _ending(process)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        if code is None:
            os.waitpid(process, 0)
    return _size(text, code)


def _ending(process: int) -> int | None:
    """
    Return how a process that has closed its pipe ended, None when it has not.
    """
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        gevent.sleep(0.002)
    return None


def _size(text: bytes, code: int | None) -> int:
    found = json.loads(text) if text else {}
    if code == -signal.SIGKILL or found.get("no_memory"):
        raise NoMemory(
            "memory ran out while the model was tried; unload others or take a larger instance"
        )
    if reason := found.get("reason"):
        raise ModelUnavailable(reason)
    if not found:
        how = f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
        raise ModelUnavailable(
            f"the model could not be loaded: the process that tried it ended with {how}; "
            "the log has what it said"
        )
    return int(found["size"])


def main(model_dir: Path) -> None:
    """
    Write to the pipe what loading the model and predicting the example gave.
    """
    end_with_parent(signal.SIGKILL)
    with suppress(OSError):  # no Linux
        # When memory runs out, this process is to end and no worker.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    logging.config.dictConfig(logging_config(Settings.from_environ(os.environ).log_level))
    algorithm = find_algorithm()
    before = memory.own_bytes()
    predictor = Predictor(algorithm, model_dir)
    reason = predictor.health()
    memory.give_back()
    found = {
        "reason": reason,
        "no_memory": isinstance(predictor.error, MemoryError),
        "size": max(0, memory.own_bytes() - before),
    }
    os.write(PIPE, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    os.set_inheritable(PIPE, False)
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # without waiting for threads that loading has started
