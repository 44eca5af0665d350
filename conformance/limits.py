"""
The platform's limits.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """
    In seconds; those below the last comment are the kit's own.
    """

    start: float = 480  # until the first good ping
    ping: float = 2
    connect: float = 0.25
    answer: float = 60
    batch_answer: float = 600
    stop_serving: float = 30
    stop_training: float = 120
    # The kit's own: how long it waits for what the platform does not limit.
    training: float = 3600
    recover: float = 30
