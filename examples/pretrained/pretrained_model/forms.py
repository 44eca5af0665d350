"""
The forms in which a model may come, and those in which it is served.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.engines.trees import Trees
from sagemaker_runtime.errors import ModelError

from .models import Model, of_estimator, of_onnx, of_trees

NAME = "model"
ONNX, SKOPS, TREES = ".onnx", ".skops", ".npz"
# LightGBM's text, and XGBoost's JSON and UBJ.
BOOSTERS = (".txt", ".json", ".ubj")
PICKLES = (".pkl", ".pickle", ".joblib")
FORMS = (ONNX, SKOPS, TREES, *BOOSTERS, *PICKLES)
# What an archive holds of a pickle, which stays in the image: its name and its digest.
IN_IMAGE = "pickle-in-image.json"
# The columns that an estimator of trees was fitted on, in its order.
COLUMNS = "columns.json"
# What turns the scores of a classifier's trees into probabilities.
CHANCES = ("sigmoid", "softmax", "multiclass_ova")


@dataclass(frozen=True)
class Kit:
    """
    The package's folder, and what it says that it trusts and knows.
    """

    package: Path
    trust_pickle: bool
    trust_types: Sequence[str]
    classes: Sequence[str | int]

    def publish(self, source: Path, target: Path) -> None:
        """
        Put the model of ``source`` into ``target``: trees as arrays, other estimators as skops,
        ONNX as it is. A pickle that can become neither stays in the image.

        Raises ModelError for a file that cannot be used.
        """
        file = _file(source)
        if file.suffix in PICKLES:
            if source != self.package:
                raise ModelError(f"the channel {source.name!r} holds {self._not_here(file)}")
            estimator = self._unpickled(file)
            if not (_saved_trees(estimator, target) or self._saved_skops(estimator, target)):
                text = json.dumps({"file": file.name, "sha256": _digest(file)})
                (target / IN_IMAGE).write_text(text, encoding="utf-8")
        elif file.suffix in BOOSTERS:
            self._booster(file).save(target / f"{NAME}{TREES}")
        elif file.suffix != SKOPS or not _saved_trees(self._skops(file), target):
            for part in source.glob(f"{file.name}*"):  # large ONNX models keep weights beside them
                shutil.copyfile(part, target / part.name)
        made = ", ".join(sorted(path.name for path in target.iterdir()))
        print(f"{file} was put into the archive as {made}")

    def load(self, model_dir: Path) -> Model:
        """
        Return the model of an archive, which ``publish`` or somebody else has made.

        Raises ModelError for a file that cannot be used.
        """
        if (model_dir / IN_IMAGE).is_file():
            return of_estimator(self._from_image(model_dir / IN_IMAGE))
        file = _file(model_dir)
        if file.suffix in PICKLES:
            raise ModelError(f"the archive holds {self._not_here(file)}")
        if file.suffix == ONNX:
            return of_onnx(file)
        if file.suffix == SKOPS:
            return of_estimator(self._skops(file))
        columns = model_dir / COLUMNS
        names = json.loads(columns.read_text(encoding="utf-8")) if columns.is_file() else None
        return of_trees(self._booster(file) if file.suffix in BOOSTERS else _trees(file), names)

    def _booster(self, file: Path) -> Trees:
        """
        Read LightGBM's or XGBoost's file, and name the classes that it does not.
        """
        try:
            trees = Trees.from_file(file)
            outputs = len(trees.ensemble.base)
            known = self.classes or (range(max(outputs, 2)) if trees.link in CHANCES else ())
            return replace(trees, classes=(np.array(known),)) if known else trees
        except (OSError, ValueError) as error:
            raise ModelError(f"{file.name} cannot be scored: {error}") from error

    def _skops(self, file: Path) -> Any:
        import skops.io

        try:
            unknown = set(skops.io.get_untrusted_types(file=file)) - set(self.trust_types)
            if not unknown:
                return skops.io.load(file, trusted=list(self.trust_types))
        except Exception as error:  # zipfile, json and skops meet damage with a dozen kinds of them
            raise ModelError(f"{file.name} cannot be read: {error}") from error
        raise ModelError(
            f"{file.name} holds the types {', '.join(sorted(unknown))}, which skops does not take "
            f"unasked; if you trust them, name them in TRUST_TYPES in {self._init}."
        )

    def _saved_skops(self, estimator: Any, target: Path) -> bool:
        """
        Save an estimator as skops and tell whether it holds trusted types only.
        """
        import skops.io

        file = target / f"{NAME}{SKOPS}"
        try:
            skops.io.dump(estimator, file)
            unknown = set(skops.io.get_untrusted_types(file=file)) - set(self.trust_types)
        except Exception as error:  # noqa: BLE001 - it meets foreign types with any exception
            unknown = {f"{type(error).__name__}: {error}"}
        if unknown:
            print(f"not saved as skops, TRUST_TYPES lacks {', '.join(sorted(unknown))}")
            file.unlink(missing_ok=True)
        return not unknown

    def _unpickled(self, file: Path) -> Any:
        if not self.trust_pickle:
            raise ModelError(
                f"{file.name} is a pickle, and loading it runs whatever code stands in it. If you "
                f"trust it, write TRUST_PICKLE = True in {self._init}; or save the model as skops: "
                "skops.io.dump(model, 'model.skops')."
            )
        import joblib

        sys.path.insert(0, str(file.parent))  # the modules of its classes may stand beside it
        try:
            return joblib.load(file)
        except (ImportError, AttributeError) as error:
            raise ModelError(
                f"{file.name} needs what is not here: {error}. Put the module that defines it "
                f"beside {file.name}, or its library into requirements.in; what a notebook defines "
                "(__main__) must first move into a module."
            ) from error

    def _from_image(self, marker: Path) -> Any:
        """
        Return what the pickle in the image holds, which must be the one that ``publish`` saw.
        """
        known = json.loads(marker.read_text(encoding="utf-8"))
        file = self.package / Path(known["file"]).name
        if not file.is_file() or _digest(file) != known["sha256"]:
            raise ModelError(
                f"the archive is for another {file.name} than the image holds; run a training job "
                "with this image."
            )
        return self._unpickled(file)

    def _not_here(self, file: Path) -> str:
        return (
            f"{file.name}; a pickle is taken from the image only, since loading it runs its code. "
            f"Put it into {self.package.name}/, build the image and run a training job; or save "
            "the model as skops: skops.io.dump(model, 'model.skops')."
        )

    @property
    def _init(self) -> str:
        return f"{self.package.name}/__init__.py"


def _file(folder: Path) -> Path:
    found = [path for path in sorted(folder.glob(f"{NAME}.*")) if path.suffix in FORMS]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    raise ModelError(
        f"{folder} holds {len(found)} models; there is: {there}. Expected one file called {NAME} "
        f"with one of the suffixes {', '.join(FORMS)}, at the top of the channel or archive."
    )


def _trees(file: Path) -> Trees:
    try:
        return Trees.load(file)
    except (OSError, ValueError) as error:
        raise ModelError(f"{file.name} is damaged: {error}") from error


def _saved_trees(estimator: Any, target: Path) -> bool:
    """
    Save an estimator of trees as arrays and tell whether it is one.
    """
    try:
        Trees.from_estimator(estimator).save(target / f"{NAME}{TREES}")
    except ValueError as error:
        print(f"not saved as trees: {error}")
        return False
    if (names := getattr(estimator, "feature_names_in_", None)) is not None:
        (target / COLUMNS).write_text(json.dumps(list(names)), encoding="utf-8")
    return True


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
