"""
A classifier of LightGBM, asked through its own library.
"""

from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from sagemaker_runtime.algorithm import Column, Table, TrainingJob

INPUT = Table(*(Column(f"x{number}", "number", "0.5") for number in range(20)), as_frame=True)
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py fits the model")


def load(model_dir: Path) -> Any:
    return joblib.load(model_dir / "lightgbm")


def predict(model: Any, frame: pd.DataFrame) -> Any:
    return model.predict_proba(frame)[:, 1]
