"""What hosts send each other: arrays and nothing that could be run, within bounds."""

import socket
import threading
from time import monotonic

import numpy as np
import pytest

from sagemaker_runtime.errors import AlgorithmError, HostLost, SettingError
from sagemaker_runtime.training import cluster_messages as messages
from sagemaker_runtime.training.cluster import Cluster
from sagemaker_runtime.training.cluster_link import Link
from sagemaker_runtime.training.cluster_meeting import Place
from sagemaker_runtime.training.cluster_messages import HEAD, Foreign, Kind, Message
from sagemaker_runtime.training.cluster_watch import Times, Watch, words
from sagemaker_runtime.training.resource_config import Resources


@pytest.fixture
def ends():
    """Two ends of a connection."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3),
        np.zeros((0, 19), np.float32),
        np.array(["algo-1", "ä"]),
        np.array("2014-02-25T12:17", "datetime64[s]"),
        True,
        7,
    ],
)
def test_an_array_arrives_as_it_was(value):
    """Its kind and its shape come back, of an empty one too."""
    found = messages.to_array(messages.from_array(value))
    np.testing.assert_array_equal(found, value)
    assert found.dtype == np.asarray(value).dtype


def test_objects_are_not_sent():
    """What would have to be pickled is refused with what to hand in instead."""
    with pytest.raises(AlgorithmError, match=r"array of objects \(list\).*such as np.array"):
        messages.from_array([{"a": 1}, None])


def test_a_pickle_that_arrives_is_not_loaded(tmp_path):
    """An array file with objects inside is refused, whoever sent it."""
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        messages.to_array((tmp_path / "a.npy").read_bytes())


def test_what_is_too_large_is_not_sent(monkeypatch):
    """The bound is stated, and what to send instead."""
    monkeypatch.setattr(messages, "PART_LIMIT", 100)
    with pytest.raises(AlgorithmError, match=r"104 bytes.*at most 100.*a sample of the rows"):
        messages.from_array(np.zeros(13))


def test_large_messages_arrive_whole(ends):
    """A body of several chunks is put together again."""
    body = np.random.default_rng(0).bytes(3 * messages.CHUNK + 5)
    sender = threading.Thread(target=messages.send, args=(ends[0], Message(Kind.GATHER, 3, body)))
    sender.start()
    assert messages.receive(ends[1], len(body)) == (Kind.GATHER, 3, body)
    sender.join()


@pytest.mark.parametrize(
    "said", [HEAD.pack(200, 0, 0), HEAD.pack(Kind.GATHER, 0, 101), b"GET / HTTP/1.1"]
)
def test_what_is_no_message_is_foreign(ends, said):
    """Another protocol, or more bytes than are allowed, is noticed at the head."""
    ends[0].sendall(said)
    with pytest.raises(Foreign):
        messages.receive(ends[1], 100)


def test_last_words_count_more_than_a_closed_connection(monkeypatch):
    """A host to which nothing can be sent may have said which one was lost before it went."""
    failed, receive, send = threading.Event(), messages.receive, messages.send

    def late(*arguments):
        failed.wait(10)
        return receive(*arguments)

    def noticed(*arguments):
        try:
            send(*arguments)
        except OSError:
            failed.set()
            raise

    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    send(far, Message(Kind.LOST, body=words("algo-3", "hangs")))
    far.close()
    monkeypatch.setattr(messages, "receive", late)
    monkeypatch.setattr(messages, "send", noticed)
    watch = Watch(lambda error: None, [], Times())
    link = Link(near, "algo-1", watch, 100)

    def send_on():  # the first messages may leave before the end is noticed
        for number in range(100):
            link.send(Message(Kind.BARRIER, number))

    with pytest.raises(HostLost, match="the host algo-3 hangs"):
        send_on()
    link.hang_up()
    link.close(monotonic() + 5)


@pytest.mark.parametrize("body", [b"", b"\0" * 15, messages.joined([b"a"]) * 2])
def test_parts_of_another_size_are_foreign(body):
    """Sizes that do not add up to the body are not followed."""
    with pytest.raises(Foreign):
        messages.parted(body, 2)


def test_one_host_asks_nobody():
    """On one host each call gives back what it was given."""
    for cluster in (Cluster(), Cluster(Resources(("a",), "a"))):
        assert cluster.is_leader
        assert cluster.rank == 0
        assert cluster.address == "127.0.0.1"
        assert [each.tolist() for each in cluster.gather([1, 2])] == [[1, 2]]
        assert cluster.broadcast(5) == 5
        cluster.barrier()
        cluster.check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLUSTER_PORT", "0"),
        ("CLUSTER_PORT", "70000"),
        ("CLUSTER_PORT", "7070.5"),
        ("CLUSTER_PORT", "http"),
        ("CLUSTER_JOIN_S", "nan"),
        ("CLUSTER_JOIN_S", "-1"),
    ],
)
def test_another_meeting_place_is_refused(name, value):
    """The variable, its value and the range are named."""
    with pytest.raises(SettingError, match=f"{name} is '{value}'; expected a number from"):
        Place.from_environ({name: value})


def test_the_meeting_place_has_defaults():
    """An empty variable is one that is not set."""
    assert Place.from_environ({"CLUSTER_PORT": ""}) == Place(7070, 900)
    assert Place.from_environ({"CLUSTER_PORT": "7100", "CLUSTER_JOIN_S": "2.5"}) == Place(7100, 2.5)
