"""
Training on several hosts.
"""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from conformance.engine import Container, wait_for
from conformance.jobs import Job
from conformance.opt_ml import Tree
from conformance.verdicts import Area, Failed, NotOffered

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("several hosts")

HOSTS = ["algo-1", "algo-2"]


@area.check(
    "two-hosts",
    "A job on two hosts leaves one model whose files do not clash, or is refused.",
    consequence="Each host trains its own model on its part of the data; the archive holds "
    "whichever came last.",
    remedy="Train together and save on one host (resourceconfig.json names both), or fail with a "
    "reason when there is more than one.",
)
def two_hosts(lab: "Lab") -> str:
    lab.jobs.need_trained()
    trees = {host: lab.jobs.tree(host) for host in HOSTS}
    sharded = _shard(list(trees.values()))
    distribution = "ShardedByS3Key" if sharded else "FullyReplicated"
    network = lab.engine.network("hosts", isolated=True)
    with ExitStack() as stack:
        started: dict[str, Container] = {}
        for host, tree in trees.items():
            tree.real_hosts(HOSTS, host)
            tree.inputs(lab.jobs.data, S3DistributionType=distribution)
            options = ("--hostname", host, "--network-alias", host)
            started[host] = stack.enter_context(lab.jobs.running(tree, network, options))
        # A host that fails ends the job on all of them.
        wait_for(lambda: not all(one.running for one in started.values()), lab.jobs.patience)
        jobs = {
            host: lab.jobs.finish(container, trees[host], network, lab.jobs.patience)
            for host, container in started.items()
        }
    return _judge(jobs, distribution)


def _shard(trees: list[Tree]) -> bool:
    """
    Leave each tree some of the files of each channel; False where a channel has too few.
    """
    files = {channel: trees[0].files(trees[0].data / channel) for channel in trees[0].channels}
    if any(len(names) < len(trees) for names in files.values()):
        return False
    for channel, names in files.items():
        for number, tree in enumerate(trees):
            for name in names:
                if names.index(name) % len(trees) != number:
                    (tree.data / channel / name).unlink()
    return True


def _judge(jobs: dict[str, Job], distribution: str) -> str:
    said = "; ".join(f"{host}: {job}" for host, job in jobs.items())
    if any(job.exit_code is None for job in jobs.values()):
        raise Failed(said)
    left = any(job.files for job in jobs.values())
    if all(job.exit_code != 0 and job.tree.failure() for job in jobs.values()) and not left:
        raise NotOffered(f"refused: {jobs[HOSTS[0]]}")
    if not all(job.exit_code == 0 for job in jobs.values()):
        raise Failed(said)
    both = set(jobs[HOSTS[0]].files) & set(jobs[HOSTS[1]].files)
    if both:
        raise Failed(f"both hosts wrote {', '.join(sorted(both)[:4])}")
    files = [f"{host}: {', '.join(job.files[:3]) or 'none'}" for host, job in jobs.items()]
    if not left:
        raise Failed(f"no host wrote a model: {said}")
    return f"{distribution}; model files: {'; '.join(files)}"
