"""Start of ``serve``: what opens the port and what prevents it. Each test states its scenario."""

import os
import socket
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from harness import wait_until
from project import assemble
from sagemaker_runtime.errors import ExitCode
from served import (
    ALGORITHM,
    CSV,
    NGINX,
    all_gone,
    children_of,
    master_of,
    start_serve,
    wait_for_everybody,
)


@pytest.mark.parametrize(
    ("nginx", "threads"),
    [
        pytest.param(True, "1", marks=pytest.mark.needs("nginx")),
        pytest.param(True, "2", marks=pytest.mark.needs("nginx")),
        (False, "1"),
    ],
)
def test_not_open_before_the_application_answers(
    nginx: bool, threads: str, program: Path, model: Path
) -> None:
    """
    1. serve starts, the model takes its time to load, once for all workers or in each of them
    2. the model is loaded
    Result: the port refuses connections until then, so no ping is answered with 502; then 200.
    """
    (model / "wait").touch()
    with start_serve(program, model, nginx=nginx, OMP_NUM_THREADS=threads) as serve:
        wait_until((model / "tempdir").exists, what="the model is being loaded")
        assert not serve.is_listening()
        (model / "wait").unlink()
        wait_until(serve.is_listening, what="the port is open")
        assert serve.call("/ping").status == 200


def test_an_application_that_does_not_start(shared: Path, model: Path) -> None:
    """
    1. the program folder holds an algorithm that cannot be imported
    2. serve starts
    Result: the log has the cause, serve exits with CHILD_DIED.
    """
    broken = assemble(shared / "broken", "import there_is_no_such_module\n")
    with start_serve(broken, model, allowed=["Traceback", "Error", "gunicorn ended"]) as serve:
        assert serve.wait() == ExitCode.CHILD_DIED
        assert serve.log("No module named 'there_is_no_such_module'")
        assert serve.log("gunicorn ended with exit code 1")


def test_a_broken_nginx_conf(shared: Path, model: Path) -> None:
    """
    1. somebody edits nginx.conf and forgets a semicolon
    2. serve starts
    Result: its last line is nginx's complaint, it exits with CHILD_DIED and leaves no process.
    """
    broken = assemble(shared / "no-semicolon", ALGORITHM)
    conf = broken / "nginx.conf"
    conf.write_text(conf.read_text().replace("server_tokens off;", "server_tokens off"))
    with start_serve(broken, model, allowed=["nginx refuses its configuration"]) as serve:
        children = wait_until(lambda: children_of(serve.process.pid), what="gunicorn runs")
        assert serve.wait() == ExitCode.CHILD_DIED
        assert "nginx refuses its configuration: " in serve.stderr[-1]
        assert "invalid number of arguments" in serve.stderr[-1]
        assert all_gone(children)


def test_a_taken_port_is_named(program: Path, model: Path) -> None:
    """
    1. somebody else listens on the port
    2. serve starts
    Result: it names setting and port and exits with BAD_SETTING.
    """
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = str(other.getsockname()[1])
        with start_serve(program, model, SAGEMAKER_BIND_TO_PORT=port) as serve:
            assert serve.wait() == ExitCode.BAD_SETTING
            assert serve.log(f"SAGEMAKER_BIND_TO_PORT is {port}, where nothing can listen now")


def test_a_path_too_long_for_a_socket(program: Path, model: Path) -> None:
    """
    1. TMPDIR is longer than the path of a unix socket may be
    2. serve starts
    Result: it says so and exits with BAD_SETTING.
    """
    folder = model.parent / ("t" * 100)
    folder.mkdir()
    with start_serve(program, model, TMPDIR=str(folder)) as serve:
        assert serve.wait() == ExitCode.BAD_SETTING
        assert serve.log("too long a path for a unix socket")


def test_no_folder_for_temporary_files(program: Path, model: Path) -> None:
    """
    1. no file can be written anywhere
    2. serve starts
    Result: one line says what to do, and serve exits with BAD_SETTING.
    """
    serve_it = 'ulimit -f 0; exec "$@"'
    command = ["sh", "-c", serve_it, "sh", sys.executable, str(program / "serve")]
    with start_serve(program, model, command=command) as serve:
        assert serve.wait() == ExitCode.BAD_SETTING
        [line] = serve.stderr
        assert line.startswith("serve: TMPDIR is not set and no folder for temporary files")
        assert "Mount a writable /tmp" in line


def test_gunicorns_own_variable_is_refused(program: Path, model: Path) -> None:
    """
    1. GUNICORN_CMD_ARGS asks for four workers
    2. serve starts
    Result: one line names the setting for that, and serve exits with BAD_SETTING.
    """
    with start_serve(program, model, GUNICORN_CMD_ARGS="--workers 4") as serve:
        assert serve.wait() == ExitCode.BAD_SETTING
        [line] = serve.stderr
        assert line.startswith("serve: GUNICORN_CMD_ARGS is '--workers 4'; ")
        assert "MODEL_SERVER_WORKERS" in line


def test_variables_of_other_servers_change_nothing(program: Path, model: Path) -> None:
    """
    1. variables are set that gunicorn or nginx would take or stumble over
    2. serve starts and is asked to predict
    Result: it has its own number of workers and answers as ever.
    """
    foreign = {
        "WEB_CONCURRENCY": "many",
        "SENDFILE": "perhaps",
        "SCRIPT_NAME": "/prefix",
        "LISTEN_FDS": "1",
        "GUNICORN_PID": "1",
        "NGINX": "0;",
        "PORT": "1",
    }
    with start_serve(program, model, **foreign) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", b"0\n", headers=CSV).status == 200
        assert len(wait_for_everybody(serve)) == 5


def test_a_variable_that_nobody_reads(program: Path, model: Path) -> None:
    """
    1. settings are misspelt, or named as other containers name them
    2. serve starts
    Result: one line for each names the setting that was probably meant; serve runs.
    """
    environ = {"MODEL_SERVER_WORKER": "4", "SAGEMAKER_MODEL_SERVER_TIMEOUT": "9"}
    with start_serve(program, model, allowed=["is not a setting"], **environ) as serve:
        serve.wait_for_ping()
        [worker] = serve.log("MODEL_SERVER_WORKER is not a setting")
        assert "did you mean MODEL_SERVER_WORKERS?" in worker
        [timeout] = serve.log("SAGEMAKER_MODEL_SERVER_TIMEOUT is not a setting")
        assert "did you mean MODEL_SERVER_TIMEOUT?" in timeout


@NGINX
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the machine has no IPv6")
def test_both_versions_of_ip(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a client connects by IPv6
    2. another connects by IPv4
    Result: both are answered.
    """
    with start_serve(program, model, nginx=nginx) as serve:
        serve.wait_for_ping()
        for host in ("::1", "127.0.0.1"):
            connection = HTTPConnection(host, serve.port, timeout=10)
            connection.request("GET", "/ping")
            assert connection.getresponse().status == 200
            connection.close()


def test_gunicorn_is_set_apart(program: Path, model: Path) -> None:
    """
    1. serve answers
    Result: gunicorn leads its own process group, so that Ctrl-C reaches serve alone, and keeps
    temporary files in serve's folder.
    """
    with start_serve(program, model, TMPDIR=str(model.parent)) as serve:
        serve.wait_for_ping()
        master = master_of(serve, "gunicorn")
        assert os.getpgid(master) == master
        folder = Path((model / "tempdir").read_text()).parent
        assert folder.parent == model.parent
        assert folder.name.startswith("serve-")


def test_nothing_is_left_in_the_temporary_folder(program: Path, model: Path) -> None:
    """
    1. serve runs with its own TMPDIR and gets a body that nginx buffers on disk
    2. SIGTERM arrives
    Result: it wrote nowhere but in one folder there, and that is gone.
    """
    folder = model.parent / "tmp"
    folder.mkdir()
    with start_serve(program, model, TMPDIR=str(folder)) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", b"0\n" * 2**21, headers=CSV).status == 200
        assert len(list(folder.iterdir())) == 1
        assert serve.stop() == ExitCode.OK
        assert not list(folder.iterdir())


# Waits as a model does that asks a feature store, until "release" exists.
WAITING = """
import time
from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("x", "number", example="1"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return model_dir


def predict(model_dir, columns):
    (model_dir / "asked").touch()
    while not (model_dir / "release").exists():
        time.sleep(0.01)
    return columns["x"]
"""


def test_a_ping_that_comes_during_the_self_test(shared: Path, model: Path) -> None:
    """
    1. serve loads the model once for all workers and asks for a ping: the self-test waits for
    somebody else, and the worker can go on with other requests meanwhile
    2. a second ping comes, and is not answered yet  3. the self-test has what it waited for
    Result: the test ends, and pings and requests are answered.
    """
    program = assemble(shared / "waiting", WAITING)
    with start_serve(program, model, nginx=False, workers=1) as serve:
        wait_until((model / "asked").exists, what="the self-test waits")
        with pytest.raises(TimeoutError):
            serve.call("/ping", timeout=1)
        (model / "release").touch()
        serve.wait_for_ping()
        assert serve.call("/invocations", b"2\n", headers=CSV).body == b"2.0\n"
