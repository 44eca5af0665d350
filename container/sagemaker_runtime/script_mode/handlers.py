"""
The functions of ``inference.py``: found, imported, called as AWS's inference toolkit does.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sagemaker_runtime.errors import ModelError, NoServingCode
from sagemaker_runtime.script_mode import defaults

SCRIPT = "inference.py"
FUNCTIONS = ("input_fn", "predict_fn", "output_fn")
# The variables by which SageMaker's SDKs name a model's script and where it is.
PROGRAM = "SAGEMAKER_PROGRAM"
SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"


@dataclass(frozen=True)
class Handlers:
    """
    A script's functions, or those that stand in for them, and what its ``model_fn`` returned.
    """

    folder: Path
    model: Any
    input_fn: Callable[..., Any]
    predict_fn: Callable[..., Any]
    output_fn: Callable[..., Any]
    transform_fn: Callable[..., Any] | None


def load(model_dir: Path, package: Path) -> Handlers:
    """
    Import the script from ``code/`` in the model's folder or else from the package and load the
    model.

    Raises ModelError when there is no script, or none that can be used.
    """
    script = _script(model_dir / "code", package)
    module = _imported(script)
    given = {name: getattr(module, name, None) for name in (*FUNCTIONS, "transform_fn")}
    transform_fn = given.pop("transform_fn")
    if transform_fn and any(given.values()):
        clashing = ", ".join(name for name, function in given.items() if function)
        raise ModelError(
            f"{script} has transform_fn beside {clashing}; transform_fn reads, predicts and "
            "writes by itself. Remove one or the others."
        )
    if not hasattr(module, "model_fn"):
        raise ModelError(
            f"{script} has no model_fn; define it to load what the training saved, such as "
            'def model_fn(model_dir): return joblib.load(os.path.join(model_dir, "model.joblib"))'
        )
    functions = {name: given[name] or getattr(defaults, name) for name in FUNCTIONS}
    model = call(module.model_fn, str(model_dir))
    return Handlers(script.parent, model, **functions, transform_fn=transform_fn)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """
    Call a function of a script; one that takes a context besides, as newer toolkits pass it,
    is given None.
    """
    needed = [
        each
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    context = [None] if len(needed) == len(arguments) + 1 else []
    return function(*arguments, *context)


def _script(*folders: Path) -> Path:
    """
    Return the script that serves: the one that the environment names, ``inference.py``, or the
    only one with a ``model_fn``, often train.py; of the first folder that has it.
    """
    named = os.environ.get(PROGRAM, "")
    if os.environ.get(SUBMIT_DIRECTORY, "").startswith("s3:") and not folders[0].is_dir():
        raise ModelError(
            f"{SUBMIT_DIRECTORY} is {os.environ[SUBMIT_DIRECTORY]}; nothing is fetched when "
            "serving. Give Model(…) source_dir besides entry_point: the SDK then puts the code "
            "into the model's archive."
        )
    for folder in folders:
        if named and (folder / named).is_file():
            return folder / named
        if (folder / SCRIPT).is_file():
            return folder / SCRIPT
        serving = [path for path in sorted(folder.glob("*.py")) if _defines_model_fn(path)]
        if len(serving) > 1:
            names = ", ".join(path.name for path in serving)
            raise ModelError(
                f"{folder} holds several scripts with a model_fn ({names}); name the one that "
                f"serves {SCRIPT}, or set {PROGRAM} to its name."
            )
        if serving:
            return serving[0]
    looked = " nor ".join(str(folder) for folder in folders)
    wanted = f"{named} ({PROGRAM})" if named else f"{SCRIPT}, nor another script with a model_fn"
    raise NoServingCode(f"neither {looked} holds {wanted}; put it beside train.py.")


def _defines_model_fn(path: Path) -> bool:
    return bool(re.search(r"^def model_fn\(", path.read_text("utf-8", "replace"), re.MULTILINE))


def _imported(script: Path) -> ModuleType:
    """
    Import the script with its folder first on the path, so that it finds its helper modules.
    """
    for path in [*script.parent.glob("*.py"), *script.parent.glob("*/__init__.py")]:
        name = path.parent.name if path.parent != script.parent else path.stem
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and not Path(loaded).is_relative_to(script.parent):
            raise ModelError(
                f"{path} has the name of a module that serving uses ({loaded}); give it "
                f"another name, such as my_{name}."
            )
    sys.path.insert(0, str(script.parent))
    try:
        return import_module(script.stem)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{script} imports {error.name}, which is not installed; add it to requirements.in, "
            "lock it as the file's first lines say, and build the image again."
        ) from error
