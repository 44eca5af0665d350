"""Text columns and gaps in, label and probability out."""

from sagemaker_runtime.algorithm import Column, Rows, Table

INPUT = Table(
    Column("age", "number", "39", optional=True),
    Column("country", "text", "NA", optional=True),
    Column("hours", "number", "40"),
    label=Column("income", "text", ">50K"),
)
OUTPUT = Rows("label", "probability")
HYPERPARAMETERS = ()


def train(job):
    import pandas as pd
    import skops.io
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    data = pd.concat(pd.DataFrame(piece) for piece in job.rows("training"))
    features = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["country"]),
        (SimpleImputer(), ["age", "hours"]),
    )
    model = make_pipeline(features, LogisticRegression(max_iter=1000))
    model.fit(data.drop(columns="income"), data["income"])
    skops.io.dump(model, job.model_dir / "model.skops")


def load(model_dir):
    import skops.io

    return skops.io.load(model_dir / "model.skops", trusted=["numpy.dtype"])


def predict(model, columns):
    import pandas as pd

    probabilities = model.predict_proba(pd.DataFrame(columns))
    best = probabilities.argmax(axis=1)
    return {"label": model.classes_[best], "probability": probabilities.max(axis=1)}
