"""
Makes the ONNX classifiers beside this file, in the three shapes that converters write.

Needs scikit-learn, pandas and skl2onnx: ``python tests/examples/onnx/make.py``
"""

from pathlib import Path

import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

HERE = Path(__file__).parent


def main() -> None:
    """
    Fit whether somebody is an adult, on age alone and on age and country.
    """
    people = pd.DataFrame({"age": [8.0, 12, 30, 45] * 5, "country": ["NA", "DE", "DE", "NA"] * 5})
    adult = ["no", "no", "yes", "yes"] * 5
    ages = people[["age"]].to_numpy("f4")
    plain = LogisticRegression(max_iter=1000).fit(ages, adult)
    encoded = make_column_transformer((OneHotEncoder(), ["country"]), remainder="passthrough")
    mixed = make_pipeline(encoded, LogisticRegression(max_iter=1000)).fit(people, adult)
    types = [("age", FloatTensorType([None, 1])), ("country", StringTensorType([None, 1]))]
    for name, onnx in {
        "dicts": to_onnx(plain, ages),
        "arrays": to_onnx(plain, ages, options={"zipmap": False}),
        "columns": to_onnx(mixed, initial_types=types),
    }.items():
        (HERE / f"{name}.onnx").write_bytes(onnx.SerializeToString())


if __name__ == "__main__":
    main()
