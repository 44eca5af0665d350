"""
A model that learns from the rows of all hosts without a library for it: logistic regression whose
Newton steps are sums over rows, and so over hosts.
"""

import json
from pathlib import Path

import numpy as np

from sagemaker_runtime.algorithm import Column, Columns, Hyperparameter, Rows, Table, TrainingJob
from sagemaker_runtime.errors import DataError, Stopped
from sagemaker_runtime.formats.columns import join

INPUT = Table(
    Column("size", "number", example="3.5"),
    Column("age", "number", example="40"),
    label=Column("bought", "boolean", example="true"),
)
OUTPUT = Rows("probability")
HYPERPARAMETERS = (
    Hyperparameter("steps", 20, "Newton steps at most.", minimum=1),
    Hyperparameter("l2", 1e-3, "L2 regularisation of the weights.", minimum=0),
)
DISTRIBUTED = True

MODEL = "model.json"
ENOUGH = 1e-10  # change of a weight below which it has converged


def train(job: TrainingJob) -> None:
    """
    Fit the weights; each host holds its own rows, and all take the same steps.

    Raises DataError without rows, Stopped when the job is to end before the first step.
    """
    columns = join(job.rows("training"))
    rows, bought = _matrix(columns), columns["bought"].astype(float)
    total = sum(job.cluster.gather(len(bought)))
    if not total:
        raise DataError("channel training holds no rows; expected at least one. Fill its files.")
    weights = np.zeros(rows.shape[1])
    for step in range(job.hyperparameters["steps"]):
        if any(job.cluster.gather(job.stopping())):
            if not step:
                raise Stopped("the job was asked to stop before there was a model.")
            job.partial(f"{step} Newton steps, as the job was asked to stop")
            break
        p = _probability(rows, weights)
        gradient = sum(job.cluster.gather(rows.T @ (bought - p)))
        curvature = sum(job.cluster.gather((rows.T * (p * (1 - p))) @ rows))
        curvature += job.hyperparameters["l2"] * np.eye(len(weights))
        change = np.linalg.solve(curvature, gradient - job.hyperparameters["l2"] * weights)
        weights += change
        if np.abs(change).max() < ENOUGH:
            break
    p = np.clip(_probability(rows, weights), 1e-12, 1 - 1e-12)
    loss = -(bought * np.log(p) + (1 - bought) * np.log(1 - p)).sum()
    job.metric("train:logloss", float(sum(job.cluster.gather(loss)) / total))
    if job.cluster.is_leader:
        text = json.dumps({"weights": weights.tolist()})
        (job.model_dir / MODEL).write_text(text, encoding="utf-8")


def load(model_dir: Path) -> np.ndarray:
    """
    Return the weights.
    """
    return np.array(json.loads((model_dir / MODEL).read_text(encoding="utf-8"))["weights"])


def predict(weights: np.ndarray, columns: Columns) -> np.ndarray:
    """
    Return the probability for each row, shape (rows,).
    """
    return _probability(_matrix(columns), weights)


def _matrix(columns: Columns) -> np.ndarray:
    size, age = columns["size"], columns["age"]
    return np.stack([np.ones(len(size)), size, age / 100], axis=1)


def _probability(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    scores: np.ndarray = 1 / (1 + np.exp(-(rows @ weights)))
    return scores
