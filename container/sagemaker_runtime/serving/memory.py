"""
The memory of this process: how much it has, and giving back what it no longer needs.
"""

import ctypes
import gc
import re
import sys
from contextlib import suppress
from pathlib import Path

KB = 1024


def own_bytes() -> int:
    """
    Return the memory that this process has beside what it reads from files, which the kernel could
    take back at any time; 0 where the system does not say.
    """
    status = Path("/proc/self/status")
    text = status.read_text(encoding="ascii") if status.is_file() else ""
    found = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", text, re.MULTILINE)
    return sum(map(int, found)) * KB


def give_back() -> None:
    """
    Return to the system what nothing refers to any more, from Python's, C's and Arrow's allocators.
    """
    gc.collect()
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    with suppress(AttributeError):  # a C library other than GNU's
        ctypes.CDLL(None).malloc_trim(0)
