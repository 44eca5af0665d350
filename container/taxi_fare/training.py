"""
Trains the fare model: read, clean, fit, judge, save, verify.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib import import_module
from importlib.metadata import version
from math import ceil
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns, TrainingJob
from sagemaker_runtime.errors import ModelError, Stopped
from sagemaker_runtime.parallel import in_order
from taxi_fare import (
    artifact,
    blocks,
    checkpoint,
    cleaning,
    evaluation,
    features,
    forward,
    several_hosts,
)
from taxi_fare.blocks import Add
from taxi_fare.metrics import METRICS
from taxi_fare.prediction import predict
from taxi_fare.progress import Progress
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
LIBRARIES = ("lightgbm", "numpy", "pyarrow", "scikit-learn", "skops", "treelite")


def train(job: TrainingJob) -> None:
    """
    Write the model to ``job.model_dir``, metrics and evaluation page to ``job.output_dir``.

    Raises DataError for data that a user must fix, ModelError when the estimator holds no trees or
    the saved model predicts something else.
    """
    started = time.perf_counter()
    several_hosts.require_distributable(job)
    add = several_hosts.added(job.cluster)
    with ThreadPoolExecutor(1) as meanwhile:  # reading leaves Python's lock free most of the time
        imported = meanwhile.submit(_import_libraries, job.hyperparameters["estimator"])
        trips, held_out, report = _rows(job, add)
        imported.result()
    job.seen.use(trips)
    fares = held_out[FARE.name]
    typical_fare = several_hosts.median(trips[FARE.name], job.cluster)
    last_day = float(max(job.cluster.gather(features.last_day(trips))))
    rows, rows_held_out = add([trips[FARE.name].size, fares.size]).tolist()
    facts = {"Training rows": f"{rows:,}", "Validation rows": f"{rows_held_out:,}"}
    print("training on {} rows, validating on {}".format(*facts.values()))

    fingerprint = several_hosts.fingerprint(job.channels.fingerprint(), job.cluster)
    some = slice(None, None, ceil(rows_held_out / SAMPLE_ROWS))  # from all files alike
    sample = blocks.matrix(
        {name: values[some] for name, values in held_out.items()}, last_day=last_day
    )
    progress = Progress(job, sample, fares[some])
    few_trips = forward.some(trips, job.cluster)
    estimator = _fitted(job, trips, last_day, progress, fingerprint)
    if progress.partial:
        job.partial(progress.partial)
    model = artifact.to_serve(estimator, typical_fare, last_day)
    predictions = in_order(partial(predict, model), blocks.cut(held_out))
    predicted = np.concatenate(list(predictions))
    results = evaluation.evaluate(fares, predicted, held_out, add)
    judged = forward.some(held_out | {"predicted": predicted}, job.cluster)
    sample, sample_fares = map(np.concatenate, map(job.cluster.gather, (sample, fares[some])))
    if not job.cluster.is_leader:
        return
    job.seen.judge(judged, judged["predicted"])
    if not (progress.partial or job.stopping()):
        results["forward"] = forward.judge(few_trips, judged, partial(_fitted_on, job))
    metrics = {name: results[name.removeprefix("validation:")] for name in METRICS}

    facts |= {
        "Training data (SHA-256)": fingerprint,
        "Code revision": os.environ.get("CODE_REVISION", "unknown"),
    }
    metadata = {
        "schema": [asdict(column) for column in INPUT.features],
        "hyperparameters": dict(job.hyperparameters),
        "partial": progress.partial or False,
        "metrics": metrics,
        "forward": results.get("forward"),
        "cleaning": report.as_dict(),
        "data_sha256": fingerprint,
        "versions": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "code_revision": facts["Code revision"],
    }
    artifact.save(job.model_dir, model, estimator, metadata)
    trees = artifact.load(job.model_dir).trees
    _verify(trees.predict(sample), estimator.predict(sample))

    for name, value in metrics.items():
        job.metric(name, value)
    facts["Training time"] = f"{time.perf_counter() - started:.1f} s"
    flag = {"partial": progress.partial} if progress.partial else {}
    try:
        (job.output_dir / "metrics.json").write_text(json.dumps(metrics | flag, indent=2) + "\n")
        few = slice(IMPORTANCE_ROWS)
        seed = job.hyperparameters["seed"]
        importance = evaluation.importance(trees, sample[few], sample_fares[few], seed)
        # Not above: it brings matplotlib.
        from taxi_fare import evaluation_page

        page = evaluation_page.render(
            results, importance, report, job.hyperparameters, facts, progress.partial
        )
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


def _rows(job: TrainingJob, add: Add) -> tuple[Columns, Columns, cleaning.Report]:
    """
    Return the cleaned rows to fit on, those to validate on, and what cleaning did to the former.
    """
    rows, report = cleaning.clean(job.rows("training"), add)
    print(*report.lines(), sep="\n")
    if "validation" in job.channels:
        held_out, _ = cleaning.clean(job.rows("validation"), add)
        return rows, held_out, report
    parameters = job.hyperparameters
    fraction, seed = parameters["validation_fraction"], parameters["seed"]
    return *cleaning.split(rows, fraction, seed, add), report


def _fitted(
    job: TrainingJob, trips: Columns, last_day: float, progress: Progress, fingerprint: str
) -> Any:
    """
    Return the estimator fitted on ``trips``, which are given up, with fewer rounds when stopped.

    It goes on from a checkpoint of the same data (``fingerprint``), if there is one.
    """
    # Not above: _import_libraries does it while rows are read.
    from taxi_fare.estimator import fit, make_estimator, precision, pull_outliers

    library = job.hyperparameters["estimator"]
    estimator = make_estimator(**_parameters(job))
    facts = {"data": fingerprint, "library": f"{library} {version(library)}"}
    begun = job.checkpoints.newest(**facts) if job.cluster.is_leader else None
    if any(job.cluster.gather(job.stopping())):
        there = f"The checkpoint {begun.name} is there for the next start." if begun else ""
        raise Stopped(f"the job was asked to stop before the first round. {there}".strip())
    fitted = blocks.matrix(trips, precision(estimator), last_day)
    model = begun and checkpoint.read(begun, estimator)
    if len(job.cluster.hosts) > 1:
        fares = trips[FARE.name]
        trips.clear()
        text = several_hosts.from_leader(model, job.cluster)
        clip = job.hyperparameters["clip"]
        return several_hosts.fit(
            estimator, fitted, fares, progress, job.cluster, clip=clip, begun=text
        )
    targets = pull_outliers(fitted, trips[FARE.name], **_pulling(job))
    trips.clear()  # memory for the fit
    fit(estimator, fitted, targets, progress, model)
    return estimator


def _fitted_on(job: TrainingJob, trips: Columns) -> Callable[[Columns], np.ndarray]:
    """
    Return what predicts fares by an estimator that is fitted on ``trips`` at once.
    """
    from taxi_fare.estimator import make_estimator, precision, pull_outliers

    estimator, last_day = make_estimator(**_parameters(job)), features.last_day(trips)
    fitted = blocks.matrix(trips, precision(estimator), last_day)
    estimator.fit(fitted, pull_outliers(fitted, trips[FARE.name], **_pulling(job)))
    typical_fare = float(np.median(trips[FARE.name]))
    return partial(predict, artifact.to_serve(estimator, typical_fare, last_day))


def _parameters(job: TrainingJob) -> dict[str, Any]:
    """
    Return the hyperparameters that describe the estimator.
    """
    others = ("validation_fraction", "clip")
    return {name: value for name, value in job.hyperparameters.items() if name not in others}


def _pulling(job: TrainingJob) -> dict[str, Any]:
    """
    Return those by which outliers are pulled.
    """
    return {name: job.hyperparameters[name] for name in ("estimator", "clip", "seed")}


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
