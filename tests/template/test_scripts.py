"""
The scripts as a user runs them: from another folder, as another user, with mistakes.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers import Job, built, docker
from harness import wait_until
from project import ALGORITHM, SAMPLE, TOP, clone, open_parents, quick, scripts
from sagemaker_runtime.errors import ExitCode

LOCAL = TOP / "local_test"
USAGE = 64  # EX_USAGE of sysexits.h
DOCKER_SOCKET = Path("/var/run/docker.sock")


def run(
    *command: str | Path, cwd: Path | str = "/", **environ: str
) -> subprocess.CompletedProcess[str]:
    """
    Run a command from a folder that is not the project's and return what came of it.
    """
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | environ,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_each_script_explains_itself(script):
    """--help prints the usage and does nothing else, once it has its environment."""
    if script.name == "deploy.sh":
        assert run(script, "--help").returncode == 0
    done = run(script, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert script.name in done.stdout.splitlines()[0]
    assert done.stderr == ""


@pytest.mark.parametrize(
    "script", [path for path in scripts() if path.name != "test.sh"], ids=lambda path: path.name
)
def test_each_script_refuses_unknown_options(script):
    """A mistyped option is named, and nothing is done."""
    done = run(script, "--colour")
    assert done.returncode == USAGE
    assert "--colour" in done.stderr
    assert "--help" in done.stderr


@pytest.mark.parametrize(
    "script",
    [TOP / "build.sh", *(LOCAL / name for name in ("train-local.sh", "start.sh", "stop.sh"))],
    ids=lambda path: path.name,
)
def test_a_missing_engine_is_said_at_once(script, tmp_path):
    """Where Docker is not installed, or does not run, the message says so and what to do."""
    tools = ("bash", "dirname", "basename", "env", "cat", "tail", "grep")
    for tool in tools:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = run(script, "my-model", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "docker is not installed" in done.stderr

    fake = tmp_path / "docker"
    fake.write_text("#!/usr/bin/env bash\necho 'Cannot connect to the daemon' >&2\nexit 1\n")
    fake.chmod(0o755)
    done = run(script, "my-model", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "no Docker engine answers" in done.stderr
    assert "Cannot connect to the daemon" in done.stderr


def test_predict_says_that_nothing_answers():
    """Without a server predict.sh fails and names the script that starts one."""
    done = run(LOCAL / "predict.sh", SERVE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "local_test/serve-local.sh" in done.stderr


def test_predict_needs_a_known_ending_or_a_content_type(tmp_path):
    """A payload whose content type cannot be guessed is refused with the remedy."""
    payload = tmp_path / "payload.unknown"
    payload.write_text("1")
    done = run(LOCAL / "predict.sh", payload)
    assert done.returncode == USAGE
    assert "second argument" in done.stderr


def test_a_required_container_suite_is_never_left_out():
    """--docker=require fails without an engine; --docker=auto goes on and says what it left out."""
    command = (
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "tests/template/test_image.py",
    )
    environ = {"DOCKER_HOST": "unix:///nowhere", "PYTHONDONTWRITEBYTECODE": "1"}
    done = run(*command, "--docker=require", cwd=TOP, **environ)
    assert done.returncode != 0
    assert "no Docker engine answers" in done.stdout + done.stderr
    done = run(*command, "--docker=auto", cwd=TOP, **environ)
    assert "CONTAINER SUITE LEFT OUT" in done.stdout


@pytest.fixture(scope="module")
def caller() -> list[str]:
    """
    The words before a command that make an ordinary user run it: one who may use Docker but is
    not root.
    """
    if os.getuid() != 0:
        return []
    group = os.stat(DOCKER_SOCKET).st_gid
    return ["setpriv", "--reuid=4321", "--regid=4321", f"--groups={group}", "--"]


@pytest.fixture
def job(tmp_path, caller) -> Job:
    """A tree to train in that belongs to the ordinary user."""
    made = Job(tmp_path / "ml", SAMPLE, **quick())
    give_to_caller(made.root, caller)
    return made


def give_to_caller(folder: Path, caller: list[str]) -> None:
    """
    Hand a tree to the ordinary user; pytest keeps its parents closed to others.
    """
    if caller:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, 4321, 4321)
        open_parents(folder)


@pytest.fixture
def stopped(image) -> Iterator[None]:
    """Whatever the test leaves running is removed."""
    yield
    left = docker("ps", "--all", "--quiet", "--filter", f"label=local_test.serve={image}")
    if left:
        docker("rm", "--force", *left.split())


@pytest.mark.docker
def test_train_start_predict_stop(image, job, caller, stopped, tmp_path):
    """
    1. train-local.sh trains 2. start.sh returns when it serves 3. predict.sh sends the example that
    the container states 4. stop.sh stops it, all by an ordinary user from another folder.
    Result: an answer, exit code 0, and no file that belongs to somebody else.
    """
    home = {"HOME": str(tmp_path)}
    done = run(*caller, LOCAL / "train-local.sh", image, "--dir", job.root, **home)
    assert done.returncode == 0, done.stderr
    assert str(job.model) in done.stdout
    assert job.files()
    owner = job.root.stat().st_uid
    assert [path for path in job.root.rglob("*") if path.stat().st_uid != owner] == []

    start = (*caller, LOCAL / "start.sh", image, "--dir", job.root, "--port", "0")
    done = run(*start, **home)
    assert done.returncode == 0, done.stderr
    found = re.search(r"http://127\.0\.0\.1:(\d+)", done.stdout)
    assert found
    again = run(*start, **home)
    assert again.returncode == 1
    assert "local_test/stop.sh" in again.stderr

    done = run(*caller, LOCAL / "predict.sh", PORT=found[1], **home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr.startswith("200 ")

    bad = tmp_path / "bad.csv"
    bad.write_text("1")
    done = run(LOCAL / "predict.sh", bad, "application/x-unknown", PORT=found[1])
    assert done.returncode == 1
    assert '"code"' in done.stderr
    assert "answered 4" in done.stderr

    done = run(*caller, LOCAL / "stop.sh", image, **home)
    assert done.returncode == 0, done.stderr
    assert "exit code 0" in done.stdout
    done = run(*caller, LOCAL / "stop.sh", image, **home)
    assert done.returncode == 1
    assert "not being served" in done.stderr


@pytest.mark.docker
def test_a_failed_training_shows_the_reason(image, tmp_path):
    """train-local.sh ends with the container's exit code and prints what SageMaker would show."""
    job = Job(tmp_path / "ml", SAMPLE)
    (job.root / "input/config/hyperparameters.json").write_text("not JSON", encoding="utf-8")
    (job.model / "stale").write_text("of the run before")
    done = run(LOCAL / "train-local.sh", image, "--dir", job.root)
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    assert "FailureReason: hyperparameters.json is not JSON" in done.stderr
    assert job.files() == []


@pytest.mark.docker
def test_serving_in_the_foreground_ends_on_a_signal(image, trained, stopped):
    """
    1. serve-local.sh serves in the foreground 2. it is sent SIGINT, as Ctrl-C does.
    Result: the server ends in good order, its log was shown, no container is left.
    """
    command = [LOCAL / "serve-local.sh", image, "--dir", trained.root, "--port", "0"]
    with subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell starts its background jobs deaf to SIGINT; these tests may be such a job.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("serving "):
                process.send_signal(signal.SIGINT)
        assert process.wait() == 0, lines
    assert any("stopped" in line for line in lines)
    label = f"label=local_test.serve={image}"
    wait_until(
        lambda: not docker("ps", "--all", "--quiet", "--filter", label), what="no container is left"
    )


@pytest.mark.docker
def test_a_model_that_cannot_be_served_is_explained(tmp_path):
    """start.sh fails with the server's own words when the archive lacks the model."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/notes.txt").write_text("no model")
    example = ("--algorithm", "examples/mock/mock_model")
    with built(f"container-suite/unserved:{os.getpid()}", *example) as tag:
        done = run(LOCAL / "start.sh", tag, "--dir", tmp_path, "--port", "0")
    assert done.returncode == 1
    assert "/ping answers 503" in done.stderr
    assert "model.json" in done.stderr


@pytest.mark.docker
def test_try_goes_the_whole_way_in_containers(image, job, stopped):
    """try.sh --docker trains, serves, prints the answer and leaves nothing running."""
    done = run(LOCAL / "try.sh", "--docker", image, "--dir", job.root)
    assert done.returncode == 0, done.stderr
    assert "s after the start" in done.stdout
    assert "200 " in done.stderr
    assert job.files()
    assert not docker("ps", "--quiet", "--filter", f"label=local_test.serve={image}")


def test_try_goes_the_whole_way_without_docker(tmp_path):
    """
    1. try.sh trains and serves in processes 2. it sends the example 3. it is handed a file.

    Result: the answer, its status and the times; the model stays, the server does not.
    """
    folder = clone(tmp_path / "clone")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    job = Job(tmp_path / "ml", SAMPLE, **quick())
    done = run(folder / "local_test/try.sh", "--dir", job.root, ALGORITHM=ALGORITHM)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^200 .+ ms, .+; ready [\d.]+ s after the start", done.stdout, re.MULTILINE)
    assert job.files()
    wrong = tmp_path / "request.unknown"
    wrong.write_text("1")
    done = run(folder / "local_test/try.sh", wrong, "--dir", job.root, ALGORITHM=ALGORITHM)
    assert done.returncode != 0
    assert "no content type known" in done.stderr


def test_try_shows_why_training_failed(tmp_path):
    """A training that fails ends try.sh with its exit code and the reason in its log."""
    folder = clone(tmp_path / "clone")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    job = Job(tmp_path / "ml", None)
    (job.root / "input/config/hyperparameters.json").write_text("not JSON", encoding="utf-8")
    done = run(folder / "local_test/try.sh", "--dir", job.root, ALGORITHM=ALGORITHM)
    assert done.returncode == ExitCode.BAD_HYPERPARAMETER
    assert "is not JSON" in done.stderr


@pytest.mark.docker
def test_a_missing_model_or_image_is_explained(image, tmp_path):
    """Serving before training, and an image that was never built, each name the remedy."""
    done = run(LOCAL / "serve-local.sh", image, "--dir", tmp_path)
    assert done.returncode == 1
    assert "local_test/train-local.sh" in done.stderr
    done = run(LOCAL / "serve-local.sh", "container-suite/never-built")
    assert done.returncode == 1
    assert "./build.sh container-suite/never-built" in done.stderr


@pytest.mark.docker
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("container/nothing", "an __init__.py"),
        ("local_test", "put the folder below container/ or examples/"),
    ],
)
def test_build_refuses_a_folder_that_is_not_an_algorithm(folder, words):
    """build.sh says what is expected before anything is built."""
    done = run(TOP / "build.sh", "container-suite/nothing", "--algorithm", folder)
    assert done.returncode == 1
    assert folder in done.stderr
    assert words in done.stderr


def test_build_asks_which_of_several_packages_is_the_algorithm(tmp_path):
    """Where a helper package stands beside the algorithm, build.sh wants its name, and takes it."""
    folder = clone(tmp_path / "clone")
    (folder / "container/helper").mkdir()
    (folder / "container/helper/__init__.py").touch()
    done = run(folder / "build.sh", "my-model")
    assert done.returncode == 1
    assert "several packages" in done.stderr
    assert "ALGORITHM=" in done.stderr
    done = run(folder / "build.sh", "my-model", ALGORITHM="hepler")
    assert done.returncode == 1
    assert "'container/hepler' is not an algorithm" in done.stderr


def test_build_refuses_a_name_that_is_taken(tmp_path):
    """A package that would hide one of the program's files is refused before anything is built."""
    folder = clone(tmp_path / "clone")
    (folder / "examples/predictor").mkdir()
    (folder / "examples/predictor/__init__.py").touch()
    done = run(folder / "build.sh", "my-model", "--algorithm", "examples/predictor")
    assert done.returncode == 1
    assert "such as my_predictor/" in done.stderr
