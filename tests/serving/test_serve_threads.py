"""Preloading and threads of libraries in ``serve``. Each test states its scenario."""

import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import wait_until
from project import assemble
from sagemaker_runtime.errors import ExitCode
from served import CSV, NGINX, all_gone, children_of, master_of, start_serve

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
        with start_serve(guest, model, nginx=nginx, **environ) as serve:
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
        with start_serve(threaded, model, nginx=nginx) as serve:
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
        with start_serve(openmp, model) as serve:
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
        with start_serve(
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
        with start_serve(threaded, model, MODEL_SERVER_PRELOAD="on", allowed=allowed) as serve:
            wait_until(lambda: len(serve.log("Booting worker")) == 2, what="two workers run")
            workers = children_of(master_of(serve, "gunicorn"))
            assert serve.stop(timeout=10) == ExitCode.OK
            assert all_gone(workers)


@pytest.mark.parametrize("preload", ["on", "off"])
def test_the_model_is_loaded_once_or_in_each_worker(
    preload: str, program: Path, model: Path
) -> None:
    """
    1. MODEL_SERVER_PRELOAD is on or off
    2. serve starts with two workers
    Result: the model is loaded by gunicorn's master, or once by each worker.
    """
    with start_serve(program, model, MODEL_SERVER_PRELOAD=preload) as serve:
        serve.wait_for_ping()
        master = master_of(serve, "gunicorn")
        expected = {master} if preload == "on" else set(children_of(master))
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
        with start_serve(guest, model, MODEL_SERVER_THREADS="2") as serve:
            serve.wait_for_ping()
            answer = serve.call("/invocations", b"7,0\n", headers=CSV)
            assert answer.body.split(b",")[1].strip() == b"2.0"


def test_what_imports_cost_is_told_at_the_level_debug(shared: Path, model: Path) -> None:
    """
    1. MODEL_SERVER_LOG_LEVEL is debug
    2. serve starts
    Result: one line says how long imports took, and which package most of it.
    """
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        guest = assemble(Path(folder, "guest"), GUEST)
        with start_serve(guest, model, workers=1, MODEL_SERVER_LOG_LEVEL="debug") as serve:
            serve.wait_for_ping()
            line = serve.log('"message": "imports ')[
                0
            ]  # gunicorn begins anew: loading left threads
            assert re.search(r"imports [0-9.]+ s of [0-9.]+ s until .*: .*(pandas|sklearn) ", line)
