"""
Channels in Pipe mode: a named pipe for each pass over the data.
"""

import os
from collections.abc import Callable
from pathlib import Path

from local_cloud.clock import Clock

LOOK_S = 0.05


def feed(
    clock: Clock, folder: Path, channel: str, files: list[Path], ended: Callable[[], bool]
) -> None:
    """
    Write the files into CHANNEL_0, CHANNEL_1 and so on, each when somebody opens it.
    """
    epoch = 0
    while not ended():
        pipe = folder / f"{channel}_{epoch}"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        while True:
            try:
                descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:  # nobody reads it yet
                if ended():
                    return
                clock.pause(LOOK_S)
        os.set_blocking(descriptor, True)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                for file in files:
                    opened.write(file.read_bytes())
        except BrokenPipeError:
            pass  # the reader has seen enough
        epoch += 1
