"""
An ONNX model of images, asked through onnxruntime with its own choice of threads.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from sagemaker_runtime.algorithm import Json, Npy, TrainingJob

INPUT = Npy(example=np.zeros((1, 3, 128, 128), "uint8"))
OUTPUT = Json()
HYPERPARAMETERS = ()


def train(job: TrainingJob) -> None:
    raise NotImplementedError("benchmarks/peers/work.py makes the model")


def load(model_dir: Path) -> onnxruntime.InferenceSession:
    file = str(model_dir / "image")
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def predict(model: onnxruntime.InferenceSession, pixels: np.ndarray) -> Any:
    return {"predictions": model.run(None, {"image": pixels})[0][:, 0]}
