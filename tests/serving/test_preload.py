"""Threads that loading a model leaves are noticed before the workers are forked."""

import threading

from sagemaker_runtime.serving.preload import count_threads, threads_left


def test_nothing_is_left() -> None:
    """Without a new thread nothing is left, nor with one that ends in a moment."""
    before = count_threads()
    assert threads_left(before) is None
    thread = threading.Timer(0.05, lambda: None)
    thread.start()
    assert threads_left(before) is None
    thread.join()


def test_a_thread_is_left() -> None:
    """A thread that goes on is counted and named."""
    before, end = count_threads(), threading.Event()
    thread = threading.Thread(target=end.wait, name="watcher")
    thread.start()
    try:
        left = threads_left(before)
        assert left
        assert left.startswith("1 thread (")
        assert "watcher" in left  # beside threads that other tests may have left
    finally:
        end.set()
        thread.join()
