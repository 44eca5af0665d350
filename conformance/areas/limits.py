"""
Hosting: what the platform may not grant.
"""

from typing import TYPE_CHECKING

from conformance.verdicts import Area, Failed, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("restrictions")


def _serves(lab: "Lab", options: tuple[str, ...]) -> str:
    """
    Start the server under restrictions and ask it; raises Failed.
    """
    with lab.servers.healthy(options=options) as endpoint:
        try:
            sample = lab.sample
        except NotTried:
            return "answers pings (no sample was given)"
        answer = endpoint.good(sample.body, sample.content_type)
        if endpoint.container.killed_by_memory:
            raise Failed("a process was killed for want of memory")
    return f"answers in {answer.seconds * 1000:.0f} ms"


@area.check(
    "read-only-root",
    "The server works where only /tmp can be written.",
    consequence="Serverless endpoints do not start: read-only file system.",
    remedy="Write temporary files, pid files, caches and logs to /tmp or nowhere.",
)
def read_only_root(lab: "Lab") -> str:
    return _serves(lab, ("--read-only", "--tmpfs", "/tmp"))  # noqa: S108 - the container's


@area.check(
    "any-user",
    "The server works under any user id.",
    consequence="Endpoints that do not run as root do not start: permission denied.",
    remedy="Make all files readable for everybody (chmod -R a+rX); write to /tmp only.",
)
def any_user(lab: "Lab") -> str:
    return _serves(lab, ("--user", "12345:12345"))


@area.check(
    "no-shared-memory",
    "The server works without /dev/shm.",
    consequence="Serverless endpoints have no shared memory, so the server does not start.",
    remedy="Do without multiprocessing's locks, queues and shared memory when serving.",
)
def no_shared_memory(lab: "Lab") -> str:
    return _serves(lab, ("--tmpfs", "/dev/shm:ro,size=4k"))  # noqa: S108 - the container's


@area.check(
    "memory-1-gb",
    "The server works with 1 GB of memory and one processor.",
    consequence="The smallest serverless endpoint and inference components kill it (signal 9).",
    remedy="Load the model once, before forking; take the number of workers from the cgroup's "
    "limits, not from the host's processors.",
)
def memory(lab: "Lab") -> str:
    return _serves(lab, ("--memory", "1g", "--memory-swap", "1g", "--cpus", "1"))
