"""
A pipeline of OneHotEncoder, StandardScaler and boosted trees, fitted on a DataFrame elsewhere.
"""

from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from sagemaker_runtime.algorithm import Column, Table, TrainingJob

INPUT = Table(
    Column("city", "text", "Oslo"),
    Column("plan", "text", "family"),
    Column("device", "text", "phone"),
    Column("age", "number", "41"),
    Column("months", "number", "12"),
    Column("calls", "number", "40"),
    Column("gigabytes", "number", "11.5"),
    Column("complaints", "number", "0"),
    as_frame=True,
)
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py fits the model")


def load(model_dir: Path) -> Any:
    return joblib.load(model_dir / "pipeline")


def predict(model: Any, frame: pd.DataFrame) -> Any:
    return model.predict(frame)
