"""
Serves a model that was trained elsewhere: ``model.onnx`` and ``example.csv`` beside this file.
"""

import csv
import shutil
from pathlib import Path

import numpy as np
import onnxruntime

from pretrained_model.transform import transform
from sagemaker_runtime.algorithm import Column, Columns, Hyperparameter, Table, TrainingJob
from sagemaker_runtime.errors import InvalidValue, ModelError
from sagemaker_runtime.formats.values import convert, examples

HERE = Path(__file__).parent
MODEL = "model.onnx"


def _column(name: str, example: str) -> Column:
    """
    Return a column of the first kind that the example can be read as.
    """
    for kind in ("number", "timestamp"):
        column = Column(name, kind, example)
        try:
            convert(column, [example])
        except InvalidValue:
            continue
        return column
    return Column(name, "text", example)


with (HERE / "example.csv").open(newline="", encoding="utf-8-sig") as file:
    names, row, *_ = csv.reader(file)

INPUT = Table(*map(_column, names, row))
HYPERPARAMETERS: tuple[Hyperparameter, ...] = ()


def train(job: TrainingJob) -> None:
    """
    Verify the model on the example and copy it, so that ``Estimator.fit`` yields an archive.

    The file comes from the channel ``model`` where the job has one, else from this folder.
    """
    source = job.channels.get("model", HERE)
    for file in source.glob(f"{MODEL}*"):  # large models keep their weights in files of their own
        shutil.copyfile(file, job.model_dir / file.name)
    predict(load(job.model_dir), examples(INPUT))
    print(f"{MODEL} answered the row of example.csv; copied from {source}")


def load(model_dir: Path) -> onnxruntime.InferenceSession:
    """
    Return a session on ``model.onnx``; nothing in the file is executed.

    Raises ModelError when the file is missing or no ONNX model.
    """
    if not (model_dir / MODEL).is_file():
        there = sorted(path.name for path in model_dir.iterdir())
        raise ModelError(
            f"{model_dir} lacks {MODEL}; there is: {', '.join(there) or 'nothing'}. "
            f"Put the file at the top of the archive: tar -czf model.tar.gz {MODEL}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # gunicorn's workers are the parallelism
    try:
        return onnxruntime.InferenceSession(
            str(model_dir / MODEL), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise ModelError(f"{MODEL} is no model that onnxruntime can read: {error}") from error


def predict(model: onnxruntime.InferenceSession, columns: Columns) -> np.ndarray:
    """
    Return the model's first output, one entry per row.
    """
    (first, *_) = model.get_inputs()
    return model.run(None, {first.name: transform(columns)})[0]
