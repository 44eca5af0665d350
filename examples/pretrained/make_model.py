"""
Makes the kit's ``model.onnx`` and ``example.csv``: stands for the place where yours was trained.

Needs scikit-learn, pandas and skl2onnx: ``python examples/pretrained/make_model.py``
"""

from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor

KIT = Path(__file__).parent / "pretrained_model"


def main() -> None:
    """
    Fit bike rentals per hour on made-up weather, write the model and one row of its input.
    """
    rng = np.random.default_rng(7)
    weather = pd.DataFrame(
        {
            "temperature": rng.normal(15, 8, 2_000).round(1),
            "humidity": rng.uniform(20, 100, 2_000).round(),
            "hour": rng.integers(0, 24, 2_000),
        }
    )
    rentals = 40 + 6 * weather.temperature - weather.humidity + 90 * weather.hour.between(7, 19)
    model = GradientBoostingRegressor(n_estimators=40, random_state=7)
    model.fit(weather.to_numpy(np.float32), rentals)
    onnx = to_onnx(model, weather.head(1).to_numpy(np.float32))
    (KIT / "model.onnx").write_bytes(onnx.SerializeToString())
    weather.head(1).to_csv(KIT / "example.csv", index=False)


if __name__ == "__main__":
    main()
