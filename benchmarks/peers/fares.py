"""
The sample's fares as one predicts them with pandas and scikit-learn.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

AIRPORTS = {"jfk": (-73.7822, 40.6446), "lga": (-73.8720, 40.7747), "ewr": (-74.1776, 40.6900)}
LONGITUDES, LATITUDES = (-74.5, -72.8), (40.4, 41.3)
# As this project's defaults, so that the model has the same size.
SETTINGS: dict[str, Any] = {
    "max_iter": 150, "max_leaf_nodes": 63, "learning_rate": 0.1, "min_samples_leaf": 60,
    "l2_regularization": 1.0, "early_stopping": False, "random_state": 0,
}  # fmt: skip


def km(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Any:
    """
    Great-circle distance between points in degrees.
    """
    lon1, lat1, lon2, lat2 = (np.radians(degrees) for degrees in (lon1, lat1, lon2, lat2))
    a = np.sin((lat2 - lat1) / 2) ** 2
    a = a + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 12742 * np.arcsin(np.sqrt(a))


def features(trips: pd.DataFrame) -> pd.DataFrame:
    """
    The features of trips: 19 columns, as many as this project has.
    """
    time = pd.to_datetime(trips["pickup_datetime"], format="%Y-%m-%d %H:%M:%S UTC")
    lon1, lat1 = trips["pickup_longitude"], trips["pickup_latitude"]
    lon2, lat2 = trips["dropoff_longitude"], trips["dropoff_latitude"]
    columns = {
        "lon1": lon1, "lat1": lat1, "lon2": lon2, "lat2": lat2,
        "east": lon2 - lon1,
        "north": lat2 - lat1,
        "km": km(lon1, lat1, lon2, lat2),
        "grid_km": km(lon1, lat1, lon2, lat1) + km(lon2, lat1, lon2, lat2),
        "bearing": np.arctan2(lon2 - lon1, lat2 - lat1),
        "passengers": trips["passenger_count"],
        "hour": time.dt.hour,
        "weekday": time.dt.weekday,
        "day": time.dt.day,
        "month": time.dt.month,
        "year": time.dt.year,
    }  # fmt: skip
    columns["tariff"] = 2.5 + 1.55 * columns["km"] * (1 + 0.25 * (time >= "2012-09-04"))
    for name, (lon, lat) in AIRPORTS.items():
        columns[name] = np.minimum(km(lon1, lat1, lon, lat), km(lon2, lat2, lon, lat))
    return pd.DataFrame(columns)


def clean(trips: pd.DataFrame) -> pd.DataFrame:
    """
    Keep the trips with a possible fare inside the city.
    """
    keep = trips["fare_amount"].between(2.5, 250)
    for end in ("pickup", "dropoff"):
        keep &= trips[f"{end}_longitude"].between(*LONGITUDES)
        keep &= trips[f"{end}_latitude"].between(*LATITUDES)
    return trips[keep]


def fit(trips: pd.DataFrame) -> HistGradientBoostingRegressor:
    """
    Fit the estimator on cleaned trips.
    """
    estimator = HistGradientBoostingRegressor(**SETTINGS)
    return estimator.fit(features(trips), trips["fare_amount"])


def predict(estimator: HistGradientBoostingRegressor, trips: pd.DataFrame) -> np.ndarray:
    return np.maximum(estimator.predict(features(trips)), 2.5).round(2)
