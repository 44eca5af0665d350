"""
Multi-model endpoints: what goes wrong with one model, what happens at the same time, and memory.
Each test states its scenario.
"""

import json
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guests import ALGORITHM, HOLD, invoke, listed, load, make, start, unload, workers_of
from harness import ServeProcess, wait_until
from http_assertions import assert_error
from project import assemble

pytestmark = pytest.mark.needs("nginx")

MB = 1_000_000


@pytest.fixture(scope="module")
def program(shared: Path) -> Path:
    return assemble(shared / "several", ALGORITHM)


def used(serve: ServeProcess) -> int:
    """
    Return the memory of the workers that is their own, in bytes.
    """
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in workers_of(serve)]
    return sum(
        int(line.split()[1]) * 1024
        for text in texts
        for line in text.splitlines()
        if line.startswith("RssAnon:")
    )


def test_a_broken_model_harms_no_other(program: Path, model: Path) -> None:
    """
    1. a good model is loaded 2. models are loaded whose load raises, ends the process, hangs,
    takes all memory
    Result: each is refused and says why, the good one and pings are answered all the time.
    """
    (model / "corrupt").mkdir()
    (model / "corrupt/model.json").write_text("{")
    broken = {
        "corrupt": (model / "corrupt", 503, "model_unavailable", "JSONDecodeError"),
        "exits": (make(model / "exits", load="exit"), 503, "model_unavailable", "exit code 9"),
        "hangs": (make(model / "hangs", load="hang"), 504, "timeout", "MODEL_SERVER_LOAD_TIMEOUT"),
        "huge": (make(model / "huge", mb=10**9), 507, "insufficient_memory", "memory ran out"),
    }
    allowed = [*(code for _, _, code, _ in broken.values()), "could not be loaded"]
    with start(program, model, MODEL_SERVER_LOAD_TIMEOUT="5", allowed=allowed) as serve:
        serve.wait_for_ping()
        workers = workers_of(serve)
        for name in "abcd":
            assert load(serve, name, make(model / name)).status == 200
        with ThreadPoolExecutor(len(broken)) as pool:
            tries = {
                name: pool.submit(load, serve, name, folder)
                for name, (folder, *_) in broken.items()
            }
            while not all(attempt.done() for attempt in tries.values()):
                assert all(invoke(serve, name, timeout=4).status == 200 for name in "abcd")
                assert serve.call("/ping", timeout=2).status == 200
        for name, (_, status, code, contains) in broken.items():
            assert_error(tries[name].result(), status, code, contains=contains)
            assert invoke(serve, name).status == 404
        assert len(listed(serve)) == 4
        assert workers_of(serve) == workers
        wait_until(
            lambda: [line for line in serve.log("JSONDecodeError") if "Traceback" in line],
            what="the log has the traceback",
        )


def test_a_prediction_that_ends_its_worker(program: Path, model: Path) -> None:
    """
    1. models are loaded 2. a prediction ends its worker
    Result: the caller gets 502; the worker that takes its place answers for all its models, which
    are loaded as before.
    """
    names = [f"model-{number}" for number in range(6)]
    with start(program, model, allowed=["worker_failed", "Worker"]) as serve:
        serve.wait_for_ping()
        for number, name in enumerate(names):
            assert load(serve, name, make(model / name, value=number)).status == 200
        before = listed(serve)
        workers = workers_of(serve)
        assert_error(invoke(serve, names[0], '"exit"'), 502, "worker_failed")
        wait_until(lambda: serve.log("Booting worker")[2:], what="another worker takes its place")
        assert [invoke(serve, name).json["value"] for name in names] == list(range(6))
        assert listed(serve) == before
        assert workers_of(serve) != workers
        assert unload(serve, names[0]).status == 200
        assert invoke(serve, names[0]).status == 404


def test_loading_holds_up_nobody(program: Path, model: Path) -> None:
    """
    1. the only worker is loading a model that takes long 2. it is asked to load it once more
    Result: meanwhile it answers pings and other models, large bodies included; the model is loaded
    once, the second call answers 409.
    """
    with start(program, model, workers=1, allowed=["model_already_loaded"]) as serve:
        serve.wait_for_ping()
        assert load(serve, "quick", make(model / "quick")).status == 200
        slow = make(model / "slow", value=2)
        (model / "quick/release").touch()
        (slow / "wait").touch()
        [worker] = workers_of(serve)
        with ThreadPoolExecutor(2) as pool:
            loads = [pool.submit(load, serve, "slow", slow) for _ in range(2)]
            tried: set[str] = set()
            while f".{worker}" not in tried:  # first the process that tries it, then the worker
                markers = wait_until(
                    lambda known=tried: {path.suffix for path in slow.glob("loaded.*")} - known,
                    what="the model is being loaded",
                )
                assert serve.call("/ping", timeout=2).status == 200
                assert invoke(serve, "quick", timeout=5).status == 200
                assert invoke(serve, "quick", HOLD, timeout=5).status == 200
                assert_error(invoke(serve, "other"), 404, "model_not_loaded")
                tried |= markers
                for suffix in markers:
                    (slow / f"go{suffix}").touch()
            assert sorted(each.result().status for each in loads) == [200, 409]
        assert invoke(serve, "slow").json["value"] == 2


def test_unloading_waits_for_the_answer(program: Path, model: Path) -> None:
    """
    1. a model is working on an answer, whole or sent as it comes 2. it is to be unloaded
    Result: who asks now is told that it is not loaded; the answer is sent whole, then the model is
    unloaded.
    """
    with start(program, model) as serve, ThreadPoolExecutor(2) as pool:
        serve.wait_for_ping()
        for name, body in (("whole", HOLD), ("streamed", '"stream"')):
            one = make(model / name, value=3)
            assert load(serve, name, one).status == 200
            answer = pool.submit(invoke, serve, name, body)
            wait_until((one / "held").exists, what="the model is asked")
            unloading = pool.submit(unload, serve, name)
            wait_until(lambda: not listed(serve), what="the model is no longer listed")
            assert_error(invoke(serve, name), 404, "model_not_loaded")
            assert not unloading.done()
            assert serve.call("/ping", timeout=2).status == 200
            (one / "release").touch()
            assert answer.result().status == 200
            assert name == "whole" or answer.result().body == b"first,last"
            assert unloading.result().status == 200


def test_memory_is_given_back(program: Path, model: Path) -> None:
    """
    1. a model of 200 MB is loaded and asked 2. it is unloaded
    Result: at once the workers have the memory they had before, give or take 5 MB.
    """
    with start(program, model) as serve:
        serve.wait_for_ping()
        assert load(serve, "small", make(model / "small")).status == 200
        assert load(serve, "large", make(model / "large", mb=200)).status == 200
        assert unload(serve, "large").status == 200
        before = used(serve)
        for _ in range(2):
            assert load(serve, "large", model / "large").status == 200
            assert invoke(serve, "large").status == 200
            (model / "large/release").touch()
            assert invoke(serve, "large", HOLD).status == 200
            assert used(serve) - before > 190 * MB
            assert unload(serve, "large").status == 200
            assert used(serve) - before < 5 * MB
        lines = wait_until(lambda: serve.log('"what":"load"')[3:], what="each load has its line")
        sizes = [json.loads(line)["model_bytes"] for line in lines]
        assert all(190 * MB < size < 230 * MB for size in sizes), sizes


def test_everything_at_once(program: Path, model: Path) -> None:
    """
    1. many callers load, ask, unload and list the same few models
    Result: each call has one of the answers that SageMaker knows, from the right model; at the end
    the list, the models and the workers agree.
    """
    names = [f"model {number}" for number in range(4)]
    folders = [make(model / name, value=number) for number, name in enumerate(names)]

    def caller(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            number = chance.randrange(4)
            what = chance.choices((load, unload, invoke, listed), (1, 1, 6, 1))[0]
            if what is listed:
                assert {each["modelName"] for each in listed(serve)} <= set(names)
            elif what is load:
                assert load(serve, names[number], folders[number]).status in (200, 409)
            elif what is unload:
                assert unload(serve, names[number]).status in (200, 404)
            else:
                answer = invoke(serve, names[number])
                assert answer.status in (200, 404)
                if answer.status == 200:
                    assert answer.json["value"] == number

    with start(program, model, allowed=["model_already_loaded"]) as serve:
        serve.wait_for_ping()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(caller, range(8)))
        loaded = {each["modelName"] for each in listed(serve)}
        for name in names:
            assert invoke(serve, name).status == (200 if name in loaded else 404)
            assert unload(serve, name).status == (200 if name in loaded else 404)


def test_stopping_while_models_answer(program: Path, model: Path) -> None:
    """
    1. a model is working on an answer 2. SIGTERM arrives
    Result: the answer is sent, serve exits 0.
    """
    with start(program, model) as serve, ThreadPoolExecutor(1) as pool:
        serve.wait_for_ping()
        one = make(model / "one", value=3)
        assert load(serve, "one", one).status == 200
        answer = pool.submit(invoke, serve, "one", HOLD)
        wait_until((one / "held").exists, what="the model is asked")
        serve.process.send_signal(signal.SIGTERM)
        wait_until(lambda: serve.log("finishing the running requests"), what="serve is told")
        late = invoke(serve, "one")
        assert (late.status, late.headers["Connection"]) == (200, "close")
        (one / "release").touch()
        assert answer.result().status == 200
        assert serve.wait() == 0
