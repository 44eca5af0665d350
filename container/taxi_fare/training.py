"""
Trains the fare model: read, clean, fit, judge, save, verify.
"""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.inspection import permutation_importance

from sagemaker_runtime.algorithm import Columns, TrainingJob
from sagemaker_runtime.errors import ModelError, Stopped
from taxi_fare import artifact, cleaning, evaluation, features, geography, reading
from taxi_fare.estimator import fit_in_steps, make_estimator
from taxi_fare.metrics import METRICS
from taxi_fare.predictor import obey_rules
from taxi_fare.schema import FARE, SCHEMA

# Dollars by which the saved model may differ from the trained one; sums of 300 trees, the same
# numbers in another order, agree within 1e-12.
TOLERANCE = 1e-6
# Rows on which the importance of a feature is measured: enough for two digits in a second or two.
IMPORTANCE_ROWS = 2_000
LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "skops", "treelite")


def train(job: TrainingJob) -> None:
    """
    Write the model to ``job.model_dir``, metrics and evaluation page to ``job.output_dir``.

    Raises DataError for data that a user must mend, ModelError when the saved model predicts
    something else.
    """
    started = time.perf_counter()
    fitted, held_out, report = _rows(job)
    fares = held_out[FARE.name]
    print(f"training on {fitted[FARE.name].size:,} rows, validating on {fares.size:,}")

    matrix = features.build(held_out)
    estimator = _fitted(job, features.build(fitted), fitted[FARE.name], matrix, fares)
    typical_fare = float(np.median(fitted[FARE.name]))
    raw = estimator.predict(matrix)
    predicted = obey_rules(raw, geography.usable(held_out), typical_fare)
    results = evaluation.evaluate(fares, predicted, held_out)
    metrics = {name: results[name.removeprefix("validation:")] for name in METRICS}

    metadata = {
        "typical_fare": typical_fare,
        "schema": [asdict(column) for column in SCHEMA.features],
        "hyperparameters": dict(job.hyperparameters),
        "metrics": metrics,
        "cleaning": report.as_dict(),
        "data_sha256": _fingerprint(job.channels),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "code_revision": os.environ.get("CODE_REVISION", "unknown"),
    }
    artifact.save(job.model_dir, estimator, metadata)
    _verify(artifact.load(job.model_dir).trees.predict(matrix), raw)

    for name, value in metrics.items():
        job.metric(name, value)
    facts = {
        "Training rows": f"{fitted[FARE.name].size:,}",
        "Validation rows": f"{fares.size:,}",
        "Training data (SHA-256)": metadata["data_sha256"],
        "Code revision": metadata["code_revision"],
        "Training time": f"{time.perf_counter() - started:.1f} s",
    }
    try:
        (job.output_dir / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        if not job.stopping():  # the model is what the remaining seconds are for
            importance = _importance(estimator, matrix, fares, job.hyperparameters["seed"])
            page = evaluation.page(results, importance, report, job.hyperparameters, facts)
            (job.output_dir / "evaluation.html").write_text(page, encoding="utf-8")
    except OSError as error:
        print(f"{job.output_dir} could not be written, the model is kept: {error}", file=sys.stderr)


def _rows(job: TrainingJob) -> tuple[Columns, Columns, cleaning.Report]:
    """
    Return the cleaned rows to fit on, those to validate on, and what cleaning did to the former.
    """
    rows, report = cleaning.clean(reading.read(job.channel("training")))
    print(*report.lines(), sep="\n")
    if "validation" in job.channels:
        held_out, _ = cleaning.clean(reading.read(job.channels["validation"]))
        return rows, held_out, report
    parameters = job.hyperparameters
    return *cleaning.split(rows, parameters["validation_fraction"], parameters["seed"]), report


def _fitted(
    job: TrainingJob,
    matrix: np.ndarray,
    fares: np.ndarray,
    held_out: np.ndarray,
    held_out_fares: np.ndarray,
) -> Any:
    """
    Return the estimator fitted on ``matrix`` (rows, features), with fewer rounds when stopped.
    """
    parameters = dict(job.hyperparameters)
    del parameters["validation_fraction"]
    clip = parameters.pop("clip")
    estimator = make_estimator(**parameters)
    if job.stopping():
        raise Stopped("the job was asked to stop before there was a model.")
    started = time.perf_counter()
    for rounds in fit_in_steps(estimator, matrix, fares, clip=clip):
        error = evaluation.rmse(held_out_fares, estimator.predict(held_out))
        seconds = time.perf_counter() - started
        print(f"{seconds:5.1f} s  {rounds} rounds, validation RMSE {error:.3f} dollars")
        if job.stopping():
            print(f"asked to stop: the model of {rounds} rounds is kept")
            break
    return estimator


def _importance(
    estimator: Any, matrix: np.ndarray, fares: np.ndarray, seed: int
) -> dict[str, float]:
    """
    Return by how many dollars the RMSE grows when a feature's values are shuffled.
    """
    result = permutation_importance(
        estimator,
        matrix[:IMPORTANCE_ROWS],
        fares[:IMPORTANCE_ROWS],
        scoring="neg_root_mean_squared_error",
        n_repeats=3,
        random_state=seed,
    )
    return dict(zip(features.FEATURES, result.importances_mean.tolist(), strict=True))


def _verify(served: np.ndarray, trained: np.ndarray) -> None:
    """
    Raise ModelError unless the saved model predicts what the trained one does.
    """
    worst = float(np.max(np.abs(served - trained)))
    print(f"the saved model agrees with the trained one within {worst:.1e} dollars")
    if not worst <= TOLERANCE:
        raise ModelError(
            f"the saved model differs from the trained one by {worst:g} dollars on a validation "
            f"row; expected at most {TOLERANCE:g}. This is a defect of taxi_fare/trees.py "
            "or an estimator that it misreads: choose another in taxi_fare/estimator.py."
        )


def _fingerprint(channels: Mapping[str, Path]) -> str:
    """
    Return the SHA-256 of the names and contents of all the channels' files, in order.
    """
    total = hashlib.sha256()
    for name, folder in sorted(channels.items()):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            total.update(f"{name}/{file.relative_to(folder)}".encode())
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
