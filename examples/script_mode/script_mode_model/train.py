"""Trains a classifier of flowers, as a script for AWS's scikit-learn container does."""

import argparse
import os
import pathlib

import joblib
import pandas as pd
from features import AddRatio
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-estimators", type=int, default=50)
    parser.add_argument("--max-depth", type=int, default=4)
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR"))
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING"))
    args = parser.parse_args()

    files = sorted(pathlib.Path(args.training).rglob("*.csv"))
    data = pd.concat(pd.read_csv(file) for file in files)
    x, y = data.drop(columns="species").to_numpy(), data["species"]

    forest = RandomForestClassifier(args.n_estimators, max_depth=args.max_depth, random_state=0)
    model = make_pipeline(AddRatio(), forest).fit(x, y)
    print(f"train:accuracy={model.score(x, y):.4f};")

    joblib.dump(model, os.path.join(args.model_dir, "model.joblib"))
    report = pathlib.Path(args.output_data_dir, "importances.csv")
    pd.Series(forest.feature_importances_).to_csv(report)
