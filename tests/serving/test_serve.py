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
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread

import pytest

from harness import Answer, ServeProcess, wait_until
from http_assertions import assert_error
from project import assemble
from sagemaker_runtime.errors import ExitCode
from sagemaker_runtime.serving import refusals

# Files in the model folder steer it: "wait" holds up loading, "release" ends held predictions.
ALGORITHM = """
import os
import tempfile
import time

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("hold", "number", example="0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    (model_dir / "tempdir").write_text(tempfile.gettempdir())
    (model_dir / f"loaded.{os.getpid()}").touch()
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
KILLED = "Perhaps out of memory|worker [0-9]+ was killed|worker_failed"
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
        "from sagemaker_runtime.serving.run import main;"
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
            wait_until(lambda: serve.log("SIGTERM: finishing"), what="serve has the signal")
            serve.process.send_signal(signal.SIGTERM)
            later = time.monotonic() + 1.1
            wait_until(lambda: time.monotonic() > later, what="a second has passed")
            wait_until(lambda: not serve.is_listening(), what="new connections are refused")
            assert serve.process.poll() is None
            assert serve.stop() == ExitCode.DRAIN_TIMEOUT


def test_a_killed_worker_is_replaced(program: Path, model: Path) -> None:
    """
    1. the only worker works on a request
    2. it is killed as the kernel does when memory runs out
    Result: the caller gets a 502 in JSON, the log names the cause, the memory granted and what to
    do, a new worker answers.
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
        [line] = serve.log(f"worker {worker} was killed")
        assert re.search("[Mm]emory.* [0-9]+ MB are granted for 1 worker.", line)
        assert "MODEL_SERVER_WORKERS" in line


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
    with _serve(program, model, workers=3, allowed=[KILLED], TMPDIR=str(folder)) as serve:
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
    Result: serve names it and memory as the likely cause, exits with CHILD_DIED and leaves no
    process.
    """
    line = f"{victim} was killed by SIGKILL"
    with _serve(program, model, allowed=[line]) as serve:
        serve.wait_for_ping()
        everybody = _wait_for_everybody(serve)
        os.kill(_master(serve, victim), signal.SIGKILL)
        assert serve.wait() == ExitCode.CHILD_DIED
        assert re.search("[Mm]emory.* MB are granted for 2 workers", serve.log(line)[0])
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
    Result: its last line is nginx's complaint, it exits with CHILD_DIED and leaves no process.
    """
    broken = assemble(shared / "no-semicolon", ALGORITHM)
    conf = broken / "nginx.conf"
    conf.write_text(conf.read_text().replace("server_tokens off;", "server_tokens off"))
    with _serve(broken, model, allowed=["nginx refuses its configuration"]) as serve:
        children = wait_until(lambda: _children(serve.process.pid), what="gunicorn runs")
        assert serve.wait() == ExitCode.CHILD_DIED
        assert "nginx refuses its configuration: " in serve.stderr[-1]
        assert "invalid number of arguments" in serve.stderr[-1]
        assert _all_gone(children)


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
        folder = Path((model / "tempdir").read_text()).parent
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


# Leaves a thread for which predictions wait: a fork would lose it, and they would wait for ever.
THREADED = """
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("x", "number", example="0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    pool = ThreadPoolExecutor(1, "helper")
    pool.submit(int).result()
    return pool, os.getpid()


def predict(model, columns):
    pool, loaded_by = model
    pool.submit(int).result()
    return np.full(len(columns["x"]), loaded_by == os.getpid())
"""
WAITS = "    pool.submit(int).result()\n    return np.full"
# libgomp keeps the threads of a parallel section for the next one, and waits for them.
OPENMP = GUEST.replace(
    "    return HistGradient", "    threadpool_limits(2)\n    return HistGradient"
).replace("import threadpool_info", "import threadpool_info, threadpool_limits")


@NGINX
def test_a_load_that_leaves_threads(nginx: bool, shared: Path, model: Path) -> None:
    """
    1. loading the model starts a thread that predictions need
    2. serve starts and is asked to predict
    Result: one line names the thread and says that each worker loads the model; it predicts.
    """
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        threaded = assemble(Path(folder, "threaded"), THREADED)
        with _serve(threaded, model, nginx=nginx) as serve:
            serve.wait_for_ping()
            answer = serve.call("/invocations", b"0\n", headers=CSV)
            assert answer.body.strip() in (b"1.0", b"True", b"true")
            [line] = serve.log("loading the model left 1 thread (helper_0)")
            assert "each worker loads the model for itself" in line


def test_a_load_that_leaves_threads_of_openmp(shared: Path, model: Path) -> None:
    """
    1. loading the model uses OpenMP with two threads, although the setting says one
    2. serve starts and is asked to predict
    Result: one line says that threads of a library are left; predictions do not hang.
    """
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        openmp = assemble(Path(folder, "openmp"), OPENMP)
        with _serve(openmp, model) as serve:
            serve.wait_for_ping()
            answer = serve.call("/invocations", b"7,0\n", headers=CSV)
            assert answer.status == 200
            assert len(serve.log("of a library in C), which the workers would not have")) == 1


def test_preloading_that_is_insisted_on(shared: Path, model: Path) -> None:
    """
    1. MODEL_SERVER_PRELOAD is on and loading the model starts a thread that predictions do without
    2. serve starts and is asked to predict
    Result: the log warns and names the remedy; a model that was loaded elsewhere predicts.
    """
    algorithm = THREADED.replace(WAITS, "    return np.full")
    assert algorithm != THREADED
    warning = "left 1 thread (helper_0), which the workers will not have"
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        program = assemble(Path(folder, "threaded"), algorithm)
        with _serve(
            program, model, MODEL_SERVER_PRELOAD="on", allowed=[re.escape(warning)]
        ) as serve:
            serve.wait_for_ping()
            answer = serve.call("/invocations", b"0\n", headers=CSV)
            assert answer.body.strip() in (b"0.0", b"False", b"false")
            assert "MODEL_SERVER_PRELOAD=auto" in serve.log(warning)[0]


def test_stop_while_the_self_test_hangs(shared: Path, model: Path) -> None:
    """
    1. MODEL_SERVER_PRELOAD is on and loading the model starts a thread that predictions wait for
    2. serve starts, its first ping is never answered
    3. SIGTERM arrives
    Result: nobody waits for an answer, so serve exits 0 within seconds and leaves no process.
    """
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        threaded = assemble(Path(folder, "threaded"), THREADED)
        allowed = [re.escape("which the workers will not have")]
        with _serve(threaded, model, MODEL_SERVER_PRELOAD="on", allowed=allowed) as serve:
            wait_until(lambda: len(serve.log("Booting worker")) == 2, what="two workers run")
            workers = _children(_master(serve, "gunicorn"))
            assert serve.stop(timeout=10) == ExitCode.OK
            assert _all_gone(workers)


@pytest.mark.parametrize("preload", ["on", "off"])
def test_the_model_is_loaded_once_or_in_each_worker(
    preload: str, program: Path, model: Path
) -> None:
    """
    1. MODEL_SERVER_PRELOAD is on or off
    2. serve starts with two workers
    Result: the model is loaded by gunicorn's master, or once by each worker.
    """
    with _serve(program, model, MODEL_SERVER_PRELOAD=preload) as serve:
        serve.wait_for_ping()
        master = _master(serve, "gunicorn")
        expected = {master} if preload == "on" else set(_children(master))
        wait_until(
            lambda: {int(path.suffix[1:]) for path in model.glob("loaded.*")} == expected,
            what="everybody who should has loaded the model",
        )


def test_threads_are_a_setting(shared: Path, model: Path) -> None:
    """
    1. MODEL_SERVER_THREADS is 2
    2. serve starts and is asked to predict
    Result: the libraries have two threads in each worker.
    """
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        guest = assemble(Path(folder, "guest"), GUEST)
        with _serve(guest, model, MODEL_SERVER_THREADS="2") as serve:
            serve.wait_for_ping()
            answer = serve.call("/invocations", b"7,0\n", headers=CSV)
            assert answer.body.split(b",")[1].strip() == b"2.0"


def test_gunicorns_own_variable_is_refused(program: Path, model: Path) -> None:
    """
    1. GUNICORN_CMD_ARGS asks for four workers
    2. serve starts
    Result: one line names the setting for that, and serve exits with BAD_SETTING.
    """
    with _serve(program, model, GUNICORN_CMD_ARGS="--workers 4") as serve:
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
    with _serve(program, model, **foreign) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", b"0\n", headers=CSV).status == 200
        assert len(_wait_for_everybody(serve)) == 5


def test_a_variable_that_nobody_reads(program: Path, model: Path) -> None:
    """
    1. settings are misspelt, or named as other containers name them
    2. serve starts
    Result: one line for each names the setting that was probably meant; serve runs.
    """
    environ = {"MODEL_SERVER_WORKER": "4", "SAGEMAKER_MODEL_SERVER_TIMEOUT": "9"}
    with _serve(program, model, allowed=["is not a setting"], **environ) as serve:
        serve.wait_for_ping()
        [worker] = serve.log("MODEL_SERVER_WORKER is not a setting")
        assert "did you mean MODEL_SERVER_WORKERS?" in worker
        [timeout] = serve.log("SAGEMAKER_MODEL_SERVER_TIMEOUT is not a setting")
        assert "did you mean MODEL_SERVER_TIMEOUT?" in timeout


def test_no_folder_for_temporary_files(program: Path, model: Path) -> None:
    """
    1. no file can be written anywhere
    2. serve starts
    Result: one line says what to do, and serve exits with BAD_SETTING.
    """
    serve_it = 'ulimit -f 0; exec "$@"'
    command = ["sh", "-c", serve_it, "sh", sys.executable, str(program / "serve")]
    with _serve(program, model, command=command) as serve:
        assert serve.wait() == ExitCode.BAD_SETTING
        [line] = serve.stderr
        assert line.startswith("serve: TMPDIR is not set and no folder for temporary files")
        assert "Mount a writable /tmp" in line


@readable
def test_root_without_capabilities(program: Path, model: Path) -> None:
    """
    1. root without capabilities, as by docker run --cap-drop ALL, starts serve
    2. it predicts and refuses a body that is too large
    3. SIGTERM arrives
    Result: all as usual, without a stray line; one line says that the workers stay root.
    """
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    with _serve(
        program,
        model,
        command=[*command, sys.executable, str(program / "serve")],
        MODEL_SERVER_MAX_PAYLOAD_MB="1",
        allowed=["payload_too_large"],
    ) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", HOLD.replace(b"1", b"0"), headers=CSV).status == 200
        assert_error(
            serve.call("/invocations", b"0\n" * 2**20, headers=CSV), 413, "payload_too_large"
        )
        assert len(serve.log("the workers stay root")) == 1
        assert serve.stop() == ExitCode.OK


@NGINX
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the machine has no IPv6")
def test_both_versions_of_ip(nginx: bool, program: Path, model: Path) -> None:
    """
    1. a client connects by IPv6
    2. another connects by IPv4
    Result: both are answered.
    """
    with _serve(program, model, nginx=nginx) as serve:
        serve.wait_for_ping()
        for host in ("::1", "127.0.0.1"):
            connection = HTTPConnection(host, serve.port, timeout=10)
            connection.request("GET", "/ping")
            assert connection.getresponse().status == 200
            connection.close()


class Callers:
    """
    Sixteen threads that ask as fast as they can until the port refuses them: each on one connection
    for as long as the answers allow, or on a fresh one for each request.
    """

    def __init__(self, serve: ServeProcess, kept: bool) -> None:
        self.answered = 0
        self.lost: list[str] = []
        self._serve, self._kept = serve, kept
        self._threads = [Thread(target=self._ask, daemon=True) for _ in range(16)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _ask(self) -> None:
        while True:
            connection = HTTPConnection("127.0.0.1", self._serve.port, timeout=10)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return
            try:
                again = True
                while again:
                    connection.request("POST", "/invocations", b"0\n", CSV)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200
                    self.answered += 1
                    again = self._kept and answer.getheader("Connection") != "close"
            except Exception as error:  # noqa: BLE001 - each is a request without an answer
                self.lost.append(repr(error))
            finally:
                connection.close()


@NGINX
@pytest.mark.parametrize("kept", [True, False], ids=["kept connections", "fresh connections"])
def test_no_request_is_lost_by_a_stop(kept: bool, nginx: bool, program: Path, model: Path) -> None:
    """
    1. sixteen callers ask without a pause
    2. SIGTERM arrives
    3. all this twice more
    Result: pings fail with 503 at once where there is nginx, every request that found the port open
    is answered with 200, serve exits 0.
    """
    for _ in range(3):
        with _serve(program, model, nginx=nginx) as serve:
            serve.wait_for_ping()
            with Callers(serve, kept) as callers:
                wait_until(lambda: callers.answered > 100, what="callers are busy")
                serve.process.send_signal(signal.SIGTERM)
                if nginx:
                    refused = wait_until(
                        lambda: (answer := serve.call("/ping")).status != 200 and answer,
                        what="pings fail",
                    )
                    assert_error(refused, 503, "stopping")
                    assert refused.headers["Connection"] == "close"
            assert serve.wait() == ExitCode.OK
            assert not callers.lost


def _ask(port: int, request: bytes) -> Answer:
    """
    Send bytes and read the answer to its end.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        response = HTTPResponse(client)
        response.begin()
        return Answer(response.status, response.headers, response.read())


REFUSED = (
    ("GET /error HTTP/1.1", "", 404, "not_found"),
    ("GET /stopping HTTP/1.1", "", 404, "not_found"),
    ("this is no request", "", 400, "bad_request"),
    (f"GET /{'a' * 20_000} HTTP/1.1", "", 414, "uri_too_long"),
    (f"GET /{'a' * 12_000} HTTP/1.1", "", 414, "uri_too_long"),
    ("GET /ping HTTP/1.1", f"X-Long: {'a' * 20_000}\r\n", 431, "headers_too_large"),
    ("POST /invocations HTTP/1.1", "Transfer-Encoding: nonsense\r\n", 501, "not_implemented"),
    ("GET /ping HTTP/3.1", "", 505, "http_version_not_supported"),
    ("TRACE /ping HTTP/1.1", "", 405, "method_not_allowed"),
)


@NGINX
def test_answers_without_the_application(nginx: bool, program: Path, model: Path) -> None:
    """
    1. requests come that nginx or gunicorn answers by itself
    Result: the usual JSON with the same status, code and text, whoever answers.
    """
    allowed = [*(code for *_, code in REFUSED), "Invalid request", "request refused"]
    with _serve(program, model, nginx=nginx, workers=1, allowed=allowed) as serve:
        serve.wait_for_ping()
        for request_line, headers, status, code in REFUSED:
            request = f"{request_line}\r\nHost: localhost\r\n{headers}\r\n".encode()
            error = assert_error(_ask(serve.port, request), status, code)
            if status not in (404, 405):  # the application's own, without nginx
                assert error["message"] == refusals.find(status).message


@pytest.mark.needs("nginx")
def test_slow_callers_shut_nobody_out(program: Path, model: Path) -> None:
    """
    1. 2,000 callers send the beginning of a header, 2,000 others the beginning of a body
    2. pings and requests arrive
    Result: each is answered, pings within the platform's 2 s.
    """
    header = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\n"
    body = header + b"Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n0\n"
    with _serve(program, model) as serve, ExitStack() as slow:
        serve.wait_for_ping()
        for beginning in (header, body):
            for _ in range(2000):
                caller = slow.enter_context(socket.create_connection(("127.0.0.1", serve.port), 10))
                caller.sendall(beginning)
        for _ in range(20):
            assert serve.call("/ping", timeout=2).status == 200
            assert serve.call("/invocations", b"0\n", headers=CSV).status == 200


@pytest.mark.needs("nginx")
def test_a_caller_that_never_sends_its_header_is_dropped(program: Path, model: Path) -> None:
    """
    1. a caller sends the beginning of a header and no more
    Result: within a quarter of a minute nginx closes the connection.
    """
    with _serve(program, model) as serve:
        serve.wait_for_ping()
        with socket.create_connection(("127.0.0.1", serve.port), timeout=15) as caller:
            caller.sendall(b"GET /ping HTTP/1.1\r\nHost: ")
            assert caller.recv(1000) == b"" or caller.recv(1000) == b""


def test_no_worker_gains_privileges(program: Path, model: Path) -> None:
    """
    1. serve answers
    Result: neither master nor worker may gain rights by running a program with a setuid bit.
    """
    with _serve(program, model) as serve:
        serve.wait_for_ping()
        for process in _wait_for_everybody(serve):
            status = Path(f"/proc/{process}/status").read_text()
            assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)


@readable
def test_workers_cannot_replace_what_root_reads(program: Path, model: Path) -> None:
    """
    1. root starts serve
    Result: the workers' account may neither list nor change serve's folder, nor remove files of
    others from the one for temporary files.
    """
    with _serve(program, model, TMPDIR=str(model.parent)) as serve:
        serve.wait_for_ping()
        [folder] = model.parent.glob("serve-*")
        assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (0, 0o710)
        temporary = folder / "tmp"
        assert (temporary.stat().st_uid, stat.S_IMODE(temporary.stat().st_mode)) == (0, 0o1770)
        assert (folder / "nginx.conf").stat().st_uid == 0
