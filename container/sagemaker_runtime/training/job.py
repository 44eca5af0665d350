"""
What an algorithm's ``train`` is given.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_runtime.baseline.seen import Seen
from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table
from sagemaker_runtime.training.channels import Channels
from sagemaker_runtime.training.checkpoints import Checkpoints
from sagemaker_runtime.training.cluster import Cluster
from sagemaker_runtime.training.shares import Share


@dataclass(frozen=True)
class TrainingJob:
    """
    A training job.

    ``hyperparameters`` holds every declared name, typed; with ``HYPERPARAMETERS = None`` those that
    the job was given, as text. ``platform_hyperparameters`` holds what tuning jobs and AWS's SDKs
    add to them (``_tuning_…``, ``sagemaker_…``), as text. ``channels`` maps each channel's name to
    a Channel: ``files()``, ``open()``, ``records()``. Files in ``model_dir`` reach the model
    archive only, and all at once, after ``train`` returns and the model has answered the example of
    ``INPUT``; files in ``output_dir`` reach output.tar.gz. ``metric(name, value)`` prints the line
    that SageMaker's metric definitions catch. ``stopping()`` turns true when the platform asks the
    job to end: return soon, with a valid model or by raising ``errors.Stopped``. Of a model with
    less than was asked for, say so by ``partial("37 of 150 rounds")``, which reaches its
    metadata.json. ``checkpoints`` keeps what a later start continues from. ``cluster`` has the
    job's hosts and what they tell each other; on several, the leader's ``model_dir`` and metrics
    are what counts. ``input`` is the algorithm's INPUT, whose columns ``rows`` reads; ``seen``
    notes how their values are distributed, which is stored beside the model in baseline.json.
    ``seen.use(columns)`` says that it is trained on these rows instead, ``seen.judge(columns,
    predicted)`` what it predicts for rows, label included, that it was not trained on.
    """

    hyperparameters: Mapping[str, Any]
    channels: Channels
    model_dir: Path
    output_dir: Path
    metric: Callable[[str, float], None]
    stopping: Callable[[], bool]
    platform_hyperparameters: Mapping[str, str] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=Cluster)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    partial: Callable[[str], None] = print
    input: object = None
    seen: Seen = field(default_factory=Seen)

    def rows(self, name: str) -> Iterator[Columns]:
        """
        Read the rows of a channel, from CSV, gzipped CSV and Parquet: the label and the features of
        INPUT, some rows at a time; ``formats.columns.join`` puts the pieces together. In Pipe mode
        each call reads the stream of the next epoch. On several hosts each gets its own rows,
        whichever way the platform gives out the files; one may get none.

        Raises DataError when the job has no such channel, or with file, row, column and value of
        what is wrong in its files; AlgorithmError when INPUT is not a Table.
        """
        if not isinstance(self.input, Table):
            raise AlgorithmError(
                f"job.rows reads the columns of a Table, and INPUT is {type(self.input).__name__}; "
                f'read job.channels["{name}"].files() or .open() instead.'
            )
        from sagemaker_runtime.training import tables  # pyarrow, which serving does without

        channel = self.channels[name]
        share = Share.of_host(self.cluster, channel.distribution)
        return self.seen.watch(tables.read(channel, self.input, share))
