"""An array of 1.5 GB that the workers share: mapped from its file, or loaded before they fork."""

import os

import numpy as np

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(Column("row", "number", "0"))
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return np.load(model_dir / "vectors.npy", mmap_mode=None if "IN_MEMORY" in os.environ else "r")


def predict(vectors, columns):
    total = vectors.sum(dtype="f8")  # looks at each page
    return vectors[columns["row"].astype(int), 0] + total
