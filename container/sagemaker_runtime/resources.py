"""
What the container grants: processors and memory from its cgroup, an account for the workers.
"""

import grp
import os
import pwd
import re
from collections.abc import Iterator
from pathlib import Path

MB = 1024 * 1024

# Own memory of a worker at rest beside the model it shares with its parent: 20 MB measured with
# the taxi model, doubled for larger ones.
WORKER_MB = 40
# What a request may take that is held as a whole, JSON of any shape for one: its text, its values
# and the answer. Tables are read in pieces: a worker of the taxi model grows by 50 MB for 100 MB of
# CSV and for 1 GB alike.
PAYLOAD_COPIES = 10
# Larger bodies are for what is read in pieces, or for a number of workers that somebody sets.
WHOLE_MB = 100

# Bits of CAP_CHOWN, CAP_KILL, CAP_SETGID and CAP_SETUID in /proc/self/status.
ACCOUNT_CAPABILITIES = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7


def default_workers(cpus: float, memory_mb: int, max_payload_mb: int) -> int:
    """
    Return one worker per processor, fewer when the memory would not hold the largest payload in
    each of them at once, and at least one.
    """
    return max(1, min(round(cpus), workers_in(memory_mb, max_payload_mb)))


def workers_in(memory_mb: int, max_payload_mb: int) -> int:
    """
    Return how many workers, at least one, the memory holds with the largest payload in each.
    """
    return max(1, memory_mb // (WORKER_MB + PAYLOAD_COPIES * min(max_payload_mb, WHOLE_MB)))


def cpus(root: Path = Path("/")) -> float:
    """
    Return the processors granted: the cgroup's quota, at most those this process may run on.
    """
    return min([float(_usable_cores()), *_quotas(root)])


def memory_mb(root: Path = Path("/")) -> int:
    """
    Return the memory granted in MB: the cgroup's limit, at most the machine's.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    v2 = _values(root, "", "memory.max")
    v1 = _values(root, "memory", "memory.limit_in_bytes")
    # Version 1 writes "no limit" as a number near 2^63, which the machine's size undercuts.
    return min([machine, *(int(text) for text in [*v2, *v1] if text != "max")]) // MB


def free_bytes(root: Path = Path("/")) -> int:
    """
    Return the memory in bytes that this container may still take: what its cgroup and those above
    leave, at most what the machine has. What is kept of files counts as free, as the kernel gives
    it up.
    """
    meminfo = root / "proc/meminfo"
    text = meminfo.read_text() if meminfo.is_file() else ""
    left = [int(found) * 1024 for found in re.findall(r"^MemAvailable: +(\d+) kB$", text, re.M)]
    for controller, limit, used, prefix in (
        ("", "memory.max", "memory.current", ""),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ):
        for folder in _folders(root, controller):
            if not (folder / limit).is_file() or (folder / limit).read_text().strip() == "max":
                continue
            stat = (folder / "memory.stat").read_text()
            files = re.findall(rf"^{prefix}(?:in)?active_file (\d+)$", stat, re.M)
            taken = int((folder / used).read_text()) - sum(map(int, files))
            left.append(int((folder / limit).read_text()) - taken)
    return max(0, min(left, default=memory_mb(root) * MB))


def oom_kills(root: Path = Path("/")) -> int | None:
    """
    Return how many processes of this container the kernel has ended for lack of memory, None
    where it does not say.
    """
    texts = [*_values(root, "", "memory.events"), *_values(root, "memory", "memory.oom_control")]
    counts = re.findall(r"^oom_kill (\d+)$", "\n".join(texts), re.MULTILINE)
    return int(counts[0]) if counts else None  # its own group's, which stands first


def out_of_memory(workers: int, before: int | None, root: Path = Path("/")) -> str:
    """
    Say what a kill by SIGKILL means and what to do; ``before`` is what ``oom_kills`` returned when
    all was well.
    """
    now = oom_kills(root)
    if now is None or before is None:
        cause = "Probably memory ran out"
    elif now > before:
        cause = "Memory ran out"
    else:
        cause = "Memory may have run out, although the kernel counts no kill for that reason"
    return (
        f"{cause}: {memory_mb(root)} MB are granted for {workers_in_words(workers)}. "
        "Set MODEL_SERVER_WORKERS or MODEL_SERVER_MAX_PAYLOAD_MB to less, or take a larger "
        "instance."
    )


def workers_in_words(workers: int) -> str:
    """
    Return "1 worker" or "2 workers".
    """
    return f"{workers} worker{'' if workers == 1 else 's'}"


def may_change_account(root: Path = Path("/")) -> bool:
    """
    Tell whether this process, if root, may start others as another user, signal them and give them
    files; a container without capabilities may not.
    """
    status = root / "proc/self/status"
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    return found is None or int(found[1], 16) & ACCOUNT_CAPABILITIES == ACCOUNT_CAPABILITIES


def account() -> tuple[str, str] | None:
    """
    Return the unprivileged user and group that the workers of a root process run as, None when
    this process is not root.
    """
    if os.geteuid() != 0:
        return None
    for user in ("www-data", "nobody"):
        try:
            return user, grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
        except KeyError:
            continue
    return None


def _usable_cores() -> int:
    # macOS has no affinity.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    for text in _values(root, "", "cpu.max"):  # "50000 100000", "max 100000"
        quota, period = text.split()
        if quota != "max":
            yield int(quota) / int(period)
    quotas = _values(root, "cpu", "cpu.cfs_quota_us")
    periods = _values(root, "cpu", "cpu.cfs_period_us")
    for quota, period in zip(quotas, periods, strict=True):
        if int(quota) > 0:  # -1 means no limit
            yield int(quota) / int(period)


def _values(root: Path, controller: str, name: str) -> list[str]:
    """
    Read ``name`` in this process's cgroup and those above it, whose limits hold too. Inside a
    container the group's own path is often hidden, its files then stand at the mount's top.
    """
    files = [folder / name for folder in _folders(root, controller)]
    return [file.read_text().strip() for file in files if file.is_file()]


def _folders(root: Path, controller: str) -> list[Path]:
    mount = root / "sys/fs/cgroup" / controller
    group = mount / _group(root, controller).lstrip("/")
    return [group, *(folder for folder in group.parents if folder.is_relative_to(mount))]


def _group(root: Path, controller: str) -> str:
    """
    Find the cgroup's path in lines such as ``4:memory:/docker/0a1b`` and ``0::/`` (version 2).
    """
    listing = root / "proc/self/cgroup"
    for line in listing.read_text().splitlines() if listing.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"
