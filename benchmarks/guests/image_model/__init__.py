"""
An ONNX model of images, asked through this project's engine.
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession

from sagemaker_runtime.algorithm import Json, Npy, TrainingJob
from sagemaker_runtime.engines.onnx import session

INPUT = Npy(example=np.zeros((1, 3, 128, 128), "uint8"))
OUTPUT = Json()
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py makes the model")


def load(model_dir: Path) -> InferenceSession:
    return session(model_dir / "image")


def predict(model: InferenceSession, pixels: np.ndarray) -> Any:
    return {"predictions": model.run(None, {"image": pixels})[0][:, 0]}
