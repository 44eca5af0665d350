"""
What an algorithm's ``train`` is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_runtime.errors import DataError
from sagemaker_runtime.training.cluster import Cluster


@dataclass(frozen=True)
class TrainingJob:
    """
    A training job.

    ``hyperparameters`` holds every declared name, typed; with ``HYPERPARAMETERS = None`` those that
    the job was given, as text. ``platform_hyperparameters`` holds what tuning jobs and AWS's SDKs
    add to them (``_tuning_…``, ``sagemaker_…``), as text. ``channels`` maps each channel's name to
    its folder. Files in ``model_dir`` reach the model archive only, and all at once, after
    ``train`` returns and the model has answered the example of ``INPUT``; files in ``output_dir``
    reach output.tar.gz. ``metric(name, value)`` prints the line that SageMaker's metric definitions
    catch. ``stopping()`` turns true when the platform asks the job to end: return soon, with a
    valid model or by raising ``errors.Stopped``. ``cluster`` names the job's hosts.
    """

    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Path]
    model_dir: Path
    output_dir: Path
    metric: Callable[[str, float], None]
    stopping: Callable[[], bool]
    platform_hyperparameters: Mapping[str, str] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=Cluster)

    def channel(self, name: str) -> Path:
        """
        Return the folder of a channel that the algorithm cannot do without.

        Raises DataError when the job has no such channel.
        """
        if name not in self.channels:
            raise DataError(
                f"the job has no channel {name!r}; it has: {', '.join(self.channels) or 'none'}. "
                f'Give it one: fit({{"{name}": "s3://bucket/folder/"}}).'
            )
        return self.channels[name]
