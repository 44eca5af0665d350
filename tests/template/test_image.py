"""
The image as SageMaker runs it: training, serving, the limits it is put under, what it contains.
"""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from containers import (
    SIZES,
    Job,
    base_image,
    built,
    container,
    docker,
    model_mount,
    server,
)
from described import hold
from harness import wait_until
from project import ALGORITHM, SAMPLE, TOP, clone, own_algorithm, quick
from sagemaker_runtime.errors import ExitCode

pytestmark = pytest.mark.docker

CONTENT_TYPE, EXAMPLE = own_algorithm().input.example()

ROOT = ()
OTHER_USER = ("--user", "12345:12345")
READ_ONLY = ("--read-only", "--tmpfs", "/tmp")
NO_NETWORK = ("--network", "none")
NO_SHARED_MEMORY = ("--tmpfs", "/dev/shm:ro,size=4k")
SMALL = ("--memory", "512m", "--memory-swap", "512m", "--cpus", "1")

# joblib, below scikit-learn, tells that it will not use several processes: nobody asked it to.
NO_SHARED_MEMORY_NOTE = "joblib will operate in serial mode"

CIRCUMSTANCES = {
    "root": ROOT,
    "another-user": OTHER_USER,
    "read-only": READ_ONLY,
    "no-network": NO_NETWORK,
    "no-shared-memory": NO_SHARED_MEMORY,
    "small": SMALL,
    "all": (*OTHER_USER, *READ_ONLY, *NO_NETWORK, *NO_SHARED_MEMORY, *SMALL),
}

# Asks from inside: without a network no port is published.
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
path, content_type = sys.argv[1:]
body = sys.stdin.buffer.read()
connection.request("POST" if body else "GET", path, body, {"Content-Type": content_type})
answer = connection.getresponse()
print(answer.status, answer.read())
"""


@pytest.mark.parametrize("options", CIRCUMSTANCES.values(), ids=CIRCUMSTANCES.keys())
def test_it_trains_under_every_circumstance(image, tmp_path, options):
    """Training leaves a model and no failure, whatever the platform grants."""
    job = Job(tmp_path / "ml", SAMPLE, **quick())
    assert job.train(image, "train", options=options, allow=NO_SHARED_MEMORY_NOTE) == 0
    assert job.files()
    assert not (job.root / "output/failure").exists()


@pytest.mark.parametrize("options", CIRCUMSTANCES.values(), ids=CIRCUMSTANCES.keys())
def test_it_serves_under_every_circumstance(image, trained, options):
    """The endpoint gets healthy, answers its example and stops with 0, whatever it is granted."""

    def ask(path: str, body: bytes = b"") -> str:
        return started.execute("python3", "-c", ASK, path, CONTENT_TYPE, body=body)

    def healthy() -> bool:
        assert started.running()
        try:
            return ask("/ping").startswith("200 ")
        except AssertionError:
            return False

    mounted = (*model_mount(trained.model), *options)
    with container(image, "serve", options=mounted, allow=NO_SHARED_MEMORY_NOTE) as started:
        wait_until(healthy, timeout=60, what="/ping answers 200")
        answer = ask("/invocations", EXAMPLE)
        assert answer.startswith("200 "), answer
        assert started.stop() == 0


def test_it_predicts_from_outside(image, trained):
    """What is published on the port answers the example."""
    with server(image, trained.model) as started:
        answer = started.predict(EXAMPLE, CONTENT_TYPE)
        assert answer.status == 200
        assert answer.body


def test_it_does_what_its_description_says(image, trained):
    """What train wrote beside the model is what the image serves, whatever Schemathesis sends."""
    document = json.loads((trained.model / "openapi.json").read_text(encoding="utf-8"))
    # Warnings are what a bad request leaves in the log.
    with server(image, trained.model, allow='"level": "warning"') as started:
        assert 200 in hold(document, started.port)


def test_without_an_argument_it_trains(image, tmp_path):
    """A platform that passes no argument (local mode of SageMaker's SDK 3) gets a model."""
    job = Job(tmp_path / "ml", SAMPLE, **quick())
    assert job.train(image) == 0
    assert job.files()


def test_another_entry_point_may_be_given(image, tmp_path):
    """A job that replaces the entry point and passes no argument trains as well."""
    job = Job(tmp_path / "ml", SAMPLE, **quick())
    assert job.train(image, options=("--entrypoint", "train")) == 0
    assert job.files()


def test_a_failure_is_told(image, tmp_path):
    """A bad hyperparameter ends the job with its exit code and the reason in the failure file."""
    job = Job(tmp_path / "ml", SAMPLE)
    (job.root / "input/config/hyperparameters.json").write_text("not JSON", encoding="utf-8")
    code = job.train(image, "train", allow="Traceback|Error")
    assert code == ExitCode.BAD_HYPERPARAMETER
    assert "is not JSON" in (job.root / "output/failure").read_text(encoding="utf-8")
    assert job.files() == []


def test_the_workers_are_not_root(image, trained):
    """Under root, every process that sees requests has been dropped to another user."""
    with server(image, trained.model) as started:
        table = docker("top", started.identity, "-eo", "pid,ppid,uid,args").splitlines()[1:]
        rows = [line.split(maxsplit=3) for line in table]
        parents = {parent for _, parent, _, _ in rows}
        workers = [(uid, arguments) for pid, _, uid, arguments in rows if pid not in parents]
        assert len(workers) >= 2, table
        assert all(uid != "0" for uid, _ in workers), table


def test_no_program_lends_its_owners_rights(image):
    """No file in the image has a setuid or setgid bit."""
    find = "find / -xdev -type f -perm /6000"
    assert docker("run", "--rm", "--network", "none", image, "sh", "-c", find) == ""


def test_the_bind_port_is_honoured(image, trained):
    """It listens where SAGEMAKER_BIND_TO_PORT says, as its label promises, and nowhere else."""
    options = ("--env", "SAGEMAKER_BIND_TO_PORT=9123")
    with server(image, trained.model, options, port=9123) as started:
        assert started.predict(EXAMPLE, CONTENT_TYPE).status == 200
        connect = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 8080)))"
        assert started.execute("python3", "-c", connect) != "0"


def test_sigterm_loses_no_request(image, trained):
    """
    1. A large request is sent.
    2. SIGTERM arrives.
    Result: the request is answered and the container ends with 0.
    """
    algorithm = own_algorithm()
    row = len(algorithm.input.example(2)[1]) - len(EXAMPLE) or len(EXAMPLE)
    # At best more than fits between here and nginx, at most what is predicted in some seconds.
    content_type, body = algorithm.input.example(min(100_000, 9_000_000 // row))
    with server(image, trained.model) as started, ThreadPoolExecutor() as pool:
        connection = HTTPConnection("127.0.0.1", started.port, timeout=60)
        connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        answer = pool.submit(connection.getresponse)
        assert started.stop() == 0
        with answer.result() as response:
            assert response.status == 200
            assert response.read()
        connection.close()


def test_the_size_is_told(image, request):
    """The summary of the tests says how big the image is, and of what."""
    base = base_image()
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    own = size - int(docker("image", "inspect", "--format", "{{.Size}}", base))
    packages = docker(
        "run", "--rm", image, "sh", "-c", "du -sm /opt/venv/lib/python3*/site-packages/*"
    )
    largest = sorted(
        ((int(line.split()[0]), Path(line.split()[1]).name) for line in packages.splitlines()),
        reverse=True,
    )[:10]
    listed = ", ".join(f"{name} {megabytes}" for megabytes, name in largest)
    request.config.stash[SIZES] = (
        f"{size / 1e6:.0f} MB uncompressed, {own / 1e6:.0f} MB of it above {base}; "
        f"the largest packages in MiB: {listed}"
    )
    assert own > 0


def test_labels_promise_only_what_works(image):
    """The bind port is the one capability; the OCI labels are there."""
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    capabilities = {name: value for name, value in labels.items() if "sagemaker" in name}
    assert capabilities == {"com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true"}
    opencontainers = {name for name in labels if name.startswith("org.opencontainers.image.")}
    assert opencontainers == {
        f"org.opencontainers.image.{name}" for name in ("source", "version", "revision")
    }


def test_it_holds_the_locked_packages_and_no_other(image):
    """Nothing of requirements-dev.txt is in it, nor pip, nor a compiler."""
    lines = (TOP / "requirements.txt").read_text().splitlines()
    locked = {line.split("==")[0] for line in lines if "==" in line}
    code = (
        "import re, importlib.metadata as m; "
        "print(*(re.sub('[-_.]+', '-', d.name).lower() for d in m.distributions()))"
    )
    installed = set(docker("run", "--rm", image, "python3", "-c", code).split())
    assert installed
    assert installed <= locked
    found = docker("run", "--rm", image, "sh", "-c", "command -v pip pip3 gcc curl git || true")
    assert found == ""


def test_it_can_be_read_by_any_user(image):
    """Any user id may read every file of the program and its packages."""
    closed = "find /opt/program /opt/venv ! -type l ! -perm -o=r -o -type d ! -perm -o=x"
    assert docker("run", "--rm", image, "sh", "-c", closed) == ""


def test_it_holds_no_mutable_state_of_the_build(image):
    """Caches of apt and pip stay outside, and nothing lies below /opt/ml, where mounts go."""
    look = "ls -A /var/cache/apt /var/lib/apt/lists /root/.cache /opt/ml 2>/dev/null || true"
    printed = docker("run", "--rm", image, "sh", "-c", look)
    assert [line for line in printed.splitlines() if line and not line.endswith(":")] == []


def test_a_plain_docker_build_takes_the_algorithm_and_its_helpers(tmp_path):
    """Without build.sh the Dockerfile names the algorithm; a package beside it comes along."""
    folder = clone(tmp_path / "clone")
    (folder / "container/helper").mkdir()
    (folder / "container/helper/__init__.py").touch()
    tag = f"container-suite/plain:{os.getpid()}"
    docker("build", "--quiet", "--force-rm", "--tag", tag, str(folder))
    try:
        look = "printenv ALGORITHM; ls */__init__.py"
        name, *packages = docker("run", "--rm", tag, "sh", "-c", look).split()
        assert name == ALGORITHM
        assert {f"{ALGORITHM}/__init__.py", "helper/__init__.py"} < set(packages)
    finally:
        docker("image", "rm", "--force", "--no-prune", tag)


def test_windows_line_endings_stop_the_build(tmp_path):
    """A program file with CRLF is named while the image is built, not when it fails to start."""
    copy = tmp_path / "project"
    ignore = shutil.ignore_patterns("local_test", ".git", ".venv", "tests")
    shutil.copytree(TOP, copy, ignore=ignore)
    script = copy / "container/serve"
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    done = subprocess.run(
        [str(copy / "build.sh"), "container-suite/crlf"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Windows line endings (CRLF) in: ./serve" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("folder", "payload"),
    [
        ("examples/mock/mock_model", b"size\n3.5\n2\n"),
        (
            "examples/pretrained/pretrained_model",
            (TOP / "examples/pretrained/pretrained_model/example.csv").read_bytes(),
        ),
    ],
)
def test_each_example_trains_and_serves(folder, payload, tmp_path):
    """An algorithm that build.sh is given replaces the project's: it trains, serves, predicts."""
    name = Path(folder).name
    job = Job(tmp_path / "ml", None)
    with built(f"container-suite/{name}:{os.getpid()}", "--algorithm", folder) as tag:
        packages = docker("run", "--rm", tag, "sh", "-c", "ls */__init__.py").split()
        others = [f"{each}/__init__.py" for each in ("monitoring", "sagemaker_runtime")]
        assert packages == sorted([f"{name}/__init__.py", *others])
        assert job.train(tag, "train") == 0
        with server(tag, job.model) as started:
            answer = started.predict(payload)
            assert answer.status == 200, answer.body
            assert len(answer.body.split()) == len(payload.split()) - 1
            assert started.stop() == 0
