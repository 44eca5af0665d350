"""
The model's files: trees for serving, skops for those who want the estimator, JSON about both.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from sagemaker_runtime.engines.trees import Trees
from sagemaker_runtime.errors import ModelError
from taxi_fare.features import FEATURES

TREES = "trees.npz"
ESTIMATOR = "estimator.skops"
METADATA = "metadata.json"
DIGEST = "metadata_sha256"  # of all other entries of metadata.json, trees_sha256 among them
MOST_BYTES = 1 << 20  # of metadata.json, which has a few thousand
FORMAT = 3  # raised when older code could misread the files


@dataclass(frozen=True)
class Model:
    """
    What serves: ``trees`` score features, ``typical_fare`` answers where there are none;
    ``last_day`` is that of ``features``.
    """

    trees: Trees
    typical_fare: float
    last_day: float = math.inf


def to_serve(estimator: Any, typical_fare: float, last_day: float = math.inf) -> Model:
    """
    Make the model that serves out of a fitted estimator; ``typical_fare`` is in dollars.

    Raises ModelError for an estimator that is not made of trees.
    """
    try:
        return Model(Trees.from_estimator(estimator), typical_fare, last_day)
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
        "trees_sha256": _digest_of_file(folder / TREES),
        "typical_fare": model.typical_fare,
        "last_day": model.last_day,
        **metadata,
    }
    facts[DIGEST] = _digest_of(facts)
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
    metadata = _metadata(folder / METADATA)
    trees = _trees(folder / TREES, metadata["trees_sha256"])
    return Model(trees, metadata["typical_fare"], metadata["last_day"])


def _metadata(path: Path) -> dict[str, Any]:
    """
    Return the entries, all of which are as train wrote them.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"{size:,} bytes; expected at most {MOST_BYTES:,}")
        metadata = json.loads(path.read_text(encoding="utf-8"))
        made_for = (metadata["format"], metadata["features"])
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise ModelError(
            f"{METADATA} is damaged ({type(error).__name__}: {error}); train the model again."
        ) from error
    if made_for != (FORMAT, list(FEATURES)):
        raise ModelError(
            f"{METADATA} describes format {made_for[0]} with features {made_for[1]}; this image "
            f"reads format {FORMAT} with features {list(FEATURES)}. Train the model again with "
            f"this image, or serve it with the image that trained it."
        )
    if metadata.pop(DIGEST, None) != _digest_of(metadata):
        raise ModelError(
            f"{METADATA} was changed after training: its entries do not give its {DIGEST}. Take "
            "it from the archive that train wrote, or train the model again."
        )
    fare = metadata["typical_fare"]
    if not (isinstance(fare, float) and 0 < fare < math.inf):
        raise ModelError(
            f"typical_fare in {METADATA} is {fare!r}; expected dollars, such as 8.5. "
            "Train the model again."
        )
    day = metadata["last_day"]
    if not isinstance(day, float) or math.isnan(day):
        raise ModelError(
            f"last_day in {METADATA} is {day!r}; expected days since 2009, such as 2281.0. "
            "Train the model again."
        )
    return metadata


def _trees(path: Path, digest: str) -> Trees:
    try:
        trees = Trees.load(path)
    except (ValueError, OSError, MemoryError) as error:
        raise ModelError(f"{TREES} is damaged ({error}); train the model again.") from error
    if _digest_of_file(path) != digest:
        raise ModelError(
            f"{METADATA} was written for another {TREES}; the files are of two models. "
            "Train the model again, or take both files from one archive."
        )
    if trees.width > len(FEATURES) or trees.classes or len(trees.ensemble.base) > 1:
        raise ModelError(
            f"{TREES} predicts from {trees.width} features; expected a fare from at most "
            f"{len(FEATURES)}. The files do not belong together: train the model again."
        )
    return trees


def _digest_of(facts: Mapping[str, Any]) -> str:
    """
    Return the SHA-256 of the entries, whatever their order and the spaces between them.
    """
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
