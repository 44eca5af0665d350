"""The accounts and rights of ``serve``'s processes. Each test states its scenario."""

import re
import stat
import sys
from pathlib import Path

import pytest

from harness import wait_until
from http_assertions import assert_error
from project import assemble
from sagemaker_runtime.errors import ExitCode
from served import CSV, HOLD, READABLE, ROOT, children_of, start_serve, wait_for_everybody


def _ids(pid: int) -> set[str]:
    """
    Return the user and group ids of a process, further groups included.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return set(" ".join(re.findall(r"^(?:Uid|Gid|Groups):(.*)$", status, re.MULTILINE)).split())


@READABLE
def test_root_drops_its_privileges(program: Path, model: Path) -> None:
    """
    1. root starts serve
    Result: no worker of gunicorn or nginx keeps root's id or one of its groups.
    """
    with start_serve(program, model) as serve:
        serve.wait_for_ping()
        workers = set(wait_for_everybody(serve)) - set(children_of(serve.process.pid))
        wait_until(
            lambda: not any("0" in _ids(worker) for worker in workers),
            what="no worker is root's",
        )


RUNS_CODE = """
import os

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("x", "number", example="0"))
HYPERPARAMETERS = ()
RUNS_CODE = {runs_code}


def train(job):
    raise NotImplementedError


def load(model_dir):
    (model_dir / f"loaded.{{os.getuid()}}").touch()


def predict(model, columns):
    return columns["x"]
"""


@pytest.mark.skipif(not ROOT, reason="only root has an account to leave")
@pytest.mark.parametrize("runs_code", [True, False])
@READABLE
def test_root_runs_no_code_of_a_model(shared: Path, model: Path, runs_code: bool) -> None:
    """
    1. root serves an algorithm that says whether its model runs code
    Result: such a model is loaded by the workers alone, any other once, before they are forked.
    """
    program = assemble(shared / f"runs-code-{runs_code}", RUNS_CODE.format(runs_code=runs_code))
    with start_serve(program, model) as serve:
        serve.wait_for_ping()
        loaded = {int(path.suffix[1:]) for path in model.glob("loaded.*")}
        assert (0 in loaded) is not runs_code
        assert len(loaded) == 1
        assert bool(serve.log("the model may run code")) is runs_code


@READABLE
def test_an_arbitrary_user(program: Path, model: Path) -> None:
    """
    1. a user id that nobody knows starts serve, without HOME
    2. it predicts and refuses a body that is too large
    3. SIGTERM arrives
    Result: all as usual.
    """
    command = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    with start_serve(
        program,
        model,
        command=[*command, sys.executable, str(program / "serve")],
        MODEL_SERVER_MAX_PAYLOAD_MB="1",
        allowed=["payload_too_large"],
    ) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", HOLD.replace(b"9", b"0"), headers=CSV).status == 200
        answer = serve.call("/invocations", b"0\n" * 2**20, headers=CSV)
        error = assert_error(answer, 413, "payload_too_large")
        wait_until(lambda: serve.log(error["request_id"]), what="the log has the request id")
        assert serve.stop() == ExitCode.OK


@READABLE
def test_root_without_capabilities(program: Path, model: Path) -> None:
    """
    1. root without capabilities, as by docker run --cap-drop ALL, starts serve
    2. it predicts and refuses a body that is too large
    3. SIGTERM arrives
    Result: all as usual, without a stray line; one line says that the workers stay root.
    """
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    with start_serve(
        program,
        model,
        command=[*command, sys.executable, str(program / "serve")],
        MODEL_SERVER_MAX_PAYLOAD_MB="1",
        allowed=["payload_too_large"],
    ) as serve:
        serve.wait_for_ping()
        assert serve.call("/invocations", HOLD.replace(b"9", b"0"), headers=CSV).status == 200
        assert_error(
            serve.call("/invocations", b"0\n" * 2**20, headers=CSV), 413, "payload_too_large"
        )
        assert len(serve.log("the workers stay root")) == 1
        assert serve.stop() == ExitCode.OK


def test_no_worker_gains_privileges(program: Path, model: Path) -> None:
    """
    1. serve answers
    Result: neither master nor worker may gain rights by running a program with a setuid bit.
    """
    with start_serve(program, model) as serve:
        serve.wait_for_ping()
        for process in wait_for_everybody(serve):
            status = Path(f"/proc/{process}/status").read_text()
            assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)


@READABLE
def test_workers_cannot_replace_what_root_reads(program: Path, model: Path) -> None:
    """
    1. root starts serve
    Result: the workers' account may neither list nor change serve's folder, nor remove files of
    others from the one for temporary files.
    """
    with start_serve(program, model, TMPDIR=str(model.parent)) as serve:
        serve.wait_for_ping()
        [folder] = model.parent.glob("serve-*")
        assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (0, 0o710)
        temporary = folder / "tmp"
        assert (temporary.stat().st_uid, stat.S_IMODE(temporary.stat().st_mode)) == (0, 0o1770)
        assert (folder / "nginx.conf").stat().st_uid == 0
