"""
An algorithm that fits at once, and rows for it: a price is ``slope`` times ``size``.
"""

import csv
from pathlib import Path

import numpy as np

SOURCE = """
import json

import numpy as np

from sagemaker_runtime.algorithm import Column, Hyperparameter, Table
from sagemaker_runtime.formats.columns import join

INPUT = Table(
    Column("size", "number", "3.5"),
    Column("place", "text", "Bronx", optional=True),
    label=Column("price", "number", "9.5"),
)
HYPERPARAMETERS = (Hyperparameter("bias", 0.0, "Added to each prediction."),)


def train(job):
    rows = join(job.rows("training"))
    if job.hyperparameters["bias"] < 0:
        raise ValueError("bias is below zero")
    slope = float(rows["size"] @ rows["price"] / (rows["size"] @ rows["size"]))
    job.seen.judge(rows, slope * rows["size"])
    content = {"slope": slope, "rows": len(rows["size"]), "bias": job.hyperparameters["bias"]}
    (job.model_dir / "model.json").write_text(json.dumps(content))


def load(model_dir):
    return json.loads((model_dir / "model.json").read_text())


def predict(model, columns):
    return model["slope"] * columns["size"] + model["bias"]
"""


def write(path: Path, rows: int, slope: float, seed: int = 0, noise: float = 0.5) -> Path:
    """
    Write rows as a CSV file and return its folder.
    """
    random = np.random.default_rng(seed)
    sizes = random.uniform(1, 10, rows)
    prices = slope * sizes + random.normal(0, noise, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("price", "size", "place"))
        writer.writerows(
            (round(price, 3), round(size, 3), "Queens")
            for price, size in zip(prices, sizes, strict=True)
        )
    return path.parent
