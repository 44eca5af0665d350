"""
Models of this image's algorithm: trained as a training job does it, and asked about rows.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from monitoring import rows
from sagemaker_runtime.algorithm import Algorithm
from sagemaker_runtime.baseline import outcomes
from sagemaker_runtime.errors import DataError, ModelError
from sagemaker_runtime.formats import predictions
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import for_predict
from sagemaker_runtime.paths import PROGRAM, Paths

AT_ONCE = 10_000  # rows that predict is given
TRAINING = "training"


def train(
    algorithm: Algorithm,
    channels: Path,
    new: Columns,
    hyperparameters: Mapping[str, str],
    root: Path,
) -> Path:
    """
    Train on a folder with one folder for each channel, ``new`` added to the rows for training, and
    return the model's folder, below ``root``.

    Raises ModelError when the training fails.
    """
    paths = Paths(root)
    table, _ = rows.require_table(algorithm.input)
    rows.add(new, table, paths.channels / TRAINING / "recent")
    for channel in sorted(each for each in channels.glob("*") if each.is_dir()):
        inside = "earlier" if channel.name == TRAINING else "."
        shutil.copytree(
            channel, paths.channels / channel.name / inside, copy_function=_link, dirs_exist_ok=True
        )
    paths.hyperparameters.parent.mkdir(parents=True, exist_ok=True)
    paths.hyperparameters.write_text(json.dumps(dict(hyperparameters)), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - the program that this one stands beside
        [sys.executable, PROGRAM / "train"],
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout)
        reason = paths.failure.read_text("utf-8") if paths.failure.exists() else "see the log"
        raise ModelError(f"the challenger could not be trained: {reason}")
    return paths.model


def predict(algorithm: Algorithm, model_dir: Path, asked: Columns) -> np.ndarray:
    """
    Return a model's predictions as values of the label, of several outputs the first.
    """
    model = algorithm.load(model_dir)
    table, label = rows.require_table(algorithm.input)
    found = []
    for start in range(0, count(asked), AT_ONCE):
        features = {c.name: asked[c.name][start : start + AT_ONCE] for c in table.features}
        given = for_predict(table, features)
        block = predictions.checked(algorithm.predict(model, given), count(features), ())
        found.append(outcomes.read(label, predictions.first(block)))
    return np.concatenate(found)


def unpack(place: Path, folder: Path) -> Path:
    """
    Return the folder of a model: ``place`` itself, or where the archive in it was unpacked.
    """
    archives = sorted(place.glob("*.tar.gz"))
    if not archives:
        if place.is_dir() and any(place.iterdir()):
            return place
        raise DataError(f"{place} holds no model; expected its files or its model.tar.gz")
    with tarfile.open(archives[0]) as tar:
        # Python 3.11 knows filters only in its later versions.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(folder)  # noqa: S202 - filtered, see above
    return folder


def pack(model_dir: Path, archive: Path) -> None:
    """
    Write a model's files into an archive, as a training job does.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(model_dir.iterdir()):
            tar.add(path, arcname=path.name)


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(Path(source).resolve())
