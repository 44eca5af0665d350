"""
A classifier of XGBoost, asked through its own library.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from xgboost import XGBClassifier

from sagemaker_runtime.algorithm import Column, Columns, Table, TrainingJob

INPUT = Table(*(Column(f"x{number}", "number", "0.5") for number in range(20)))
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py fits the model")


def load(model_dir: Path) -> XGBClassifier:
    model = XGBClassifier()
    model.load_model(model_dir / "xgboost.ubj")
    return model


def predict(model: Any, columns: Columns) -> Any:
    return model.predict_proba(pd.DataFrame(columns))[:, 1]
