"""
Metric lines in the training log and the regular expressions that catch them.
"""

import re


def line(name: str, value: float) -> str:
    """
    Return the log line of a metric, such as ``validation:rmse=3.2001;``.
    """
    return f"{name}={value:.6g};"


def definition(name: str) -> dict[str, str]:
    """
    Return the entry of ``metric_definitions`` whose expression catches ``line(name, value)``.
    """
    return {"Name": name, "Regex": re.escape(name) + r"=([-+0-9.e]+);"}
