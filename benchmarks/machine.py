# ruff: noqa: S603 - asks programs for their versions
"""
What the figures were measured on.
"""

import hashlib
import os
import platform
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

SPEED_S = 0.5


def describe() -> dict[str, str]:
    """
    Return processor, memory, kernel and versions by name, as text.
    """
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nginx": _version("nginx", "-v"),
        "wrk": _version("wrk", "-v"),
        "load before": f"{os.getloadavg()[2]:.2f}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def speed() -> float:
    """
    Return how many thousand hashes one processor makes per second: a measure of the machine alone,
    which tells a run that drifted from one that did not.
    """
    content, hashes = bytes(1024), 0
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < SPEED_S:
        for _ in range(1000):
            hashlib.sha256(content).digest()
        hashes += 1
    return hashes / took


def _version(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "none"
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stderr + done.stdout)
    return found[0] if found else "unknown"
