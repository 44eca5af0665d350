"""
What a package beside ``sagemaker_runtime`` provides to be trained and served.

Write a package with these names in its ``__init__.py`` and put it beside this one::

    from sagemaker_runtime.algorithm import Column, Columns, Hyperparameter, Table, TrainingJob

    INPUT = Table(Column("size", "number", example="3.5"), label=Column("price", "number", "9.5"))
    HYPERPARAMETERS = (Hyperparameter("rounds", 100, "Boosting rounds.", minimum=1),)

    def train(job: TrainingJob) -> None:
        '''Read job.channels["training"], write the model's files into job.model_dir.'''

    def load(model_dir: Path) -> Any:
        '''Read those files; whatever is returned is handed to predict.'''

    def predict(model: Any, columns: Columns) -> Any:
        '''Return one prediction per row, in order: an array, a dict of columns, a list of dicts.'''

``Table(..., as_frame=True)`` hands ``predict`` a pandas DataFrame of the columns; in ``train``,
``INPUT.frame(columns)`` makes the same.

``INPUT`` is a Reader: ``Table``, ``Json``, ``Text``, ``Bytes`` or ``Npy``. ``OUTPUT`` is a Writer:
``Rows``, which it is when it is left out, or one of the last four.

With ``HYPERPARAMETERS = None`` every hyperparameter is passed through as text.
``ENTRY_POINT = True`` says that ``train`` runs the code of a job that brings its own
(``Estimator(entry_point=...)``). ``RUNS_CODE = True`` says that ``load`` runs code that came with
the model, a pickle for one: then each worker loads it, under its own account, and root never does.
``DISTRIBUTED = True`` says that ``train`` makes one model over the rows of several hosts, by
``job.cluster``: without it, a job with an instance_count above one is refused before it reads data.

``segments(columns)`` names groups of rows by which errors are told apart when the model is watched,
such as ``{"airport": {"JFK": a truth for each row}}``; it may be left out. So may
``repairs(columns)``, which tells of rows as they came which ones ``predict`` puts right, by the
name of each rule: ``{"coordinates": a truth for each row}``.

``predict`` is called once for each piece that ``INPUT`` reads a body in. Small bodies are one
piece, large tables come in several of some thousand rows each, a piece without rows is left out,
and all but ``Table`` give the whole body at once. Before the first answer, the self-test of
``/ping`` calls it with the example of ``INPUT``: twice with one row and, where there are rows, once
with two. A large body is predicted in a thread, maybe while a small one is predicted outside it.
It may change the columns or the frame that it is given, which are copies.

Requests for a ``Table`` that come while the model is busy are predicted in one call, their rows
together, where the self-test found that this pays and that a row is predicted as it is alone: it
asks for up to sixteen rows with other values than the example's. See MODEL_SERVER_JOIN_ROWS.

``predict`` may raise ``errors.InvalidValue(message, row=..., column=...)`` for values that the
caller must change: the answer is 422 and says where. ``row`` counts the rows of the piece from 1;
the answer's ``where`` counts those of the body, so leave the row out of the message. Whatever else
it raises is answered with 500, and the log has the traceback under the request id.

Where ``predict`` returns an iterator of bytes, ``Json``, ``Text`` and ``Bytes`` send each piece as
it comes (chunked). Pieces are made in a thread; MODEL_SERVER_TIMEOUT holds for the time to the
first and from each to the next. An error before the first piece is answered as any other; after
it, the connection is cut before the last chunk and the log has the traceback. When the client goes,
the iterator is closed: in a generator, ``finally`` runs. The self-test reads the example's answer
to its end.

Import heavy training libraries inside ``train``: serving starts faster and smaller without them.
Raise ``errors.DataError`` from ``train`` for data that the user must fix, ``errors.ModelError``
from ``load`` for an archive that cannot be served; the message should say what to do.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from sagemaker_runtime.baseline.seen import Segments
from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.formats.npy import Npy
from sagemaker_runtime.formats.plain import Bytes, Json, Text
from sagemaker_runtime.formats.rows import Rows
from sagemaker_runtime.formats.schema import Column, Columns
from sagemaker_runtime.formats.table import Table
from sagemaker_runtime.paths import PROGRAM
from sagemaker_runtime.training.hyperparameters import Hyperparameter
from sagemaker_runtime.training.job import TrainingJob

__all__ = [
    "ANY",
    "Algorithm",
    "Bytes",
    "Column",
    "Columns",
    "Hyperparameter",
    "Json",
    "Npy",
    "Reader",
    "Repairs",
    "Rows",
    "Table",
    "Text",
    "TrainingJob",
    "Writer",
    "find_algorithm",
    "usual",
]

# Among a Reader's media types: any Content-Type is read. Among a Writer's: whatever Accept names is
# written.
ANY = "*/*"

# Of rows as they came, which are put right, by the name of a rule.
Repairs = Callable[[Columns], Mapping[str, np.ndarray]]

NAMES = ("INPUT", "HYPERPARAMETERS", "train", "load", "predict")


class Reader(Protocol):
    """
    What reads requests for ``predict``.

    One whose pieces are rows may besides have ``join(pieces)``, which puts those of several
    requests together, in order, for one call of ``predict``; and ``as_frame``, true when
    ``predict`` is given ``frame(piece)``.
    """

    @property
    def media_types(self) -> Sequence[str]:
        """
        The Content-Types that are read, in lower case, the usual one first; ANY for any.
        """

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[Any]:
        """
        Yield what ``predict`` is given, in as many pieces as the body is better read in.

        ``charset`` is the Content-Type's, in lower case, utf-8 without one. The body is closed once
        it is answered, before the later pieces of a streamed answer are made. Raises RequestError
        for a body that the caller must change.
        """

    def count(self, piece: Any) -> int | None:
        """
        Return how many rows a piece has, None when it is not made of rows.
        """

    def example(self, rows: int = 1) -> tuple[str, bytes] | None:
        """
        Return the media type and the body of a good request, in UTF-8 where it is text and with
        that number of rows where it has rows: what the self-test sends. None: there is nothing to
        send, and the model is only loaded.
        """


class Writer(Protocol):
    """
    What writes answers from what ``predict`` returns.
    """

    @property
    def media_types(self) -> Sequence[str]:
        """
        The media types that can be written, in lower case, the default first; ANY for any.
        """

    def write(
        self, predictions: Sequence[tuple[Any, int | None]], media_type: str
    ) -> bytes | Iterator[bytes]:
        """
        Write an answer from what ``predict`` returned for each piece of the body, beside the
        number of the piece's rows (None without rows); an iterator is sent as it comes, and closed.
        Bytes that have a ``media_type`` are sent under that one.

        Raises AlgorithmError for what cannot be written.
        """


def usual(media_types: Sequence[str]) -> str:
    """
    Return the media type to take where nobody names one.
    """
    return next((each for each in media_types if each != ANY), "application/octet-stream")


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
    runs_code: bool = False
    distributed: bool = False
    segments: Segments | None = None
    repairs: Repairs | None = None


def find_algorithm(program: Path = PROGRAM) -> Algorithm:
    """
    Import the package that ALGORITHM names, as the image does, or else the only one there is
    beside ``sagemaker_runtime`` and ``monitoring``.

    Raises AlgorithmError when it is not clear which package is meant, when one has a name that is
    taken, or when it lacks a part.
    """
    name = _chosen(program, os.environ.get("ALGORITHM", ""))
    if str(program) not in sys.path:
        sys.path.insert(0, str(program))
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
    entry_point = getattr(module, "ENTRY_POINT", False)
    return Algorithm(
        name,
        module.INPUT,
        getattr(module, "OUTPUT", Rows()),
        module.HYPERPARAMETERS,
        module.train,
        module.load,
        module.predict,
        entry_point,
        getattr(module, "RUNS_CODE", entry_point),
        getattr(module, "DISTRIBUTED", False),
        getattr(module, "segments", None),
        getattr(module, "repairs", None),
    )


def _chosen(program: Path, wanted: str) -> str:
    """
    Return the name of the algorithm's package; raises AlgorithmError.
    """
    found = sorted(
        init.parent.name
        for init in program.glob("*/__init__.py")
        if init.parent.name not in (Path(__file__).parent.name, "monitoring")
    )
    for name in found:
        if hidden := taken_by(program, name):
            raise AlgorithmError(
                f"the package {name}/ has the name of {hidden}, which could not be imported any "
                f"more; rename the folder, such as my_{name}/."
            )
    there = f"{program} holds {len(found)} packages beside sagemaker_runtime"
    names = ", ".join(found) or "none"
    if wanted and wanted not in found:
        raise AlgorithmError(
            f"ALGORITHM is {wanted!r}, but {there} ({names}); expected the name of one of them: "
            "a folder with an __init__.py."
        )
    if not wanted and len(found) != 1:
        remedy = (
            f"Say which is the algorithm: ALGORITHM={found[0]}"
            if found
            else "Make one: ./new.sh my_model"
        )
        raise AlgorithmError(f"{there} ({names}); expected one algorithm. {remedy}.")
    return wanted or found[0]


def taken_by(program: Path, name: str) -> str:
    """
    Tell what a package called ``name`` would hide: one of the program's files or a library.
    """
    for file in (program / f"{name}.py", program / name):
        if file.is_file():
            return f"the program's {file.name}"
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return f"Python's module {name}"
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != program.resolve()]
    spec = PathFinder.find_spec(name, elsewhere)
    # Any folder without an __init__.py, such as docs/ in the current one, has a spec without file.
    return f"the installed library {name}" if spec and spec.origin else ""
