"""
A model that waits for something else, such as a feature store, before it answers.
"""

import time
from pathlib import Path
from typing import Any

from sagemaker_runtime.algorithm import Column, Columns, Table, TrainingJob

WAIT_S = 0.05
INPUT = Table(Column("x0", "number", "0.5"))
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py makes the model")


def load(model_dir: Path) -> float:
    return float((model_dir / "waiting").read_text())


def predict(model: float, columns: Columns) -> Any:
    time.sleep(WAIT_S)
    return columns["x0"] * model
