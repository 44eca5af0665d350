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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib import import_module
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns, TrainingJob
from sagemaker_runtime.engines.trees import Trees
from sagemaker_runtime.errors import ModelError, Stopped
from sagemaker_runtime.parallel import in_order
from taxi_fare import artifact, blocks, cleaning, evaluation
from taxi_fare.metrics import METRICS
from taxi_fare.predictor import predict
from taxi_fare.schema import FARE, INPUT

# Dollars by which the saved model may differ from the trained one; sums of 300 trees, the same
# numbers in another order, agree within 1e-12.
TOLERANCE = 1e-6
# Validation rows, enough for two digits of an error, by which the progress of a fit is judged and
# the saved model is verified.
SAMPLE_ROWS = 20_000
# Of those, the ones on which the importance of a feature is measured: enough for
# two digits.
IMPORTANCE_ROWS = 2_000
REPORTS = 10  # lines on the progress of a fit
LIBRARIES = ("lightgbm", "numpy", "pyarrow", "scikit-learn", "skops", "treelite")


def train(job: TrainingJob) -> None:
    """
    Write the model to ``job.model_dir``, metrics and evaluation page to ``job.output_dir``.

    Raises DataError for data that a user must mend, ModelError when the estimator holds no trees or
    the saved model predicts something else.
    """
    started = time.perf_counter()
    with ThreadPoolExecutor(1) as meanwhile:  # reading leaves Python's lock free most of the time
        imported = meanwhile.submit(_import_libraries, job.hyperparameters["estimator"])
        trips, held_out, report = _rows(job)
        imported.result()
    fares = held_out[FARE.name]
    typical_fare = float(np.median(trips[FARE.name]))
    facts = {
        "Training rows": f"{trips[FARE.name].size:,}",
        "Validation rows": f"{fares.size:,}",
    }
    print("training on {} rows, validating on {}".format(*facts.values()))

    some = slice(None, None, ceil(len(fares) / SAMPLE_ROWS))  # from all files alike
    sample = blocks.matrix({name: values[some] for name, values in held_out.items()})
    estimator = _fitted(job, trips, sample, fares[some])
    model = artifact.to_serve(estimator, typical_fare)
    predictions = in_order(partial(predict, model), blocks.cut(held_out))
    predicted = np.concatenate(list(predictions))
    results = evaluation.evaluate(fares, predicted, held_out)
    metrics = {name: results[name.removeprefix("validation:")] for name in METRICS}

    facts |= {
        "Training data (SHA-256)": _fingerprint(_used(job)),
        "Code revision": os.environ.get("CODE_REVISION", "unknown"),
    }
    metadata = {
        "schema": [asdict(column) for column in INPUT.features],
        "hyperparameters": dict(job.hyperparameters),
        "metrics": metrics,
        "cleaning": report.as_dict(),
        "data_sha256": facts["Training data (SHA-256)"],
        "versions": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "code_revision": facts["Code revision"],
    }
    artifact.save(job.model_dir, model, estimator, metadata)
    trees = artifact.load(job.model_dir).trees
    _verify(trees.predict(sample), estimator.predict(sample))

    for name, value in metrics.items():
        job.metric(name, value)
    facts["Training time"] = f"{time.perf_counter() - started:.1f} s"
    try:
        (job.output_dir / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        if not job.stopping():  # the model is what the remaining seconds are for
            few = slice(IMPORTANCE_ROWS)
            seed = job.hyperparameters["seed"]
            importance = evaluation.importance(trees, sample[few], fares[some][few], seed)
            # Not above: it brings matplotlib.
            from taxi_fare import evaluation_page

            page = evaluation_page.render(results, importance, report, job.hyperparameters, facts)
            (job.output_dir / "evaluation.html").write_text(page, encoding="utf-8")
    except OSError as error:
        print(f"{job.output_dir} could not be written, the model is kept: {error}", file=sys.stderr)


def _import_libraries(estimator: str) -> None:
    """
    Import the libraries that are needed once the rows are there; it takes seconds.
    """
    library = {"lightgbm": "lightgbm", "scikit-learn": "sklearn.ensemble"}[estimator]
    for name in ("taxi_fare.estimator", "sagemaker_runtime.engines.importing", "skops.io", library):
        import_module(name)


def _rows(job: TrainingJob) -> tuple[Columns, Columns, cleaning.Report]:
    """
    Return the cleaned rows to fit on, those to validate on, and what cleaning did to the former.
    """
    rows, report = cleaning.clean(job.rows("training"))
    print(*report.lines(), sep="\n")
    if "validation" in job.channels:
        held_out, _ = cleaning.clean(job.rows("validation"))
        return rows, held_out, report
    parameters = job.hyperparameters
    return *cleaning.split(rows, parameters["validation_fraction"], parameters["seed"]), report


def _fitted(job: TrainingJob, trips: Columns, sample: np.ndarray, fares: np.ndarray) -> Any:
    """
    Return the estimator fitted on ``trips``, which are given up, with fewer rounds when stopped.

    Progress is judged by ``sample`` (rows, features) and ``fares`` of held-out trips.
    """
    # Not above: _import_libraries does it while rows are read.
    from taxi_fare.estimator import fit, make_estimator, precision, pull_outliers

    parameters = dict(job.hyperparameters)
    del parameters["validation_fraction"]
    clip = parameters.pop("clip")
    rounds_asked = parameters["rounds"]
    estimator = make_estimator(**parameters)
    if job.stopping():
        raise Stopped("the job was asked to stop before there was a model.")
    started = time.perf_counter()
    fitted = blocks.matrix(trips, precision(estimator))
    library = {name: parameters[name] for name in ("estimator", "seed")}
    targets = pull_outliers(fitted, trips[FARE.name], clip=clip, **library)
    trips.clear()  # memory for the fit

    def stop(rounds: int, model: Any) -> bool:
        stopping = job.stopping()
        if stopping or rounds % ceil(rounds_asked / REPORTS) == 0:
            error = evaluation.rmse(fares, Trees.from_estimator(model).predict(sample))
            seconds = time.perf_counter() - started
            print(f"{seconds:5.1f} s  {rounds} rounds, validation RMSE {error:.3f} dollars")
        if stopping:
            print(f"asked to stop: the model of {rounds} rounds is kept")
        return stopping

    fit(estimator, fitted, targets, stop)
    return estimator


def _verify(served: np.ndarray, trained: np.ndarray) -> None:
    """
    Raise ModelError unless the saved model predicts what the trained one does.
    """
    worst = float(np.max(np.abs(served - trained)))
    print(f"the saved model agrees with the trained one within {worst:.1e} dollars")
    if not worst <= TOLERANCE:
        raise ModelError(
            f"the saved model differs from the trained one by {worst:g} dollars on a validation "
            f"row; expected at most {TOLERANCE:g}. This is a defect of "
            "sagemaker_runtime/engines/trees.py or an estimator that it misreads: choose "
            "another in taxi_fare/estimator.py."
        )


def _used(job: TrainingJob) -> dict[str, Path]:
    """
    Return the channels that the model and its figures are made of.
    """
    names = [name for name in ("training", "validation") if name in job.channels]
    return {name: job.channels[name] for name in names}


def _fingerprint(channels: Mapping[str, Path]) -> str:
    """
    Return the SHA-256 of the names and contents of the channels' files, in order.
    """
    total = hashlib.sha256()
    for name, folder in sorted(channels.items()):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            total.update(os.fsencode(f"{name}/{file.relative_to(folder)}"))
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
