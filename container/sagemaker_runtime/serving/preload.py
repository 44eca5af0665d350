"""
Whether a model that was loaded before the fork can be shared: not when loading left threads.
"""

import os
import sys
import threading
import time

# Threads that were asked to end may need a moment, in s.
GRACE_S = 0.2


def count_threads() -> int:
    """
    Return how many threads this process has, those of libraries in C included where the system
    tells.
    """
    tasks = "/proc/self/task"
    return len(os.listdir(tasks)) if os.path.isdir(tasks) else threading.active_count()


def threads_left(before: int) -> str | None:
    """
    Describe the threads beyond those that there were before, such as "2 threads (Thread-1, 1 of a
    library in C)"; None when there are none.
    """
    deadline = time.monotonic() + GRACE_S
    while (more := count_threads() - before) > 0 and time.monotonic() < deadline:
        time.sleep(0.005)
    if more <= 0:
        return None
    names = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    if len(names) < more:
        names.append(f"{more - len(names)} of a library in C")
    return f"{more} thread{'' if more == 1 else 's'} ({', '.join(names)})"


def load_in_each_worker() -> None:
    """
    Begin this gunicorn anew, without the model and whatever loading it left, so that each worker
    loads for itself; does not return.

    Call it before gunicorn has opened its sockets.
    """
    os.environ["MODEL_SERVER_PRELOAD"] = "off"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.argv[0], sys.argv)  # noqa: S606 - gunicorn's own script and arguments
