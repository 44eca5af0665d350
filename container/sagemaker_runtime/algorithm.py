"""
The seam: what a package beside ``sagemaker_runtime`` provides to be trained and served.

Write a package with five names in its ``__init__.py`` and put it where ``taxi_fare`` is::

    from sagemaker_runtime.algorithm import Column, Columns, Hyperparameter, Schema, TrainingJob

    SCHEMA = Schema(features=(Column("size", "number", example="3.5"),))
    HYPERPARAMETERS = (Hyperparameter("rounds", 100, "Boosting rounds.", minimum=1),)

    def train(job: TrainingJob) -> None:
        '''Read job.channel("training"), write the model's files into job.model_dir.'''

    def load(model_dir: Path) -> Any:
        '''Read those files; whatever is returned is handed to predict.'''

    def predict(model: Any, columns: Columns) -> np.ndarray:
        '''Return one prediction per row, in order: shape (n,) or (n, outputs).'''

Import heavy training libraries inside ``train``: serving starts faster and smaller without them.
Raise ``errors.DataError`` from ``train`` for data a user must mend, ``errors.ModelError`` from
``load`` for an archive that cannot be served; the message should say what to do.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np

from sagemaker_runtime.errors import AlgorithmError, DataError
from sagemaker_runtime.paths import PROGRAM

# Arrays of equal length by column name: "number" is float64 with NaN for a missing value,
# "timestamp" is datetime64[s] with NaT, "text" is an object array of str with "".
Columns = dict[str, np.ndarray]
Value = str | int | float | bool

NAMES = ("SCHEMA", "HYPERPARAMETERS", "train", "load", "predict")


@dataclass(frozen=True)
class Column:
    """
    One column; ``example`` is written as in a CSV file, quoted in error messages and, for a
    feature, predicted by the self-test.
    """

    name: str
    kind: Literal["number", "timestamp", "text"]
    example: str
    optional: bool = False


@dataclass(frozen=True, eq=False)  # one of a kind: what is known of it is found by identity
class Schema:
    """
    The columns of a request: ``features`` reach ``predict``; ``ignored`` ones, such as a key or
    the label, may be sent too. Without a header, ignored columns stand first, in this order.
    """

    features: tuple[Column, ...]
    ignored: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Hyperparameter:
    """
    One hyperparameter; its type is the default's type.
    """

    name: str
    default: Value
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingJob:
    """
    What ``train`` is given.

    ``hyperparameters`` holds every declared name, typed. ``channels`` maps each channel's name to
    its folder. Files in ``model_dir`` reach the model archive only, and all at once, after
    ``train`` returns; files in ``output_dir`` reach output.tar.gz. ``metric(name, value)`` prints
    the line that SageMaker's metric definitions catch. ``stopping()`` turns true when the platform
    asks the job to end: return soon, with a valid model or by raising ``errors.Stopped``.
    """

    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Path]
    model_dir: Path
    output_dir: Path
    metric: Callable[[str, float], None]
    stopping: Callable[[], bool]

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


class Algorithm(Protocol):
    """
    The five names as a type; a package (module) satisfies it.
    """

    SCHEMA: Schema
    HYPERPARAMETERS: Sequence[Hyperparameter]

    def train(self, job: TrainingJob) -> None: ...
    def load(self, model_dir: Path) -> Any: ...
    def predict(self, model: Any, columns: Columns) -> np.ndarray: ...


def find_algorithm(program: Path = PROGRAM) -> Algorithm:
    """
    Import the one package that stands beside ``sagemaker_runtime``.

    Raises AlgorithmError when there is none or more than one, or when a name is missing.
    """
    found = sorted(
        init.parent.name
        for init in program.glob("*/__init__.py")
        if init.parent.name != Path(__file__).parent.name
    )
    if len(found) != 1:
        raise AlgorithmError(
            f"{program} holds {len(found)} algorithm packages ({', '.join(found) or 'none'}); "
            "expected exactly one folder with an __init__.py beside sagemaker_runtime, "
            "such as taxi_fare/. Remove the others or add yours."
        )
    if str(program) not in sys.path:
        sys.path.insert(0, str(program))
    try:
        module = import_module(found[0])
    except ModuleNotFoundError as error:
        raise AlgorithmError(
            f"{found[0]} imports {error.name}, which is not installed; add it to requirements.in, "
            "lock it as the file's first lines say, and build the image again."
        ) from error
    missing = [name for name in NAMES if not hasattr(module, name)]
    if missing:
        raise AlgorithmError(
            f"{found[0]}/__init__.py lacks {', '.join(missing)}; "
            f"an algorithm provides {', '.join(NAMES)} (see sagemaker_runtime/algorithm.py)."
        )
    return cast(Algorithm, module)
