"""
Script mode: an existing ``train.py`` and ``inference.py``, written for AWS's framework containers,
are trained and served unchanged.

A package of script mode holds the scripts and an ``__init__.py`` of these lines::

    from pathlib import Path

    from sagemaker_runtime.script_mode import ScriptMode

    SCRIPTS = ScriptMode(Path(__file__).parent)
    INPUT, OUTPUT = SCRIPTS.input, SCRIPTS.output
    HYPERPARAMETERS, ENTRY_POINT = None, True
    train, load, predict = SCRIPTS.train, SCRIPTS.load, SCRIPTS.predict
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sagemaker_runtime.script_mode import training
from sagemaker_runtime.script_mode.bodies import AnyAnswer, AnyBody, Body
from sagemaker_runtime.script_mode.handlers import Handlers, call, load
from sagemaker_runtime.training.job import TrainingJob


class ScriptMode:
    """
    What a package of script mode provides to be trained and served; ``package`` is its folder.
    """

    def __init__(self, package: Path) -> None:
        self.package = package
        self.input = AnyBody(package)
        self.output = AnyAnswer()

    def train(self, job: TrainingJob) -> None:
        """
        Run ``train.py``, or the job's entry point, as a process.

        Raises JobError when it fails or writes no model.
        """
        training.run(job, self.package)

    def load(self, model_dir: Path) -> Handlers:
        """
        Import ``inference.py`` from ``code/`` in the model or else from the package, and call its
        ``model_fn``.

        Raises ModelError where there is none.
        """
        handlers = load(model_dir, self.package)
        self.input.folder = handlers.folder
        return handlers

    def predict(self, handlers: Handlers, body: Body) -> Callable[[str], Any]:
        """
        Read the body and predict; what is returned makes the answer when it is told its media type.
        """
        if handlers.transform_fn:
            return partial(
                call, handlers.transform_fn, handlers.model, body.content, body.media_type
            )
        data = call(handlers.input_fn, body.content, body.media_type)
        return partial(call, handlers.output_fn, call(handlers.predict_fn, data, handlers.model))
