"""A joblib pipeline that was fitted on a DataFrame with bool and date columns."""

from sagemaker_runtime.algorithm import Column, Table

INPUT = Table(
    Column("signed_up", "timestamp", "2024-02-25"),
    Column("active", "boolean", "true"),
    Column("visits", "number", "3"),
    label=Column("spent", "number", "12.5"),
)
HYPERPARAMETERS = ()


def train(job):
    import joblib
    import pandas as pd
    from pipeline.dates import DaysSince
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    data = pd.concat(pd.DataFrame(piece) for piece in job.rows("training"))
    assert data["active"].dtype == bool
    features = make_column_transformer(
        (DaysSince("2024-01-01"), ["signed_up"]), ("passthrough", ["active", "visits"])
    )
    model = make_pipeline(features, LinearRegression()).fit(data.drop(columns="spent"), data.spent)
    joblib.dump(model, job.model_dir / "model.joblib")


def load(model_dir):
    import joblib

    return joblib.load(model_dir / "model.joblib")


def predict(model, columns):
    import pandas as pd

    return model.predict(pd.DataFrame(columns))
