"""
Hosting: processes that die.
"""

from typing import TYPE_CHECKING

from conformance.endpoint import Endpoint
from conformance.load import answers_again
from conformance.processes import Process, kill, processes, workers
from conformance.sample import Sample
from conformance.verdicts import Area, Failed, NotOffered, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("crashes")


def _recovers(lab: "Lab", endpoint: Endpoint, process: Process) -> str:
    """
    Kill a process; raises Failed unless the server answers again or the container ends with a code
    that says so.
    """
    kill(endpoint.container, process)
    seconds = answers_again(endpoint, _sample(lab), lab.limits.recover)
    killed = f"{process.name} (pid {process.pid}) was killed"
    if endpoint.container.running:
        if seconds is None:
            raise Failed(f"{killed}: after {lab.limits.recover:g} s it runs and does not answer")
        return f"{killed}: answers again after {max(0.0, seconds - 0.5):.1f} s"
    code = endpoint.container.exit_code
    if code == 0:
        raise Failed(f"{killed}: the container ended with exit code 0, as if all were well")
    return f"{killed}: the container ended with exit code {code}, and is started anew"


def _sample(lab: "Lab") -> Sample | None:
    try:
        return lab.sample
    except NotTried:
        return None


@area.check(
    "worker-crash",
    "When a worker is killed, the server replaces it or ends with an exit code that is not 0.",
    consequence="The instance stays in service and answers nothing, or every other request.",
    remedy="Watch the workers; start them anew, or exit with 1.",
)
def worker_crash(lab: "Lab") -> str:
    with lab.servers.healthy() as endpoint:
        found = workers(processes(endpoint.container))
        if not found:
            raise NotOffered("there is one process: when it dies the container ends")
        return _recovers(lab, endpoint, found[0])


@area.check(
    "server-crash",
    "When a part of the server is killed, it is replaced or the container ends with a code that is "
    "not 0.",
    consequence="Exit code 0 is taken for a wanted end; a proxy without a server answers 502.",
    remedy="Let the first process wait for all its children and exit with 1 when one is gone.",
)
def server_crash(lab: "Lab") -> str:
    said = []
    names: set[str] = set()
    for _ in range(3):
        with lab.servers.healthy() as endpoint:
            children = [one for one in processes(endpoint.container) if one.parent == 1]
            children = [child for child in children if child.name not in names]
            if not children:
                break
            names.add(children[0].name)
            said.append(_recovers(lab, endpoint, children[0]))
    if not said:
        raise NotOffered("the first process is the server: when it dies the container ends")
    return "; ".join(said)
