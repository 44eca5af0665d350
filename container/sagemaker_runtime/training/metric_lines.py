"""
Metric lines in the training log and the regular expressions that catch them.
"""

import math
import re
import sys

from sagemaker_runtime.training.failure import listed, printable


def line(name: str, value: float) -> str:
    """
    Return the log line of a metric, such as ``validation:rmse=3.2001;``.
    """
    return f"{name}={value:.6g};"


class Metrics:
    """
    Prints the line of a metric when it is called, or to stderr that the value is not a finite
    number: SageMaker takes no other, and a model is not thrown away for it.

    A host that is not the leader prints none: SageMaker reads the logs of all, and each metric is
    to be found once.
    """

    def __init__(self, is_leader: bool = True) -> None:
        self._is_leader = is_leader
        self._printed: dict[str, None] = {}  # in order

    def __call__(self, name: str, value: float) -> None:
        if not self._is_leader:
            return
        if math.isfinite(value):
            self._printed[name] = None
            print(line(name, value))
        else:
            print(f"metric {name} is {value}, not a finite number: not reported", file=sys.stderr)

    def unprinted(self, objective: str) -> str | None:
        """
        Return the line on a tuning job's objective that was not printed under its name, None when
        it was or there is none.
        """
        if not objective or objective in self._printed or not self._is_leader:
            return None
        return (
            f"the tuning job's objective is {printable(objective)!r}, which train did not print; "
            f"it printed {listed(list(self._printed)) or 'no metric'}. Unless its Regex catches "
            "another line, name one of these in objective_metric_name."
        )


def definition(name: str) -> dict[str, str]:
    """
    Return the entry of ``metric_definitions`` whose expression catches ``line(name, value)``.
    """
    return {"Name": name, "Regex": re.escape(name) + r"=([-+0-9.e]+);"}
