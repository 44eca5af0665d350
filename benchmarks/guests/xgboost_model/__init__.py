"""
A classifier of XGBoost, asked through its own library.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from xgboost import XGBClassifier

from sagemaker_runtime.algorithm import Column, Table, TrainingJob

INPUT = Table(*(Column(f"x{number}", "number", "0.5") for number in range(20)), as_frame=True)
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py fits the model")


def load(model_dir: Path) -> XGBClassifier:
    model = XGBClassifier()
    model.load_model(model_dir / "xgboost.ubj")
    return model


def predict(model: Any, frame: pd.DataFrame) -> Any:
    return model.predict_proba(frame)[:, 1]
