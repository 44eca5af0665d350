"""
Answers of the application, read by the deserializers of an SDK in a notebook's environment.
"""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from application import LINE, client_of
from fake_algorithm import FakeAlgorithm
from sagemaker_runtime.algorithm import Npy, Rows, Writer

TWO = Rows("label", "probability")
PREDICTIONS = {"label": ["cheap", 'so, "so"'], "probability": [0.25, 0.5]}

# Deserializer, what the SDK sends as Accept for it, OUTPUT, and what is read.
CASES: dict[str, tuple[str, str, Writer, object]] = {
    "csv": ("CSVDeserializer", "text/csv", TWO, [["cheap", "0.25"], ['so, "so"', "0.5"]]),
    "json": (
        "JSONDeserializer",
        "application/json",
        TWO,
        {
            "predictions": [
                {"label": "cheap", "probability": 0.25},
                {"label": 'so, "so"', "probability": 0.5},
            ]
        },
    ),
    "jsonl": (
        "JSONLinesDeserializer",
        "application/jsonlines",
        Rows(),
        [{"prediction": 0.25}, {"prediction": 0.5}],
    ),
    "npy": ("NumpyDeserializer", "application/x-npy", Npy(), [0.25, 0.5]),
    "numpy-csv": ("NumpyDeserializer", "text/csv", Rows(), [0.25, 0.5]),
    "numpy-json": (
        "NumpyDeserializer",
        "application/json",
        Rows(),
        {"predictions": [0.25, 0.5]},
    ),
    # It takes the first line for names.
    "pandas": ("PandasDeserializer", "text/csv, application/json", Rows(), {"0.25": {"0": 0.5}}),
    "pandas-json": (
        "PandasDeserializer",
        "application/json",
        Rows(),
        {"predictions": {"0": 0.25, "1": 0.5}},
    ),
    "string": ("StringDeserializer", "application/json", Rows(), '{"predictions": [0.25,0.5]}'),
    "bytes": ("BytesDeserializer", "*/*", Rows(), "0.25\n0.5\n"),
    "stream": ("StreamDeserializer", "*/*", Rows(), ["0.25\n0.5\n", "text/csv"]),
}

# What answers cannot be, or needs PyTorch.
OTHERS = {"Base", "SimpleBase", "TorchTensor", "Record", "JumpStart"}

READ = """
import base64, importlib, io, json, sys
module = importlib.import_module(sys.argv[1])
names = [name for name in dir(module) if name.endswith("Deserializer")]

def plain(value):
    if isinstance(value, tuple):
        return [plain(value[0].read()), value[1]]
    if hasattr(value, "to_json"):
        return json.loads(value.to_json())
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.decode() if isinstance(value, bytes) else value

read = {}
for name, (kind, content_type, body) in json.load(sys.stdin).items():
    found = getattr(module, kind)().deserialize(io.BytesIO(base64.b64decode(body)), content_type)
    read[name] = plain(found)
print(json.dumps([names, read]))
"""


def check(python: Path, module: str) -> None:
    """
    Check that each deserializer of an SDK's module reads an answer, and that none is left out.
    """
    answers = {}
    for name, (kind, accept, output, _) in CASES.items():
        predictions: Any = PREDICTIONS if output is TWO else np.array([0.25, 0.5])
        algorithm = FakeAlgorithm(lambda columns, found=predictions: _first(found, columns))
        algorithm.output = output
        response = client_of(algorithm=algorithm).post(
            "/invocations", data=LINE * 2, content_type="text/csv", headers={"Accept": accept}
        )
        assert response.status_code == 200, (name, response.text)
        body = base64.b64encode(response.data).decode()
        answers[name] = (kind, response.headers["Content-Type"], body)
    done = subprocess.run(
        [python, "-c", READ, module], input=json.dumps(answers), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names, read = json.loads(done.stdout.splitlines()[-1])
    assert read == {name: case[3] for name, case in CASES.items()}
    left_out = {name.removesuffix("Deserializer") for name in names} - OTHERS
    assert left_out == {case[0].removesuffix("Deserializer") for case in CASES.values()}


def _first(predictions: Any, columns: Any) -> Any:
    """
    Return as many of the predictions as there are rows; the self-test asks with one.
    """
    rows = len(columns["pickup_latitude"])
    if isinstance(predictions, dict):
        return {name: values[:rows] for name, values in predictions.items()}
    return predictions[:rows]
