"""
The same pipeline, whose last step, boosted trees, this project's engine scores.
"""

from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from sagemaker_runtime.algorithm import Column, Table, TrainingJob
from sagemaker_runtime.engines.trees import Trees

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


def load(model_dir: Path) -> tuple[Any, Trees]:
    pipeline = joblib.load(model_dir / "pipeline")
    return pipeline[:-1], Trees.from_estimator(pipeline[-1])


def predict(model: tuple[Any, Trees], frame: pd.DataFrame) -> Any:
    steps, trees = model
    return trees.predict(steps.transform(frame))
