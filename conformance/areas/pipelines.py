"""
Hosting: pipelines of containers, which share ports.
"""

import re
from typing import TYPE_CHECKING

from conformance.client import ask
from conformance.endpoint import Endpoint
from conformance.engine import SERVER_PORT, DockerError
from conformance.verdicts import Area, Failed, NotOffered, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("pipelines")

PORT = 9123
RANGE = (9124, 9199)
LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"
VARIABLES = {
    "SAGEMAKER_BIND_TO_PORT": str(PORT),
    "SAGEMAKER_SAFE_PORT_RANGE": f"{RANGE[0]}-{RANGE[1]}",
}
RESOLVER = "0B00007F"  # 127.0.0.11: Docker's own
LISTENING = "0A"
SOCKETS = """
for table in /proc/net/tcp /proc/net/tcp6; do
  while read -r line; do echo "$line"; done <"$table"
done 2>/dev/null
true
"""


@area.check(
    "bind-port",
    "The server listens on SAGEMAKER_BIND_TO_PORT exactly where its label says so.",
    consequence="A pipeline refuses an image without the label; with the label and the wrong port "
    "it does not start.",
    remedy=f"Listen on the variable's port and set LABEL {LABEL}; take the label away otherwise.",
)
def bind_port(lab: "Lab") -> str:
    lab.servers.need_healthy()
    labelled = lab.label("accept-bind-to-port")
    seconds = lab.servers.patience if labelled else 2 * lab.servers.start.seconds + 2
    with lab.servers.serving(lab.model, variables=VARIABLES, port=PORT) as endpoint:
        try:
            endpoint.wait(seconds)
        except Failed as error:
            if labelled:
                raise Failed(f"labelled, but on port {PORT}: {error}") from None
            raise NotOffered(f"no label, and nothing answers on port {PORT}") from None
        if not labelled:
            raise Failed(f"it listens on port {PORT}, but the label is not there")
        if _listens(endpoint, SERVER_PORT):
            raise Failed(f"labelled, but it listens on {SERVER_PORT} as well")
    return f"labelled, and listens on {PORT} instead of {SERVER_PORT}"


def _listens(endpoint: Endpoint, port: int) -> bool:
    try:
        return port in _ports(endpoint)
    except NotTried:
        if not endpoint.container.inspect()["NetworkSettings"]["Ports"]:
            try:
                ask(endpoint.container.address(port), "/ping", timeout=2)
            except Failed:
                return False
            return True
        return False


def _ports(endpoint: Endpoint) -> set[int]:
    """
    Return the ports on which something listens inside; raises NotTried.
    """
    try:
        table = endpoint.container.shell(SOCKETS)
    except DockerError as error:
        raise NotTried(f"sockets cannot be listed: there is no shell ({error})") from None
    found = re.findall(r"^\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) ", table, re.MULTILINE)
    return {
        int(port, 16)
        for address, port, state in found
        if state == LISTENING and address != RESOLVER
    }


@area.check(
    "safe-port-range",
    "Every other port that the server opens lies in SAGEMAKER_SAFE_PORT_RANGE.",
    consequence="Two containers of a pipeline want the same port, and one does not start.",
    remedy="Use Unix sockets between processes, or take ports from the range.",
)
def safe_port_range(lab: "Lab") -> str:
    if not lab.label("accept-bind-to-port"):
        raise NotOffered("no label: it cannot be part of a pipeline")
    with lab.servers.healthy(variables=VARIABLES, port=PORT) as endpoint:
        ports = _ports(endpoint) - {PORT}
    outside = sorted(port for port in ports if not RANGE[0] <= port <= RANGE[1])
    if outside:
        raise Failed(f"it listens on {', '.join(map(str, outside))} too")
    return f"other ports: {', '.join(map(str, sorted(ports))) or 'none'}"
