"""
The image as each kind of endpoint runs it: what it is granted, where it listens, two in a row.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

import containers
from harness import call
from project import own_algorithm

pytestmark = pytest.mark.docker

CONTENT_TYPE, EXAMPLE = own_algorithm().input.example()

SERVERLESS = (
    *("--memory", "1g", "--memory-swap", "1g", "--cpus", "1"),
    *("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm:ro,size=4k"),
    *("--env", "MODEL_SERVER_MODE=serverless"),
)

# joblib, below scikit-learn, tells that it will not use several processes: nobody asked it to.
NO_SHARED_MEMORY_NOTE = "joblib will operate in serial mode"

# The first container labels sizes, the second one takes what the first one writes.
FIRST = """
from sagemaker_runtime.algorithm import Column, Rows, Table

INPUT = Table(Column("size", "number", example="82.5"))
OUTPUT = Rows("label", "size")
HYPERPARAMETERS = ()
train = None
load = str


def predict(model, columns):
    labels = ["größer" if size > 100 else "kleiner" for size in columns["size"]]
    return {"label": labels, "size": columns["size"]}
"""
SECOND = """
from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("label", "text", example="kleiner"), Column("size", "number", example="3"))
HYPERPARAMETERS = ()
train = None
load = str


def predict(model, columns):
    return [f"{label} {size:g}" for label, size in zip(*columns.values())]
"""


@pytest.fixture(scope="module")
def chain(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of both algorithms, one small layer above the project's."""
    folder = tmp_path_factory.mktemp("chain")
    for name, source in (("first_model", FIRST), ("second_model", SECOND)):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(source, encoding="utf-8")
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nCOPY --chown=root first_model /opt/program/first_model\n"
        "COPY --chown=root second_model /opt/program/second_model\n"
        "RUN chmod -R a+rX /opt/program/first_model /opt/program/second_model\n"
    )
    tag = f"{image}-chain"
    containers.docker("build", "--quiet", "--tag", tag, str(folder))
    try:
        yield tag
    finally:
        containers.docker("image", "rm", "--force", "--no-prune", tag)


def test_a_serverless_endpoint(image, trained):
    """One worker in 1 GB, with nothing to write to but /tmp: it answers, and tells its figures."""
    with containers.server(
        image, trained.model, SERVERLESS, allow=NO_SHARED_MEMORY_NOTE
    ) as started:
        assert started.predict(EXAMPLE, CONTENT_TYPE).status == 200
        found = call(started.port, "/metrics")
        assert found.status == 200
        assert found.body.count(b"model_server_resident_memory_bytes{") == 1
        assert started.stop() == 0


def test_a_batch_job_asks_for_its_parameters(image, trained):
    """What SageMaker asks at the start of a job is answered by the whole stack."""
    with containers.server(image, trained.model, ("--env", "SAGEMAKER_BATCH=true")) as started:
        told = call(started.port, "/execution-parameters").json
        assert told["MaxConcurrentTransforms"] * told["MaxPayloadInMB"] <= 100
        assert told["BatchStrategy"] == "MULTI_RECORD"


def test_two_containers_in_a_row(chain: str, tmp_path: Path) -> None:
    """
    1. two containers of a pipeline listen at the ports that they are given
    2. what the first one answers is sent to the second, under the type that it has
    Result: each row and each letter arrives, and no other TCP port is taken.
    """
    tmp_path.chmod(0o755)

    def options(algorithm: str, port: int) -> tuple[str, ...]:
        environ = {
            "ALGORITHM": algorithm,
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SAGEMAKER_SAFE_PORT_RANGE": "9000-9099",
        }
        return tuple(
            part for name, value in environ.items() for part in ("--env", f"{name}={value}")
        )

    with (
        containers.server(chain, tmp_path, options("first_model", 8081), 8081) as first,
        containers.server(chain, tmp_path, options("second_model", 8082), 8082) as second,
    ):
        headers = {"Content-Type": "text/csv; charset=utf-16", "Accept": "text/csv; charset=utf-8"}
        between = call(first.port, "/invocations", "size\n50\n150\n".encode("utf-16"), headers)
        assert between.status == 200, between.body
        assert between.headers["Content-Type"] == "text/csv; charset=utf-8"
        answer = second.predict(between.body, between.headers["Content-Type"])
        assert answer.status == 200, answer.body
        assert answer.body.decode() == "kleiner 50\ngrößer 150\n"
        for started, port in ((first, 8081), (second, 8082)):
            assert _listening(started) == {port}


def _listening(started: containers.Container) -> set[int]:
    tables = started.execute("cat", "/proc/net/tcp", "/proc/net/tcp6")
    rows = [line.split() for line in tables.splitlines() if ":" in line]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
