"""Threads that loading a model leaves are noticed before the workers are forked."""

import subprocess
import sys

from project import CONTAINER

# In a process of its own: threads of other tests come and go.
HEAD = """
import threading
from sagemaker_runtime.serving.preload import count_threads, threads_left
before = count_threads()
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script],
        cwd=CONTAINER,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_nothing_is_left() -> None:
    """Without a new thread nothing is left, nor with one that ends in a moment."""
    assert run("print(threads_left(before))") == "None"
    started = "threading.Timer(0.05, lambda: None).start()"
    assert run(f"{started}; print(threads_left(before))") == "None"


def test_a_thread_is_left() -> None:
    """A thread that goes on is counted and named."""
    started = "threading.Thread(target=threading.Event().wait, name='watcher', daemon=True).start()"
    assert run(f"{started}; print(threads_left(before))") == "1 thread (watcher)"
