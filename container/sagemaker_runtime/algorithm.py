"""
The seam: what a package beside ``sagemaker_runtime`` provides to be trained and served.

Write a package with these names in its ``__init__.py`` and put it where ``taxi_fare`` is::

    from sagemaker_runtime.algorithm import Column, Columns, Hyperparameter, Table, TrainingJob

    INPUT = Table(Column("size", "number", example="3.5"), label=Column("price", "number", "9.5"))
    HYPERPARAMETERS = (Hyperparameter("rounds", 100, "Boosting rounds.", minimum=1),)

    def train(job: TrainingJob) -> None:
        '''Read job.channel("training"), write the model's files into job.model_dir.'''

    def load(model_dir: Path) -> Any:
        '''Read those files; whatever is returned is handed to predict.'''

    def predict(model: Any, columns: Columns) -> np.ndarray:
        '''Return one prediction per row, in order: shape (n,) or (n, outputs).'''

``INPUT`` is a Reader, ``OUTPUT`` a Writer; without it, answers are ``Rows()``. With
``HYPERPARAMETERS = None`` every hyperparameter is passed through as text; ``ENTRY_POINT = True``
says that ``train`` runs the code of a job that brings its own (``Estimator(entry_point=...)``).

Import heavy training libraries inside ``train``: serving starts faster and smaller without them.
Raise ``errors.DataError`` from ``train`` for data a user must fix, ``errors.ModelError`` from
``load`` for an archive that cannot be served; the message should say what to do.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.rows import Rows
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.table import Table
from sagemaker_runtime.paths import PROGRAM
from sagemaker_runtime.training.hyperparameters import Hyperparameter
from sagemaker_runtime.training.job import TrainingJob

__all__ = [
    "Algorithm",
    "Column",
    "Columns",
    "Hyperparameter",
    "Reader",
    "Rows",
    "Table",
    "TrainingJob",
    "Writer",
    "find_algorithm",
]

NAMES = ("INPUT", "HYPERPARAMETERS", "train", "load", "predict")


class Reader(Protocol):
    """
    What reads requests for ``predict``.
    """

    @property
    def media_types(self) -> Sequence[str]:
        """
        The Content-Types that are read, in lower case, the usual one first.
        """

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[Any]:
        """
        Yield what ``predict`` is given, in as many pieces as the body is better read in.

        ``charset`` is the Content-Type's, in lower case, utf-8 without one. Raises RequestError
        for a body that the caller must change.
        """

    def count(self, piece: Any) -> int | None:
        """
        Return how many rows a piece has, None when it is not made of rows.
        """

    def example(self, rows: int = 1) -> tuple[str, bytes] | None:
        """
        Return the Content-Type and the body of a good request, with this number of rows where it
        has rows: what the self-test sends. None: there is nothing to send.
        """


class Writer(Protocol):
    """
    What writes answers from what ``predict`` returns.
    """

    @property
    def media_types(self) -> Sequence[str]:
        """
        The media types that can be written, in lower case, the default first.
        """

    def write(
        self, predictions: Sequence[tuple[Any, int | None]], media_type: str
    ) -> bytes | Iterator[bytes]:
        """
        Write an answer from what ``predict`` returned for each piece of the body, beside the
        number of the piece's rows; an iterator is sent as it comes.

        Raises AlgorithmError for what cannot be written.
        """


@dataclass(frozen=True)
class Algorithm:
    """
    What a package provides, by the names in NAMES, and its own name.
    """

    name: str
    input: Reader
    output: Writer
    hyperparameters: Sequence[Hyperparameter] | None
    train: Callable[[TrainingJob], None]
    load: Callable[[Path], Any]
    predict: Callable[[Any, Any], Any]
    entry_point: bool = False


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
    name = found[0]
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise AlgorithmError(
            f"{name} imports {error.name}, which is not installed; add it to requirements.in, "
            "lock it as the file's first lines say, and build the image again."
        ) from error
    missing = [each for each in NAMES if not hasattr(module, each)]
    if missing:
        raise AlgorithmError(
            f"{name}/__init__.py lacks {', '.join(missing)}; "
            f"an algorithm provides {', '.join(NAMES)} (see sagemaker_runtime/algorithm.py)."
        )
    return Algorithm(
        name,
        module.INPUT,
        getattr(module, "OUTPUT", Rows()),
        module.HYPERPARAMETERS,
        module.train,
        module.load,
        module.predict,
        getattr(module, "ENTRY_POINT", False),
    )
