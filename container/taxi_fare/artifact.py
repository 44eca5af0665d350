"""
The model's files: trees for serving, skops for whoever wants the estimator, JSON about both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sagemaker_runtime.engines.trees import Trees, from_estimator
from sagemaker_runtime.errors import ModelError
from taxi_fare.features import FEATURES

TREES = "trees.npz"
ESTIMATOR = "estimator.skops"
METADATA = "metadata.json"
FORMAT = 1  # raised when older code could misread the files


@dataclass(frozen=True)
class Model:
    """
    What serves: ``trees`` score features, ``typical_fare`` answers where there are none.
    """

    trees: Trees
    typical_fare: float


def to_serve(estimator: Any, typical_fare: float) -> Model:
    """
    Make the model that serves out of a fitted estimator; ``typical_fare`` is in dollars.

    Raises ModelError for an estimator that is not made of trees.
    """
    try:
        return Model(from_estimator(estimator), typical_fare)
    except ValueError as error:
        raise ModelError(
            f"{error}; expected a regressor of trees, such as HistGradientBoostingRegressor or "
            "RandomForestRegressor. Choose another in taxi_fare/estimator.py."
        ) from error


def save(folder: Path, model: Model, estimator: Any, metadata: Mapping[str, Any]) -> None:
    """
    Write the three files.
    """
    import skops.io

    model.trees.save(folder / TREES)
    skops.io.dump(estimator, folder / ESTIMATOR)
    facts = {
        "format": FORMAT,
        "features": list(FEATURES),
        "trees_sha256": sha256((folder / TREES).read_bytes()).hexdigest(),
        "typical_fare": model.typical_fare,
        **metadata,
    }
    (folder / METADATA).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Model:
    """
    Read what ``save`` wrote; nothing in the files is executed.

    Raises ModelError for missing or foreign files.
    """
    for name in (TREES, METADATA):
        if not (folder / name).is_file():
            there = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
            raise ModelError(
                f"{folder} lacks {name}; there is: {', '.join(there[:20]) or 'nothing'}. "
                f"The archive must hold {TREES} and {METADATA} at its top, as train writes them: "
                "tar -C model -czf model.tar.gz ."
            )
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        made_for = (metadata["format"], metadata["features"])
        typical_fare = float(metadata["typical_fare"])
        trees_sha256 = metadata["trees_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{METADATA} is damaged ({type(error).__name__}: {error}); train the model again."
        ) from error
    if made_for != (FORMAT, list(FEATURES)):
        raise ModelError(
            f"{METADATA} describes format {made_for[0]} with features {made_for[1]}; this image "
            f"reads format {FORMAT} with features {list(FEATURES)}. Train the model again with "
            f"this image, or serve it with the image that trained it."
        )
    try:
        trees = Trees.load(folder / TREES)
    except (ValueError, OSError) as error:
        raise ModelError(f"{TREES} is damaged ({error}); train the model again.") from error
    if sha256((folder / TREES).read_bytes()).hexdigest() != trees_sha256:
        raise ModelError(
            f"{METADATA} was written for another {TREES}; the files are of two models. "
            "Train the model again, or take both files from one archive."
        )
    if trees.width > len(FEATURES):
        raise ModelError(
            f"{TREES} asks for {trees.width} features, there are {len(FEATURES)}; the files do "
            "not belong together. Train the model again."
        )
    return Model(trees, typical_fare)
