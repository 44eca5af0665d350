"""
Runs training jobs.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.engine import Container, not_executed
from conformance.once import Memory, once
from conformance.opt_ml import TrainingData, Tree
from conformance.verdicts import NotOffered, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

VARIABLES = {
    "TRAINING_JOB_NAME": "conformance",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/conformance",
}


@dataclass(frozen=True)
class Job:
    """
    A job that has ended; without an exit code it was still running at the limit.
    """

    tree: Tree
    exit_code: int | None
    not_executed: str
    seconds: float
    log: str
    network: str

    @property
    def files(self) -> list[str]:
        """
        The names of the model's files.
        """
        return self.tree.files(self.tree.model)

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0 and bool(self.files) and self.tree.failure() is None

    def __str__(self) -> str:
        ended = "still running" if self.exit_code is None else f"exit code {self.exit_code}"
        failure = self.tree.failure()
        last = (self.log.strip().splitlines() or ["nothing"])[-1]
        words = f"no failure file, last line {last[:200]!r}"
        if failure is not None:
            words = f"failure file {failure[:200].strip()!r}"
        return (
            f"{self.not_executed or ended} after {self.seconds:.1f} s, "
            f"{len(self.files)} files in model/, {words}"
        )


class Jobs(Memory):
    """
    The jobs of one image.
    """

    def __init__(self, lab: "Lab") -> None:
        super().__init__()
        self._lab = lab

    @property
    def data(self) -> TrainingData:
        """
        The data that were given; raises NotTried.
        """
        if self._lab.given.training is None:
            raise NotTried("there is nothing to train on; give data: --training DIR")
        return self._lab.given.training

    def tree(self, name: str) -> Tree:
        """
        Make a tree of the data that were given.
        """
        return Tree(self._lab.new_folder(name), self.data)

    @contextmanager
    def running(
        self, tree: Tree, network: str = "none", options: tuple[str, ...] = ()
    ) -> Iterator[Container]:
        """
        Start a job and remove it afterwards; what it wrote belongs to the caller then.
        """
        options = ("--network", network, *options, *tree.mounts())
        options = (*options, *self._lab.environment(VARIABLES))
        try:
            with self._lab.engine.container(self._lab.image, "train", options=options) as started:
                yield started
        finally:
            self._lab.hand_back(tree.root)

    def train(self, tree: Tree, network: str = "none", seconds: float | None = None) -> Job:
        """
        Run a job until it ends.
        """
        with self.running(tree, network) as container:
            return self.finish(container, tree, network, seconds or self._lab.limits.training)

    def finish(self, container: Container, tree: Tree, network: str, seconds: float) -> Job:
        """
        Wait for a job's end.
        """
        started = time.monotonic()
        ended = container.wait(seconds) is not None
        code = container.exit_code if ended else None
        took = time.monotonic() - started
        return Job(tree, code, not_executed(container), took, container.log(), network)

    def train_again(self, tree: Tree) -> Job:
        """
        Run a job that should take as long as the first one.
        """
        self.need_trained()
        return self.train(tree, self.trained.network, self.patience)

    @property
    def patience(self) -> float:
        """
        How long a job that is like the first one may take, which ran alone: beside two other checks
        jobs of several threads took ten times as long on two busy processors.
        """
        return min(self._lab.limits.training, max(60.0, 30 * self.trained.seconds))

    @once
    def trained(self) -> Job:
        """The job as it comes, without a network if it does without."""
        job = self.train(self.tree("trained"))
        if job.exit_code and not job.not_executed:
            online = self.train(self.tree("trained-online"), "bridge")
            if online.exit_code == 0:
                return online
        return job

    def need_trained(self) -> None:
        """
        Raise NotTried unless the plain job left a model.
        """
        if not self.trained.succeeded:
            raise NotTried("the plain job does not leave a model: see train-completes")

    @once
    def without_data(self) -> Job:
        """A job whose channels are empty."""
        tree = self._likely_to_fail()
        for channel in tree.channels:
            shutil.rmtree(tree.data / channel)
            (tree.data / channel).mkdir()
        return self._fail(tree)

    @once
    def failing(self) -> Job:
        """A job that cannot succeed: no data, else hyperparameters that are not JSON."""
        if not self.without_data.succeeded:
            return self.without_data
        tree = self._likely_to_fail()
        tree.write("hyperparameters.json", '{"a": "1"')
        job = self._fail(tree)
        if job.succeeded:
            raise NotOffered("it trains without data, and with hyperparameters that are not JSON")
        return job

    def _likely_to_fail(self) -> Tree:
        data = self._lab.given.training or TrainingData({})
        return Tree(self._lab.new_folder("failing"), data)

    def _fail(self, tree: Tree) -> Job:
        network = self.trained.network if self._lab.given.training else "none"
        job = self.train(tree, network, 120)
        if job.not_executed:
            raise NotTried("it cannot be started: see train-starts")
        return job
