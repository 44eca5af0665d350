# ruff: noqa: S603, S607 - runs docker
"""
Measures the sample in its container, its log lines going to Docker, beside an empty route behind
plain nginx and gunicorn in the same image.
"""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from environments import PEERS, Absent
from load import write_bodies, wrk_at
from subjects import CSV, WORKERS

IMAGE = "benchmark-sample"
CONNECTIONS = (1, 16, 64)
WARM_S = 1
START_S = 60
PORT = 8080

Figures = dict[str, dict[str, list[float]]]


def prepare() -> None:
    """
    Build the sample's image; raises Absent without an engine.
    """
    top = PEERS.parent.parent
    try:
        done = subprocess.run([top / "build.sh", IMAGE], capture_output=True, text=True)
    except OSError as error:
        raise Absent(f"build.sh cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise Absent(f"the image could not be built: {said[-1][:300]}")


def measure(bodies: Sequence[bytes], rounds: int, seconds: int, root: Path) -> Figures:
    """
    Return requests/s and times of both in turn; raises Absent.
    """
    plain = ["-v", f"{PEERS}:/peers:ro", "-e", "TMPDIR=/tmp", "-e", f"PORT={PORT}",
             "-e", f"WORKERS={WORKERS}", "-e", "CLASSIC_APPLICATION=empty:app",
             "-e", "CLASSIC_OPTIONS=--worker-class gevent"]  # fmt: skip
    own = ["-v", f"{root}/model:/opt/ml/model:ro", "-e", f"MODEL_SERVER_WORKERS={WORKERS}"]
    figures: Figures = {"container": {}, "container-empty": {}}
    file = write_bodies(bodies, root / "container.bodies")
    with ExitStack() as started:
        addresses = {
            "container": started.enter_context(_running(own, "serve")),
            "container-empty": started.enter_context(
                _running(plain, "python3", "/peers/classic/serve.py")
            ),
        }
        for address in addresses.values():
            wrk_at(f"http://{address}/invocations", CSV, file, 16, WARM_S)
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for name, address in addresses.items():
                    url = f"http://{address}/invocations"
                    for what, value in vars(wrk_at(url, CSV, file, connections, seconds)).items():
                        figures[name].setdefault(f"row_{connections}_{what}", []).append(value)
    return figures


@contextmanager
def _running(options: Sequence[str], *command: str) -> Iterator[str]:
    """
    Run the image and yield its address once it answers a ping; raises Absent.
    """
    name = docker("run", "--detach", *options, IMAGE, *command)
    try:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = docker("inspect", "--format", form, name)
        until = time.monotonic() + START_S
        while not _answers(address):
            if time.monotonic() > until:
                raise Absent(f"{command[-1]}: no good ping within {START_S} s")
            time.sleep(0.05)
        yield f"{address}:{PORT}"
    finally:
        docker("rm", "--force", "--volumes", name)


def _answers(address: str) -> bool:
    connection = HTTPConnection(address, PORT, timeout=5)
    with suppress(OSError, HTTPException):
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    return False


def docker(*arguments: str) -> str:
    """
    Return what a docker command prints; raises Absent.
    """
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise Absent(f"docker cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise Absent(f"docker {arguments[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()
