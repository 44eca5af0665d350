"""
The smallest algorithm that trains and serves: it predicts ``slope`` times ``size``.
"""

import json
from pathlib import Path

import numpy as np

from sagemaker_runtime.algorithm import Column, Columns, Hyperparameter, Table, TrainingJob

INPUT = Table(Column("size", "number", example="3.5"))
HYPERPARAMETERS = (Hyperparameter("slope", 2.0, "Prediction per unit of size."),)


def train(job: TrainingJob) -> None:
    """
    Write the slope; a real algorithm would read ``job.channels["training"]`` and fit.
    """
    slope = job.hyperparameters["slope"]
    job.metric("train:slope", slope)
    (job.model_dir / "model.json").write_text(json.dumps({"slope": slope}), encoding="utf-8")


def load(model_dir: Path) -> float:
    """
    Return the slope.
    """
    return float(json.loads((model_dir / "model.json").read_text(encoding="utf-8"))["slope"])


def predict(model: float, columns: Columns) -> np.ndarray:
    """
    Return one number per row, shape (rows,).
    """
    return model * columns["size"]
