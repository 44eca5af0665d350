"""
Metric lines in the training log and the regular expressions that catch them.
"""

import math
import re
import sys


def line(name: str, value: float) -> str:
    """
    Return the log line of a metric, such as ``validation:rmse=3.2001;``.
    """
    return f"{name}={value:.6g};"


def report(name: str, value: float) -> None:
    """
    Print the line of a metric, or to stderr that it is not a finite number: SageMaker takes no
    other, and a model is not thrown away for it.
    """
    if math.isfinite(value):
        print(line(name, value))
    else:
        print(f"metric {name} is {value}, not a finite number: not reported", file=sys.stderr)


def leave_to_leader(name: str, value: float) -> None:
    """
    Print nothing: SageMaker reads the logs of all hosts, and each metric is to be found once.
    """


def definition(name: str) -> dict[str, str]:
    """
    Return the entry of ``metric_definitions`` whose expression catches ``line(name, value)``.
    """
    return {"Name": name, "Regex": re.escape(name) + r"=([-+0-9.e]+);"}
