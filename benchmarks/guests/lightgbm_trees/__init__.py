"""
A classifier of LightGBM, whose trees this project's engine scores.
"""

from pathlib import Path
from typing import Any

import joblib
import numpy as np

from sagemaker_runtime.algorithm import Column, Columns, Table, TrainingJob
from sagemaker_runtime.engines.trees import Trees

INPUT = Table(*(Column(f"x{number}", "number", "0.5") for number in range(20)))
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py fits the model")


def load(model_dir: Path) -> Trees:
    return Trees.from_estimator(joblib.load(model_dir / "lightgbm"))


def predict(model: Trees, columns: Columns) -> Any:
    return model.predict_proba(np.column_stack(list(columns.values())))[:, 1]
