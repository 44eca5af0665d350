"""What the container grants: processors and memory from cgroups of both versions."""

import os
from pathlib import Path

import pytest

from sagemaker_runtime.resources import (
    account,
    cpus,
    default_workers,
    free_bytes,
    may_change_account,
    memory_mb,
    oom_kills,
    out_of_memory,
)
from sagemaker_runtime.settings import Settings

CORES = len(os.sched_getaffinity(0))
MACHINE_MB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024**2


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


V2 = {
    "proc/self/cgroup": "0::/",
    "sys/fs/cgroup/cpu.max": "25000 100000",
    "sys/fs/cgroup/memory.max": str(512 * 1024**2),
}
V1 = {
    "proc/self/cgroup": "5:memory:/docker/0a1b\n4:cpu,cpuacct:/docker/0a1b\n0::/",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "25000",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": str(512 * 1024**2),
}


@pytest.mark.parametrize("files", [V2, V1], ids=["version 2", "version 1"])
def test_limits_are_read(files: dict[str, str], tmp_path: Path) -> None:
    """A container's quota and memory limit are found in cgroups of both versions."""
    root = _tree(tmp_path, files)
    assert cpus(root) == 0.25
    assert memory_mb(root) == 512


@pytest.mark.parametrize(
    "files",
    [
        {},
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/cpu.max": "max 100000",
            "sys/fs/cgroup/memory.max": "max",
        },
        V1
        | {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    ],
    ids=["no cgroup", "version 2", "version 1"],
)
def test_without_limits_the_machine_counts(files: dict[str, str], tmp_path: Path) -> None:
    """Without a limit the usable cores and the machine's memory are taken."""
    root = _tree(tmp_path, files)
    assert cpus(root) == CORES
    assert memory_mb(root) == MACHINE_MB


MEMORY_V2 = {
    "proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:  8000000 kB",
    "proc/self/cgroup": "0::/slice/job",
    "sys/fs/cgroup/slice/memory.max": "1000000",
    "sys/fs/cgroup/slice/memory.current": "700000",
    "sys/fs/cgroup/slice/memory.stat": "anon 5\ninactive_file 100000\nactive_file 50000",
    "sys/fs/cgroup/slice/job/memory.max": "max",
}
MEMORY_V1 = {
    "proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:  8000000 kB",
    "proc/self/cgroup": "5:memory:/docker/0a1b\n0::/",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "700000",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 3\nactive_file 4\n"
    "total_inactive_file 100000\ntotal_active_file 50000",
}


@pytest.mark.parametrize(
    ("files", "left"),
    [
        (MEMORY_V2, 450_000),
        (MEMORY_V1, 450_000),
        (MEMORY_V2 | {"proc/meminfo": "MemAvailable: 100 kB"}, 102_400),
        (MEMORY_V2 | {"sys/fs/cgroup/slice/memory.current": "1200000"}, 0),
        (MEMORY_V2 | {"sys/fs/cgroup/slice/memory.max": "max"}, 8_192_000_000),
    ],
    ids=["version 2", "version 1", "short machine", "full", "no limit"],
)
def test_free_memory_is_what_the_limit_leaves(
    files: dict[str, str], left: int, tmp_path: Path
) -> None:
    """Files in memory count as free; the tightest group holds, and what the machine has."""
    assert free_bytes(_tree(tmp_path, files)) == left


def test_a_group_above_limits_too(tmp_path: Path) -> None:
    """The tightest limit of the process's own group and those above it holds."""
    root = _tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/slice/job",
            "sys/fs/cgroup/slice/memory.max": str(256 * 1024**2),
            "sys/fs/cgroup/slice/job/memory.max": str(512 * 1024**2),
            "sys/fs/cgroup/slice/job/cpu.max": "50000 100000",
            "sys/fs/cgroup/slice/cpu.max": "max 100000",
        },
    )
    assert memory_mb(root) == 256
    assert cpus(root) == 0.5


def test_affinity_counts() -> None:
    """A process bound to one core is granted one, whatever the quota."""
    granted = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(granted)})
    try:
        assert cpus() <= 1
    finally:
        os.sched_setaffinity(0, granted)


@pytest.mark.parametrize(
    ("cpus", "memory", "payload", "workers"),
    [
        (0.25, 128, 6, 1),  # the least an inference component may grant
        (2, 8192, 100, 2),  # ml.m5.large
        (96, 393216, 100, 96),  # ml.m5.24xlarge
        (2, 1024, 100, 1),  # the smallest serverless endpoint
        (4, 4096, 100, 3),  # memory is short
        (4, 1024, 6, 4),  # small payloads
        (8, 64, 1024, 1),
    ],
)
def test_default_workers(cpus: float, memory: int, payload: int, workers: int) -> None:
    """One worker per processor, fewer when the memory cannot hold a payload in each, never none."""
    assert default_workers(cpus, memory, payload) == workers


def test_settings_use_the_grant(tmp_path: Path) -> None:
    """A container with a quarter of a processor runs one worker."""
    assert Settings.from_environ({}, _tree(tmp_path, V2)).workers == 1


def test_only_root_changes_its_account() -> None:
    """Root's workers get an account that is not root's; everybody else keeps their own."""
    found = account()
    if os.geteuid() == 0:
        assert found is not None
        assert "root" not in found
    else:
        assert found is None


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.events": "oom 3\noom_kill 2"}, 2),
        (
            V1 | {"sys/fs/cgroup/memory/memory.oom_control": "under_oom 0\noom_kill 1"},
            1,
        ),
        ({}, None),
    ],
    ids=["version 2", "version 1", "no cgroup"],
)
def test_kills_for_lack_of_memory_are_counted(
    files: dict[str, str], kills: int | None, tmp_path: Path
) -> None:
    """The kernel's count of kills for lack of memory is read where there is one."""
    assert oom_kills(_tree(tmp_path, files)) == kills


@pytest.mark.parametrize(
    ("before", "cause"),
    [
        (1, "Memory ran out"),
        (2, "Memory may have run out, although the kernel counts no kill for that reason"),
        (None, "Probably memory ran out"),
    ],
)
def test_a_kill_is_explained(before: int | None, cause: str, tmp_path: Path) -> None:
    """A kill says how sure it is that memory ran out, the limit and what to do."""
    root = _tree(tmp_path, V2 | {"sys/fs/cgroup/memory.events": "oom_kill 2"})
    assert out_of_memory(2, before, root) == (
        f"{cause}: 512 MB are granted for 2 workers. Set MODEL_SERVER_WORKERS or "
        "MODEL_SERVER_MAX_PAYLOAD_MB to less, or take a larger instance."
    )


@pytest.mark.parametrize(
    ("capabilities", "may"), [("00000000a80425fb", True), ("0000000000000000", False)]
)
def test_capabilities_are_read(capabilities: str, may: bool, tmp_path: Path) -> None:
    """Docker's usual capabilities let root change its account, none do not."""
    assert (
        may_change_account(_tree(tmp_path, {"proc/self/status": f"CapEff:\t{capabilities}"})) is may
    )
