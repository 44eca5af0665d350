"""Serves the classifier: CSV is read by the defaults, the answer is made here."""

import json
import os

import joblib


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))


def predict_fn(input_data, model):
    return model.classes_, model.predict_proba(input_data)


def output_fn(prediction, accept):
    classes, probabilities = prediction
    if accept == "text/csv":
        return "".join(",".join(map(str, row)) + "\n" for row in probabilities.round(4))
    if accept == "application/json":
        return json.dumps([dict(zip(classes, row, strict=True)) for row in probabilities.round(4)])
    raise ValueError(f"unsupported accept type: {accept}")
