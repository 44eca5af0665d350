"""
Makes a copy of container/ with somebody's algorithm on pandas and scikit-learn inside.

    python guest.py FOLDER
"""

import shutil
import sys
from pathlib import Path

ALGORITHM = """\
import fares
import pandas as pd

from sagemaker_runtime.algorithm import Column, Table

NAMES = [f"{end}_{axis}" for end in ("pickup", "dropoff") for axis in ("longitude", "latitude")]
INPUT = Table(
    Column("pickup_datetime", "timestamp", "2014-02-25 12:17:00 UTC"),
    *(Column(name, "number", "40.7") for name in NAMES),
    Column("passenger_count", "number", "1"),
)
HYPERPARAMETERS = ()


def train(job):
    raise NotImplementedError


def load(model_dir):
    return fares.load()


def predict(model, columns):
    return fares.predict(model, pd.DataFrame(columns))
"""

container = Path(__file__).parents[2] / "container"
folder = Path(sys.argv[1])
shutil.rmtree(folder, ignore_errors=True)
shutil.copytree(container, folder, ignore=shutil.ignore_patterns("taxi_fare", "__pycache__"))
(folder / "guest").mkdir()
(folder / "guest/__init__.py").write_text(ALGORITHM)
