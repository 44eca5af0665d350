"""
The hosts of a job, and what they tell each other.

Each worker has one connection to the leader, the first host. Over it go small arrays, signs of life
and the name of a host that is lost; large data go over whatever the algorithm's library brings.
"""

import socket
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from time import monotonic

import numpy as np
from numpy.typing import ArrayLike

from sagemaker_runtime.errors import HostLost, JobError, Stopped
from sagemaker_runtime.training import cluster_meeting as meeting
from sagemaker_runtime.training import cluster_messages as messages
from sagemaker_runtime.training import cluster_watch, failure
from sagemaker_runtime.training.cluster_link import Link
from sagemaker_runtime.training.cluster_messages import Kind, Message
from sagemaker_runtime.training.cluster_watch import Times, Watch
from sagemaker_runtime.training.resource_config import Resources

# Seconds for which a worker outlasts the leader: where the first container that ends stops all
# others, as in the SDK's local mode, none may end before the leader.
OUTLAST_S = 30.0


class Cluster:
    """
    The hosts of a job: ``hosts`` in the platform's order, ``here`` this one's name.

    ``gather``, ``broadcast`` and ``barrier`` are calls that every host makes, in the same order and
    from one thread; each returns when all hosts have made it. On one host they return what they
    were given. They raise HostLost when a host dies, hangs or fails, after which this one ends too.
    """

    def __init__(self, resources: Resources | None = None) -> None:
        self.resources = resources or Resources()
        self.hosts = self.resources.hosts
        self.here = self.resources.current_host
        self._links: list[Link] = []  # the leader's in the order of the hosts
        self._calls = 0

    @property
    def is_leader(self) -> bool:
        """
        Tell whether this is the first host, whose files become the model.
        """
        return len(self.hosts) == 1 or self.here == self.hosts[0]

    @property
    def rank(self) -> int:
        """
        The place of this host among the hosts, from 0.
        """
        return self.hosts.index(self.here) if len(self.hosts) > 1 else 0

    @property
    def address(self) -> str:
        """
        The IPv4 address at which the other hosts reach this one.
        """
        return self._links[0].address if self._links else "127.0.0.1"

    def gather(self, value: ArrayLike) -> list[np.ndarray]:
        """
        Return the array of each host, in the order of the hosts, to all of them.

        Shapes and kinds may differ. ``any(job.cluster.gather(job.stopping()))`` lets all hosts stop
        in the same round, ``sum(job.cluster.gather(counts))`` adds up.
        """
        if not self._links:
            return [np.asanyarray(value)]
        return [messages.to_array(part) for part in self._call(Kind.GATHER, value)]

    def broadcast(self, value: ArrayLike | None) -> np.ndarray:
        """
        Return the leader's array to all hosts; what the others hand in is not looked at.
        """
        if not self._links:
            return np.asanyarray(value)
        parts = self._call(Kind.BROADCAST, value if self.is_leader else 0)
        return messages.to_array(parts[0])

    def barrier(self) -> None:
        """
        Return when all hosts are here.
        """
        if self._links:
            self._call(Kind.BARRIER, 0)

    def check(self) -> None:
        """
        Raise HostLost when a host is lost: for loops that wait for something else.
        """
        for link in self._links:
            link.check()

    def await_all(self) -> None:
        """
        Return when every host has trained.
        """
        if self._links:
            self._call(Kind.TRAINED, 0)

    def await_published(self) -> None:
        """
        The leader has published the model: tell the others, or wait to be told.
        """
        if self._links:
            self._call(Kind.PUBLISHED, 0)

    def _call(self, kind: Kind, value: ArrayLike | None) -> list[memoryview]:
        self._calls += 1
        part = messages.from_array(0 if value is None else value)
        if not self.is_leader:
            (leader,) = self._links
            leader.send(Message(kind, self._calls, part))
            return messages.parted(leader.receive(kind, self._calls), len(self.hosts))
        parts = [part, *(link.receive(kind, self._calls) for link in self._links)]
        body = messages.joined(parts)
        for link in self._links:
            link.send(Message(kind, self._calls, body))
        return [memoryview(each) for each in parts]


@contextmanager
def met(
    resources: Resources,
    environ: Mapping[str, str],
    stops: MutableSequence[float],
    end: Callable[[HostLost], None],
    times: Times | None = None,
) -> Iterator[Cluster]:
    """
    Hand out the cluster once all hosts have met; tell the others when an error ends this one.

    ``end(error)`` is called in a thread when a host is lost and the block has not ended by itself:
    it must end the process. Raises what cluster_meeting does, Stopped when SIGTERM comes before all
    hosts are there, and HostLost in place of an error that the loss of a host has caused.
    """
    cluster = Cluster(resources)
    if len(cluster.hosts) == 1:
        yield cluster
        return
    watch = Watch(end, stops, times or Times())
    place = meeting.Place.from_environ(environ)
    try:
        _meet(cluster, place, watch)
        yield cluster
    except BaseException as error:
        _part(cluster, watch, error)
        raise
    watch.over()
    if not cluster.is_leader:
        (leader,) = cluster._links
        leader.await_end(monotonic() + OUTLAST_S)
        leader.hang_up()
        leader.close(monotonic() + watch.times.farewell)
    # The leader's connections end with its process, by which the others know that it has ended.


def _meet(cluster: Cluster, place: meeting.Place, watch: Watch) -> None:
    began = monotonic()
    links: dict[str, Link] = {}
    limit = messages.PART_LIMIT + messages.WORDS_LIMIT

    def tell(words: bytes) -> None:
        if cluster.is_leader:
            for link in list(links.values()):
                link.say_last(words)

    def check() -> None:
        watch.check()
        if watch.stops:
            raise Stopped("the job was asked to stop before all of its hosts were there.")

    watch.tell = tell
    print(f"this is {cluster.here} of the hosts {', '.join(cluster.hosts)}", flush=True)
    try:
        if cluster.is_leader:

            def admit(name: str, connection: socket.socket) -> None:
                links[name] = Link(connection, name, watch, limit)

            meeting.Door(cluster.hosts, place, admit).stand_open(check)
        else:
            connection = meeting.knock(cluster.hosts, cluster.here, place, check)
            leader = cluster.hosts[0]
            links[leader] = Link(connection, leader, watch, limit * len(cluster.hosts))
    finally:
        cluster._links = [links[name] for name in cluster.hosts if name in links]
    cluster._call(Kind.START, 0)
    print(f"all {len(cluster.hosts)} hosts are there ({monotonic() - began:.1f} s)", flush=True)


def _part(cluster: Cluster, watch: Watch, error: BaseException) -> None:
    """
    Tell the other hosts why this one ends; raises HostLost in place of a library's error when one
    of them was the cause.
    """
    lost = watch.lost
    if lost is None and not isinstance(error, JobError):
        # A library's error may come before the news that the host it talked to is dead.
        lost = watch.wait(watch.times.farewell)
    watch.over()
    if lost is None:
        reason, _ = failure.explain(error)
        for link in cluster._links:
            link.say_last(cluster_watch.words(cluster.here, f"failed: {reason}"))
    until = monotonic() + watch.times.farewell
    for link in cluster._links:
        link.hang_up()
    for link in cluster._links:
        link.close(until)
    if lost is not None and not isinstance(error, JobError):
        raise lost from error
