"""``serve`` as processes: start, stop, crashes, ports, accounts. Each test states its scenario."""

import os
import re
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Answer, ServeProcess, wait_until
from http_assertions import assert_error
from project import assemble
from sagemaker_runtime.errors import ExitCode

# Files in the model folder steer it: "wait" holds up loading, "release" ends held predictions.
ALGORITHM = """
import tempfile
import time

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("hold", "number", example="0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    (model_dir / "tempdir").write_text(tempfile.gettempdir())
    while (model_dir / "wait").exists():
        time.sleep(0.01)
    return model_dir


def predict(model_dir, columns):
    if columns["hold"].any():
        (model_dir / "held").touch()
        while not (model_dir / "release").exists():
            sum(range(1000))
    return columns["hold"]
"""
# Fits while it is loaded: the workers are forked from a process that has used OpenMP's threads.
GUEST = """
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_info

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("x", "number", example="0"), Column("y", "number", example="1"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    x = np.arange(2000.0)
    frame = pd.DataFrame({"x": x, "y": x % 7})
    return HistGradientBoostingRegressor(max_iter=40, learning_rate=0.3).fit(frame, 3 * x)


def predict(model, columns):
    fares = model.predict(pd.DataFrame(columns))
    threads = max(pool["num_threads"] for pool in threadpool_info())
    return np.column_stack([fares, np.full(len(fares), threads)])
"""
CSV = {"Content-Type": "text/csv"}
# Large enough to be worked on in a thread, so that the worker's other requests go on.
HOLD = b"1\n" * 50_000
# The worker that held a request is killed with it.
KILLED = "Perhaps out of memory|worker_failed"
ROOT = os.geteuid() == 0
NGINX = pytest.mark.parametrize(
    "nginx",
    [pytest.param(True, marks=pytest.mark.needs("nginx"), id="nginx"), False],
    ids=lambda value: "no nginx",
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """
    A folder that every user may enter, which pytest's own are not.
    """
    with tempfile.TemporaryDirectory(prefix="test-serve-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def program(shared: Path) -> Path:
    return assemble(shared / "program", ALGORITHM)


@pytest.fixture
def model(shared: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=shared) as root:
        Path(root).chmod(0o755)
        model = Path(root, "model")
        model.mkdir()
        model.chmod(0o777)
        yield model


def _path(nginx: bool, folder: Path) -> str:
    """
    Return the caller's PATH, or one on which there is no nginx.
    """
    if nginx:
        return os.environ["PATH"]
    return str(folder)


def _serve(
    program: Path,
    model: Path,
    *,
    nginx: bool = True,
    workers: int = 2,
    command: Sequence[str] = (),
    allowed: Sequence[str] = (),
    **environ: str,
) -> ServeProcess:
    return ServeProcess(
        program,
        root=model.parent,
        command=command,
        allowed=allowed,
        environ={
            "PATH": _path(nginx, program),
            "MODEL_SERVER_WORKERS": str(workers),
            **environ,
        },
    )


@contextmanager
def _held(serve: ServeProcess, model: Path, count: int = 1) -> Iterator[list[Future[Answer]]]:
    """
    Send requests that are answered once "release" exists, and wait until one is being worked on.
    """
    with ThreadPoolExecutor(count) as pool:
        requests = [
            pool.submit(serve.call, "/invocations", HOLD, headers=CSV, timeout=30)
            for _ in range(count)
        ]
        try:
            wait_until((model / "held").exists, what="the request reaches the model")
            yield requests
        finally:
            (model / "release").touch()


def _release(model: Path, request: Future[Answer]) -> Answer:
    (model / "release").touch()
    return request.result(30)


def _children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return sorted(found)


def _master(serve: ServeProcess, name: str) -> int:
    """
    Return the process id of gunicorn's or nginx's master.
    """
    found = [
        pid
        for pid in _children(serve.process.pid)
        if name.encode() in Path(f"/proc/{pid}/comm").read_bytes()
    ]
    assert len(found) == 1, found
    return found[0]


def _wait_for_everybody(serve: ServeProcess, nginx: bool = True) -> list[int]:
    """
    Return the process ids of all masters and workers once gunicorn has two and nginx its one.
    """

    def found() -> list[int]:
        masters = _children(serve.process.pid)
        all_of_them = [*masters, *(worker for master in masters for worker in _children(master))]
        return all_of_them if len(all_of_them) == (5 if nginx else 3) else []

    return wait_until(found, what="all workers run")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _all_gone(pids: list[int]) -> bool:
    return not any(_lives(pid) for pid in pids)


@NGINX
def test_start_and_stop(nginx: bool, program: Path, model: Path) -> None:
    """
    1. serve starts
    2. it is asked to predict
    3. SIGTERM arrives
    Result: it predicts, exits 0, leaves no process, no open port and no stray log line.
    """
    with _serve(program, model, nginx=nginx) as serve:
        serve.wait_for_ping()
        answer = serve.call("/invocations", b"0\n0\n", headers=CSV)
        assert answer.status == 200
        assert answer.body.split() == [b"0.0", b"0.0"]
        assert bool(serve.log("nginx is not on PATH")) != nginx
        everybody = _wait_for_everybody(serve, nginx)
        assert serve.stop() == ExitCode.OK
        assert _all_gone(everybody)
        assert not serve.is_listening()


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
    with _serve(program, model, nginx=nginx, OMP_NUM_THREADS=threads) as serve:
        wait_until((model / "tempdir").exists, what="the model is being loaded")
        assert not serve.is_listening()
        (model / "wait").unlink()
        wait_until(serve.is_listening, what="the port is open")
        assert serve.call("/ping").status == 200


def test_stop_while_starting(program: Path, model: Path) -> None:
    """
    1. serve starts, the model takes its time to load
    2. SIGTERM arrives
    Result: it exits 0 at once and leaves no process.
    """
    (model / "wait").touch()
    with _serve(program, model) as serve:
        children = wait_until(lambda: _children(serve.process.pid), what="gunicorn runs")
        assert serve.stop() == ExitCode.OK
        assert _all_gone(children)


@NGINX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_are_finished(
    number: signal.Signals, nginx: bool, program: Path, model: Path
) -> None:
    """
    1. a request is being worked on
    2. SIGTERM or SIGINT arrives
    3. another client connects
    4. the request's work ends
    Result: the connection is refused, the request is answered, serve exits 0.
    """
    with _serve(program, model, nginx=nginx) as serve:
        serve.wait_for_ping()
        with _held(serve, model) as [request]:
            serve.process.send_signal(number)
            wait_until(lambda: not serve.is_listening(), what="new connections are refused")
            assert serve.process.poll() is None
            assert _release(model, request).status == 200
        assert serve.wait() == ExitCode.OK


@NGINX
def test_a_request_beyond_the_limit_is_cut_off(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a request is being worked on
    2. SIGTERM arrives
    3. the time to finish is up (1 s here, 25 s otherwise)
    Result: serve says so and exits with DRAIN_TIMEOUT.
    """
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]);"
        "from sagemaker_runtime.serving.supervisor import main;"
        "sys.exit(main([], os.environ, drain_s=1))"
    )
    with _serve(
        program,
        model,
        nginx=nginx,
        command=[sys.executable, "-c", code, str(program)],
        allowed=["a request still ran 1 s after SIGTERM"],
    ) as serve:
        serve.wait_for_ping()
        with _held(serve, model) as [request]:
            everybody = _wait_for_everybody(serve, nginx)
            assert serve.stop() == ExitCode.DRAIN_TIMEOUT
            # nginx may still tell the caller before it is killed too.
            assert request.exception(30) is not None or request.result().status == 502
            assert _all_gone(everybody)
        assert serve.log("a request still ran 1 s after SIGTERM")


def test_a_second_signal_stops_at_once(program: Path, model: Path) -> None:
    """
    1. a request is being worked on
    2. SIGTERM arrives twice within a moment, as from timeout(1)
    3. SIGTERM arrives again more than a second later
    Result: serve goes on waiting for the request, then ends without it.
    """
    with _serve(program, model, allowed=["a second signal came"]) as serve:
        serve.wait_for_ping()
        with _held(serve, model):
            serve.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not serve.is_listening(), what="new connections are refused")
            serve.process.send_signal(signal.SIGTERM)
            later = time.monotonic() + 1.1
            wait_until(lambda: time.monotonic() > later, what="a second has passed")
            assert serve.process.poll() is None
            assert serve.stop() == ExitCode.DRAIN_TIMEOUT


def test_a_killed_worker_is_replaced(program: Path, model: Path) -> None:
    """
    1. the only worker works on a request
    2. it is killed as the kernel does when memory runs out
    Result: the caller gets a 502 in JSON, the log names the cause, a new worker answers.
    """
    with _serve(program, model, workers=1, allowed=[KILLED]) as serve:
        serve.wait_for_ping()
        [worker] = _children(_master(serve, "gunicorn"))
        with _held(serve, model) as [request]:
            os.kill(worker, signal.SIGKILL)
            error = assert_error(request.result(30), 502, "worker_failed")
        wait_until(lambda: serve.log(error["request_id"]), what="the log has the request id")
        serve.wait_for_ping()
        assert _children(_master(serve, "gunicorn")) != [worker]
        assert serve.log("SIGKILL! Perhaps out of memory?")


def _answer_at(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
        return client.makefile().readline()


@pytest.mark.needs("nginx")
def test_each_worker_has_a_socket_and_keeps_it(program: Path, model: Path) -> None:
    """
    1. three workers answer, each at a socket of its own
    2. one of them is killed
    Result: every socket is answered again, the dead worker's by its successor.
    """
    folder = model.parent
    with _serve(
        program, model, workers=3, allowed=["Perhaps out of memory"], TMPDIR=str(folder)
    ) as serve:
        serve.wait_for_ping()
        sockets = sorted(folder.glob("serve-*/worker-*.sock"))
        assert len(sockets) == 3
        assert all(" 200 " in _answer_at(path) for path in sockets)
        workers = _children(_master(serve, "gunicorn"))
        os.kill(workers[0], signal.SIGKILL)
        wait_until(
            lambda: len(set(_children(_master(serve, "gunicorn"))) - set(workers)) == 1,
            what="a new worker is there",
        )
        assert all(" 200 " in _answer_at(path) for path in sockets)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("victim", ["gunicorn", "nginx"])
def test_a_dead_master_ends_serve(victim: str, program: Path, model: Path) -> None:
    """
    1. serve answers
    2. the master of gunicorn or nginx is killed
    Result: serve names it, exits with CHILD_DIED and leaves no process.
    """
    line = f"{victim} was killed by SIGKILL"
    with _serve(program, model, allowed=[line]) as serve:
        serve.wait_for_ping()
        everybody = _wait_for_everybody(serve)
        os.kill(_master(serve, victim), signal.SIGKILL)
        assert serve.wait() == ExitCode.CHILD_DIED
        assert serve.log(line)
        wait_until(lambda: _all_gone(everybody), what="all processes end")


def test_no_process_outlives_a_killed_serve(program: Path, model: Path) -> None:
    """
    1. serve answers
    2. serve itself is killed
    Result: nginx and gunicorn end too.
    """
    # Nobody is left to remove its folder.
    with _serve(program, model, TMPDIR=str(model.parent)) as serve:
        serve.wait_for_ping()
        everybody = _wait_for_everybody(serve)
        serve.process.kill()
        wait_until(lambda: _all_gone(everybody), what="all processes end")


def test_an_application_that_does_not_start(shared: Path, model: Path) -> None:
    """
    1. the program folder holds an algorithm that cannot be imported
    2. serve starts
    Result: the log has the cause, serve exits with CHILD_DIED.
    """
    broken = assemble(shared / "broken", "import there_is_no_such_module\n")
    with _serve(broken, model, allowed=["Traceback", "Error", "gunicorn ended"]) as serve:
        assert serve.wait() == ExitCode.CHILD_DIED
        assert serve.log("No module named 'there_is_no_such_module'")
        assert serve.log("gunicorn ended with exit code 1")


def test_a_broken_nginx_conf(shared: Path, model: Path) -> None:
    """
    1. somebody edits nginx.conf and forgets a semicolon
    2. serve starts
    Result: it shows nginx's complaint, starts nothing and exits with CHILD_DIED.
    """
    broken = assemble(shared / "no-semicolon", ALGORITHM)
    conf = broken / "nginx.conf"
    conf.write_text(conf.read_text().replace("server_tokens off;", "server_tokens off"))
    with _serve(broken, model, allowed=["nginx refuses its configuration"]) as serve:
        assert serve.wait() == ExitCode.CHILD_DIED
        assert serve.log("invalid number of arguments")
        assert not serve.log("gunicorn")


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
        with _serve(program, model, SAGEMAKER_BIND_TO_PORT=port) as serve:
            assert serve.wait() == ExitCode.BAD_SETTING
            assert serve.log(f"SAGEMAKER_BIND_TO_PORT is {port}, where nothing can listen now")


@NGINX
def test_a_body_above_the_limit(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a body above MODEL_SERVER_MAX_PAYLOAD_MB is sent
    2. one of exactly that size is sent
    Result: 413 in the usual shape, logged with its request id; 200.
    """
    with _serve(
        program,
        model,
        nginx=nginx,
        MODEL_SERVER_MAX_PAYLOAD_MB="1",
        allowed=["payload_too_large"],
    ) as serve:
        serve.wait_for_ping()
        answer = serve.call("/invocations", b"0\n" * (2**19 + 1), headers=CSV)
        error = assert_error(answer, 413, "payload_too_large")
        assert "MODEL_SERVER_MAX_PAYLOAD_MB" in error["message"]
        assert answer.headers["X-Request-Id"] == error["request_id"]
        wait_until(lambda: serve.log(error["request_id"]), what="the log has the request id")
        assert serve.call("/invocations", b"0\n" * 2**19, headers=CSV).status == 200


@NGINX
def test_what_is_not_http(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a client sends something that is not HTTP
    Result: 400 in the usual shape, not HTML.
    """
    with _serve(program, model, nginx=nginx, allowed=["bad_request", "Invalid request"]) as serve:
        serve.wait_for_ping()
        with socket.create_connection(("127.0.0.1", serve.port), timeout=10) as client:
            client.sendall(b"this is no request\r\n\r\n")
            received = client.makefile("rb").read()
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b"Content-Type: application/json" in received
        assert b'{"error":' in received.replace(b": {", b":{").replace(b'"error": ', b'"error":')
        assert b"<" not in received


def test_the_platforms_id_names_the_request(program: Path, model: Path) -> None:
    """
    1. requests come with an inference id, with one that JSON would have to escape, with none
    Result: the first is kept, the others get one made for them.
    """
    name = "X-Amzn-SageMaker-Inference-Id"
    with _serve(
        program, model, MODEL_SERVER_MAX_PAYLOAD_MB="1", allowed=["payload_too_large"]
    ) as serve:
        serve.wait_for_ping()
        for body in (b"0\n", b"0\n" * 2**20):
            answer = serve.call("/invocations", body, headers={**CSV, name: "abc-1"})
            assert answer.headers["X-Request-Id"] == "abc-1"
            for headers in (CSV, {**CSV, name: 'a"b\\c'}):
                answer = serve.call("/invocations", body, headers=headers)
                assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_long_headers_pass(program: Path, model: Path) -> None:
    """
    1. a request comes with a header of 12 KB and 200 further ones
    Result: it is answered.
    """
    headers = {f"X-Header-{number}": "value" for number in range(200)}
    with _serve(program, model) as serve:
        serve.wait_for_ping()
        assert serve.call("/ping", headers={**headers, "X-Long": "a" * 12_000}).status == 200


@NGINX
def test_pings_are_answered_while_all_workers_are_busy(
    nginx: bool, program: Path, model: Path
) -> None:
    """
    1. every worker chews a large body
    2. pings arrive
    Result: each is answered within the platform's 2 s, and none is logged.
    """
    with _serve(program, model, nginx=nginx, workers=1) as serve:
        serve.wait_for_ping()
        with _held(serve, model, count=4):
            for _ in range(20):
                began = time.monotonic()
                assert serve.call("/ping", timeout=2).status == 200
                assert time.monotonic() - began < 2
        assert not serve.log("/ping")


def _others_may_enter(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


# An interpreter under /root, say, cannot be run by anybody else: the container suite has it right.
readable = pytest.mark.skipif(
    not ROOT or not all(_others_may_enter(Path(p, "x")) for p in (sys.prefix, sys.base_prefix)),
    reason="needs root and an interpreter that others may run",
)


def _ids(pid: int) -> set[str]:
    """
    Return the user and group ids of a process, further groups included.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return set(" ".join(re.findall(r"^(?:Uid|Gid|Groups):(.*)$", status, re.MULTILINE)).split())


@readable
def test_root_drops_its_privileges(program: Path, model: Path) -> None:
    """
    1. root starts serve
    Result: no worker of gunicorn or nginx keeps root's id or one of its groups.
    """
    with _serve(program, model) as serve:
        serve.wait_for_ping()
        workers = set(_wait_for_everybody(serve)) - set(_children(serve.process.pid))
        wait_until(
            lambda: not any("0" in _ids(worker) for worker in workers),
            what="no worker is root's",
        )


@readable
def test_an_arbitrary_user(program: Path, model: Path) -> None:
    """
    1. a user id that nobody knows starts serve, without HOME
    2. it predicts and refuses a body that is too large
    3. SIGTERM arrives
    Result: all as usual.
    """
    command = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    with _serve(
        program,
        model,
        command=[*command, sys.executable, str(program / "serve")],
        MODEL_SERVER_MAX_PAYLOAD_MB="1",
        allowed=["payload_too_large"],
    ) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", HOLD.replace(b"1", b"0"), headers=CSV).status == 200
        answer = serve.call("/invocations", b"0\n" * 2**20, headers=CSV)
        error = assert_error(answer, 413, "payload_too_large")
        wait_until(lambda: serve.log(error["request_id"]), what="the log has the request id")
        assert serve.stop() == ExitCode.OK


def test_gunicorn_is_set_apart(program: Path, model: Path) -> None:
    """
    1. serve answers
    Result: gunicorn leads a process group of its own, so that Ctrl-C reaches serve alone, and keeps
    temporary files in serve's folder.
    """
    with _serve(program, model, TMPDIR=str(model.parent)) as serve:
        serve.wait_for_ping()
        master = _master(serve, "gunicorn")
        assert os.getpgid(master) == master
        folder = Path((model / "tempdir").read_text())
        assert folder.parent == model.parent
        assert folder.name.startswith("serve-")


def test_nothing_is_left_in_the_temporary_folder(program: Path, model: Path) -> None:
    """
    1. serve runs with a TMPDIR of its own and gets a body that nginx buffers on disk
    2. SIGTERM arrives
    Result: it wrote nowhere but in one folder there, and that is gone.
    """
    folder = model.parent / "tmp"
    folder.mkdir()
    with _serve(program, model, TMPDIR=str(folder)) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", b"0\n" * 2**21, headers=CSV).status == 200
        assert len(list(folder.iterdir())) == 1
        assert serve.stop() == ExitCode.OK
        assert not list(folder.iterdir())


def test_a_path_too_long_for_a_socket(program: Path, model: Path) -> None:
    """
    1. TMPDIR is longer than the path of a unix socket may be
    2. serve starts
    Result: it says so and exits with BAD_SETTING.
    """
    folder = model.parent / ("t" * 100)
    folder.mkdir()
    with _serve(program, model, TMPDIR=str(folder)) as serve:
        assert serve.wait() == ExitCode.BAD_SETTING
        assert serve.log("too long a path for a unix socket")


@NGINX
@pytest.mark.parametrize("threads", [None, "2"])
def test_pandas_and_scikit_learn_serve_with_the_right_threads(shared, model, nginx, threads):
    """
    1. an algorithm fits with scikit-learn while it is loaded 2. sixteen callers ask at once.
    Result: all are answered, with one thread in each pool of a library, or with as many as the
    user says.
    """
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        guest = assemble(Path(folder, "guest"), GUEST)
        environ = {} if threads is None else {"OMP_NUM_THREADS": threads}
        with _serve(guest, model, nginx=nginx, **environ) as serve:
            serve.wait_for_ping()
            with ThreadPoolExecutor(16) as pool:
                bodies = [f"{row},{row % 7}\n".encode() for row in range(64)]
                answers = list(
                    pool.map(lambda body: serve.call("/invocations", body, headers=CSV), bodies)
                )
    for row, answer in enumerate(answers):
        assert answer.status == 200, answer.body
        fare, pool_threads = map(float, answer.body.split(b","))
        assert abs(fare - 3 * row) < 200
        assert pool_threads == float(threads or 1)
