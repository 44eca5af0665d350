"""
Which rows of a channel a host takes, where each of several hosts was given all of them.
"""

from collections.abc import Sequence
from pathlib import Path

from sagemaker_runtime.training.cluster import Cluster

# With as many for each host, whole files are shared out, so that none reads what others take; with
# fewer, the hosts take turns within the files, as one file may be larger than all others.
FILES_EACH = 8


class Share:
    """
    Every ``of``-th piece from ``number`` on, of pieces that all hosts see in the same order.

    With ``may_be_empty`` a host without rows is none to complain of: others have them.
    """

    def __init__(self, number: int = 0, of: int = 1, *, may_be_empty: bool = False) -> None:
        self.number = number
        self.of = of
        self.may_be_empty = may_be_empty or of > 1
        self._next = 0

    @classmethod
    def of_host(cls, cluster: Cluster, distribution: str) -> "Share":
        """
        Return the share of this host: all that it has, where the platform has shared out the files.
        """
        hosts = len(cluster.hosts)
        if distribution == "ShardedByS3Key":
            return cls(may_be_empty=hosts > 1)
        return cls(cluster.rank, hosts)

    def takes(self) -> bool:
        """
        Tell whether the next piece is this host's.
        """
        place, self._next = self._next, self._next + 1
        return place % self.of == self.number

    def files(self, paths: Sequence[Path]) -> list[Path]:
        """
        Return the host's own of many files, in order, about as many bytes for each host; of few
        files all, to take turns within.
        """
        if self.of == 1 or len(paths) < FILES_EACH * self.of:
            return list(paths)
        bytes_of = [0] * self.of
        own = []
        sizes = {path: path.stat().st_size for path in paths}
        for path in sorted(paths, key=lambda path: (-sizes[path], path)):
            host = bytes_of.index(min(bytes_of))
            bytes_of[host] += sizes[path]
            if host == self.number:
                own.append(path)
        self.of, self.number = 1, 0
        return sorted(own)
