"""
The processes inside a container.
"""

import re
from dataclasses import dataclass

from conformance.engine import Container, DockerError, wait_for
from conformance.verdicts import NotTried

# Seconds within which a container ends whose process was killed.
GONE_S = 5.0
# Only what every shell has built in: images may hold no other program.
LIST = """
for folder in /proc/[0-9]*; do
  while read -r line; do
    case "$line" in Name:*|Pid:*|PPid:*|VmRSS:*|State:*) echo "$line" ;; esac
  done <"$folder/status" && echo
done 2>/dev/null
true
"""


@dataclass(frozen=True)
class Process:
    """
    A process, numbered as the container does.
    """

    pid: int
    parent: int
    name: str
    memory: int  # kB


def processes(container: Container) -> list[Process]:
    """
    Return those of the container, without the shell that lists them; raises NotTried.
    """
    try:
        listed = container.shell(LIST)
    except DockerError as error:
        raise NotTried(f"processes cannot be listed: there is no shell ({error})") from None
    found = []
    for block in listed.split("\n\n"):
        fields = dict(re.findall(r"^(\w+):\s+(\S+)", block, re.MULTILINE))
        if {"Pid", "PPid", "VmRSS"} <= fields.keys() and fields.get("State") != "Z":
            found.append(
                Process(
                    int(fields["Pid"]), int(fields["PPid"]), fields["Name"], int(fields["VmRSS"])
                )
            )
    # What docker executes inside has no parent there.
    return [process for process in found if process.parent != 0 or process.pid == 1]


def workers(found: list[Process]) -> list[Process]:
    """
    Return the processes without children, largest first, but for the first one.
    """
    parents = {process.parent for process in found}
    leaves = [process for process in found if process.pid not in parents and process.pid != 1]
    return sorted(leaves, key=lambda process: -process.memory)


def kill(container: Container, process: Process) -> None:
    """
    Kill one process as a defect or the kernel would; raises DockerError.
    """
    try:
        container.shell(f"kill -9 {process.pid}")
    except DockerError:
        # A container that ends with this process takes the shell along.
        if not wait_for(lambda: not container.running, GONE_S):
            raise
