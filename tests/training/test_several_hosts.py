"""A job on several hosts: processes that meet, work together and end together."""

import json
import signal
import socket
from contextlib import suppress

import pytest

from harness import wait_until
from hosts import NAMES, hosts, outcomes
from project import assemble
from sagemaker_runtime.errors import ExitCode
from sagemaker_runtime.training.cluster_messages import HEAD, Kind

TOY = """
import ctypes, sys, time
import numpy as np
from sagemaker_runtime.algorithm import Column, Hyperparameter, Table
from sagemaker_runtime.errors import DataError

INPUT = Table(Column("x", "number", "1"))
HYPERPARAMETERS = (Hyperparameter("how", "well", "How it goes."),)
DISTRIBUTED = True


def train(job):
    how, hosts = job.hyperparameters["how"], job.cluster
    (job.model_dir / f"of_{hosts.here}.txt").write_text("42")
    names = hosts.gather(hosts.here)
    seen = [str(name) for name in names], hosts.broadcast([hosts.rank, 7.5]).tolist()
    print("seen", seen, hosts.is_leader, hosts.address)
    job.metric("hosts", len(names))
    is_last = hosts.here == hosts.hosts[-1]
    if how == "bad data" and is_last:
        raise DataError("row 7 is bad. Correct it.")
    if how == "defect" and is_last:
        raise ZeroDivisionError("by zero")
    if how == "other call" and is_last:
        hosts.barrier()
    if how == "too early" and is_last:
        return
    if how == "rounds":
        rounds = 0
        while not any(hosts.gather(job.stopping())):
            rounds += 1
            print("round", rounds, flush=True)
            time.sleep(0.02)
        print("stopped after", rounds)
    if how == "blocked":
        print("within a library", flush=True)
        ctypes.CDLL(None).sleep(600)  # in C: no signal handler and no exception gets through
    hosts.gather(np.zeros(3))


def load(model_dir): ...
def predict(model, columns): return columns["x"]
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A program folder with an algorithm that does as its hyperparameter says."""
    return assemble(tmp_path_factory.mktemp("toy") / "program", TOY)


def test_all_hosts_hear_the_same_and_the_leader_publishes(toy, tmp_path):
    """Arrays come in the order of the hosts, one model and one line of a metric come out."""
    with hosts(toy, tmp_path, (None, None, None)) as every:
        assert outcomes(every) == [ExitCode.OK] * 3
    for host in every:
        assert f"seen ({list(NAMES[:3])}, [0.0, 7.5])" in host.log
        assert host.failure == ""
    leader, *others = every
    assert "of_localhost.txt" in leader.model
    assert "of_algo-2.txt" not in leader.model
    assert [host.model for host in others] == [[], []]
    assert ["hosts=3;" in host.log for host in every] == [True, False, False]
    assert "model written" in leader.log
    assert "the model is that of the leader, localhost" in others[0].log


def test_hosts_may_be_late(toy, tmp_path):
    """
    1. the workers are started, the leader's port is closed 2. the leader is started.

    Result: they find it, and the job goes on.
    """
    with hosts(toy, tmp_path, (None, None), start=False) as (leader, other):
        other.start()
        other.await_line("this is algo-2 of the hosts localhost, algo-2")
        leader.start()
        assert outcomes([leader, other]) == [0, 0]


def test_foreign_connections_do_no_harm(toy, tmp_path):
    """
    1. the leader waits for a host 2. a scanner says nothing, others speak HTTP, lie about a length,
    name a host of another job, or a host twice 3. the host comes.

    Result: each is turned away with a line in the log, and the job goes on.
    """
    greeting = {"host": "algo-2", "hosts": ["localhost", "algo-2", "algo-3"]}
    with hosts(toy, tmp_path, (None, None), start=False) as (leader, other):
        leader.start()
        leader.await_line("this is localhost")
        calls = []
        for said in (
            b"",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            HEAD.pack(Kind.HELLO, 0, 1 << 60),
            HEAD.pack(Kind.GATHER, 1, 0),
            HEAD.pack(Kind.HELLO, 0, 2) + b"[]",
            HEAD.pack(Kind.HELLO, 0, len(body := json.dumps(greeting).encode())) + body,
        ):
            calls.append(wait_until(lambda: connected(leader.port), what="the leader's port opens"))
            calls[-1].sendall(said)
        leader.await_line("algo-2 is of a job with other hosts")
        other.start()
        assert outcomes([leader, other]) == [0, 0]
        for call in calls:
            call.close()
    assert leader.log.count("was turned away") == len(calls) - 1  # one says nothing to its end
    assert "Traceback" not in leader.log


def connected(port):
    with suppress(OSError):
        return socket.create_connection(("127.0.0.1", port), 5)
    return None


def test_a_host_that_never_comes_is_named(toy, tmp_path):
    """Those that are there end with its name, and with how long was waited."""
    environ = {"CLUSTER_JOIN_S": "2"}
    with hosts(toy, tmp_path, (None, None, None), start=False, environ=environ) as every:
        every[0].start()
        every[1].start()
        assert outcomes(every[:2]) == [ExitCode.HOST_LOST] * 2
    for host in every[:2]:
        assert "of 3 hosts 1 did not come within 2 s (algo-3)" in host.failure


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_host_ends_all(toy, tmp_path, victim):
    """
    1. two hosts are within a library, in C 2. the third, or the leader, is killed.

    Result: the others end at once, each naming it; no model is left.
    """
    with hosts(toy, tmp_path, (None, None, None), how="blocked") as every:
        for host in every:
            host.await_line("within a library")
        every[victim].send(signal.SIGKILL)
        left = [host for host in every if host is not every[victim]]
        assert outcomes(left, timeout=15) == [ExitCode.HOST_LOST] * 2
    for host in left:
        assert host.failure.startswith(f"the host {every[victim].name} ended without a word")
        assert host.model == []


def test_a_host_that_hangs_ends_all(toy, tmp_path):
    """
    1. three hosts train 2. a worker, and in another job the leader, is stopped by SIGSTOP.

    Result: the others end within a minute and name it; so does the stopped one when it goes on.
    """
    with (
        hosts(toy, tmp_path / "1", (None, None, None), how="rounds") as first,
        hosts(toy, tmp_path / "2", (None, None, None), how="blocked") as second,
    ):
        jobs = ((first, 1, "round 5"), (second, 0, "within a library"))
        for every, victim, words in jobs:
            for host in every:
                host.await_line(words)
            every[victim].send(signal.SIGSTOP)
        for every, victim, _ in jobs:
            left = [host for host in every if host is not every[victim]]
            assert outcomes(left, timeout=60) == [ExitCode.HOST_LOST] * 2
            for host in left:
                name = every[victim].name
                assert host.failure.startswith(f"the host {name} was not heard from for 20 s")
        first[1].send(signal.SIGCONT)
        assert first[1].wait() == ExitCode.HOST_LOST
        assert first[1].failure.startswith("the host algo-2 was not heard from for 20 s")


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        ("bad data", ExitCode.BAD_DATA, "row 7 is bad. Correct it."),
        ("defect", ExitCode.UNEXPECTED, "ZeroDivisionError: by zero (a defect"),
    ],
)
def test_the_reason_of_one_host_is_that_of_all(toy, tmp_path, how, code, reason):
    """What is wrong with one host's data stands in each host's failure file, with its name."""
    with hosts(toy, tmp_path, (None, None, None), how=how) as every:
        assert outcomes(every) == [ExitCode.HOST_LOST, ExitCode.HOST_LOST, code]
    assert every[2].failure.startswith(reason)
    for host in every[:2]:
        assert host.failure.startswith(f"the host algo-3 failed: {reason}")


@pytest.mark.parametrize("how", ["other call", "too early"])
def test_calls_that_do_not_match_are_a_defect_of_the_algorithm(toy, tmp_path, how):
    """A host that leaves a call out, or makes another, does not let the others wait for ever."""
    with hosts(toy, tmp_path, (None, None), how=how) as every:
        codes = outcomes(every)
    assert ExitCode.BAD_ALGORITHM in codes
    assert all(codes)
    assert "every host must make the same calls of job.cluster in the same order" in "".join(
        host.failure for host in every
    )


@pytest.mark.parametrize("asked", [0, 2])
def test_sigterm_to_one_host_stops_all_in_the_same_round(toy, tmp_path, asked):
    """
    1. three hosts train in rounds 2. SIGTERM reaches one of them.

    Result: all stop after the same round, with a model.
    """
    with hosts(toy, tmp_path, (None, None, None), how="rounds") as every:
        every[asked].await_line("round 5")
        every[asked].send(signal.SIGTERM)
        assert outcomes(every) == [0, 0, 0]
    rounds = {host.log.partition("stopped after ")[2].split()[0] for host in every}
    assert len(rounds) == 1
    assert "of_localhost.txt" in every[0].model


def test_a_job_on_several_hosts_is_refused_by_an_algorithm_for_one(tmp_path):
    """Without DISTRIBUTED each host says so before it reads data or waits for another."""
    program = assemble(tmp_path / "program", TOY.replace("DISTRIBUTED = True", ""))
    with hosts(program, tmp_path / "job", (None, None)) as every:
        assert outcomes(every) == [ExitCode.BAD_DATA] * 2
    for host in every:
        assert "2 hosts (localhost, algo-2), and toy trains on one only" in host.failure
        assert "instance_count=1" in host.failure
