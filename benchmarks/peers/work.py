"""
The models that people bring, and the work that every peer does with them.

    python work.py FOLDER NAME...

fits them into FOLDER and writes what is sent to them, and what it must be answered, beside them.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import fares
import joblib
import numpy as np
import onnx_file
import pandas as pd

BODIES = 100
SEED = 15
FITTED_ROWS = 20_000
TREES = 150
CITIES = ("Berlin", "Bogota", "Chicago", "Lagos", "Lima", "Oslo", "Osaka", "Pune")
PLANS = ("basic", "family", "prepaid", "student")
DEVICES = ("phone", "tablet", "watch")
FEATURES = 20
WAIT_S = 0.05
PIXELS = 128
NPY = "application/x-npy"
CSV = "text/csv"


def customers(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """
    Customers as a database has them: three columns of texts and five of numbers.
    """
    return pd.DataFrame(
        {
            "city": rng.choice(CITIES, rows),
            "plan": rng.choice(PLANS, rows),
            "device": rng.choice(DEVICES, rows),
            "age": rng.integers(18, 90, rows),
            "months": rng.integers(0, 120, rows),
            "calls": rng.poisson(40, rows),
            "gigabytes": rng.gamma(2, 6, rows).round(2),
            "complaints": rng.poisson(0.4, rows),
        }
    )


def numbers(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """
    Measurements: twenty columns of numbers.
    """
    values = rng.normal(size=(rows, FEATURES)).round(4)
    return pd.DataFrame(values, columns=[f"x{number}" for number in range(FEATURES)])


def texts(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """
    Texts of sixty words, some words being far more common than others.
    """
    words = [f"{a}{b}{c}" for a in ("ba", "ko", "mi", "tu") for b in "aeiou" for c in "bdfglmnprst"]
    common = 1 / np.arange(1, len(words) + 1)
    drawn = rng.choice(words, (rows, 60), p=common / common.sum())
    return pd.DataFrame({"text": [" ".join(each) for each in drawn]})


def images(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.integers(0, 256, (rows, 3, PIXELS, PIXELS), np.uint8)


def trips(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """
    The sample's trips, from the file that BENCHMARK_TRIPS names.
    """
    return fares.clean(pd.read_csv(os.environ["BENCHMARK_TRIPS"]))


def fit_pipeline(table: pd.DataFrame, file: Path) -> None:
    """
    Fit OneHotEncoder, StandardScaler and boosted trees on a DataFrame.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [("texts", encoder, list(table)[:3]), ("numbers", StandardScaler(), list(table)[3:])]
    )
    trees = HistGradientBoostingRegressor(max_iter=TREES, early_stopping=False, random_state=SEED)
    spent = 9 + table.gigabytes + table.calls / 9 + 7 * (table.plan == "family")
    spent += np.sqrt(table.months) * (table.city == "Oslo") - table.complaints * table.age / 50
    joblib.dump(make_pipeline(columns, trees).fit(table, spent), file)


def labels(table: pd.DataFrame) -> np.ndarray:
    """
    Two classes that trees can tell apart, though not all of the time.
    """
    noise = np.random.default_rng(SEED).normal(size=len(table))
    return (table.x0 * table.x1 + np.abs(table.x2) - table.x3 + noise > 0).to_numpy(int)


def fit_lightgbm(table: pd.DataFrame, file: Path) -> None:
    from lightgbm import LGBMClassifier

    settings: dict[str, Any] = {"n_estimators": TREES, "random_state": SEED, "verbose": -1}
    joblib.dump(LGBMClassifier(**settings).fit(table, labels(table)), file)


def fit_xgboost(table: pd.DataFrame, file: Path) -> None:
    from xgboost import XGBClassifier

    XGBClassifier(n_estimators=TREES, random_state=SEED).fit(table, labels(table)).save_model(file)


def load_xgboost(file: Path) -> Any:
    from xgboost import XGBClassifier

    model = XGBClassifier()
    model.load_model(file)
    return model


def fit_text(table: pd.DataFrame, file: Path) -> None:
    """
    Fit TF-IDF and a linear model.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(ngram_range=(1, 2), max_features=50_000)
    wanted = table.text.str.count("mi") > 9
    joblib.dump(make_pipeline(vectors, LogisticRegression()).fit(table.text, wanted), file)


def fit_image(given: np.ndarray, file: Path) -> None:
    onnx_file.write(file, PIXELS)


def load_image(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the workers are the parallelism
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def waiters(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    return numbers(rng, rows)[["x0"]]


def fit_waiting(table: pd.DataFrame, file: Path) -> None:
    file.write_text("3")


def load_waiting(file: Path) -> float:
    return float(file.read_text())


def fit_fares(table: pd.DataFrame, file: Path) -> None:
    joblib.dump(fares.fit(table), file)


def predict_pipeline(model: Any, instances: list[dict[str, Any]]) -> Sequence[float]:
    return model.predict(pd.DataFrame(instances))


def predict_classes(model: Any, instances: list[dict[str, Any]]) -> Sequence[float]:
    return model.predict_proba(pd.DataFrame(instances))[:, 1]


def predict_text(model: Any, instances: list[dict[str, Any]]) -> Sequence[float]:
    return model.predict_proba([instance["text"] for instance in instances])[:, 1]


def predict_image(model: Any, pixels: np.ndarray) -> Sequence[float]:
    return model.run(None, {"image": pixels})[0][:, 0]


def wait(model: float, instances: list[dict[str, Any]]) -> Sequence[float]:
    """
    Wait as for a feature store.
    """
    time.sleep(WAIT_S)
    return [instance["x0"] * model for instance in instances]


def as_json(table: pd.DataFrame, row: int) -> bytes:
    return json.dumps({"instances": table.iloc[row : row + 1].to_dict("records")}).encode()


def as_csv(table: pd.DataFrame, row: int) -> bytes:
    return table.iloc[row : row + 1, 2:].to_csv(index=False).encode()  # no key, no fare


def as_npy(given: np.ndarray, row: int) -> bytes:
    file = BytesIO()
    np.save(file, given[row : row + 1], allow_pickle=False)
    return file.getvalue()


def from_json(body: bytes) -> list[dict[str, Any]]:
    return json.loads(body)["instances"]


def from_csv(body: bytes) -> pd.DataFrame:
    return pd.read_csv(BytesIO(body))


def from_npy(body: bytes) -> np.ndarray:
    return np.load(BytesIO(body), allow_pickle=False)


def joined(parts: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(parts))


@dataclass(frozen=True)
class Work:
    """
    How a model is fitted into a file and loaded, what a body of a request holds, and how a call
    of the model answers; ``join`` puts the inputs of several requests into one call.
    """

    data: Callable[[np.random.Generator, int], Any]
    fit: Callable[[Any, Path], None]
    load: Callable[[Path], Any]
    predict: Callable[[Any, Any], Sequence[float]]
    write: Callable[[Any, int], bytes] = as_json
    read: Callable[[bytes], Any] = from_json
    join: Callable[[list[Any]], Any] = joined
    content_type: str = "application/json"


WORKS = {
    "pipeline": Work(customers, fit_pipeline, joblib.load, predict_pipeline),
    "lightgbm": Work(numbers, fit_lightgbm, joblib.load, predict_classes),
    "xgboost": Work(numbers, fit_xgboost, load_xgboost, predict_classes),
    "image": Work(images, fit_image, load_image, predict_image, as_npy, from_npy, np.concatenate,
                  NPY),
    "text": Work(texts, fit_text, joblib.load, predict_text),
    "fares": Work(trips, fit_fares, joblib.load, fares.predict, as_csv, from_csv, pd.concat, CSV),
    "waiting": Work(waiters, fit_waiting, load_waiting, wait),
}  # fmt: skip
# XGBoost goes by the suffix.
FILES = {name: f"{name}.ubj" if name == "xgboost" else name for name in WORKS}


class Models:
    """
    The models of these names, or those that BENCHMARK_MODELS names, loaded from BENCHMARK_FOLDER.
    """

    def __init__(self, *names: str) -> None:
        folder = Path(os.environ["BENCHMARK_FOLDER"])
        wanted = names or os.environ["BENCHMARK_MODELS"].split(",")
        self._loaded = {name: WORKS[name].load(folder / FILES[name]) for name in wanted}

    def answer(self, name: str, body: bytes | str) -> list[float]:
        """
        Answer one request.
        """
        return self.answer_all(name, [body])[0]

    def answer_all(self, name: str, bodies: Sequence[bytes | str]) -> list[list[float]]:
        """
        Answer several requests with one call of the model; a text is the body of a request that
        had to be put into JSON.
        """
        work = WORKS[name]
        parts = [work.read(_unpacked(work, body)) for body in bodies]
        rows = parts[0] if len(parts) == 1 else work.join(parts)
        found = list(map(float, work.predict(self._loaded[name], rows)))
        answers = []
        for part in parts:
            answers.append(found[: len(part)])
            found = found[len(part) :]
        return answers


def _unpacked(work: Work, body: bytes | str) -> bytes:
    if isinstance(body, bytes):
        return body
    return base64.b64decode(body) if work.content_type == NPY else body.encode()


def prepare(folder: Path, name: str) -> None:
    """
    Fit a model, and write NAME.bodies, each after its length, and NAME.json with their answers.
    """
    work, rng = WORKS[name], np.random.default_rng(SEED)
    data = work.data(rng, 1 if name == "image" else FITTED_ROWS)
    work.fit(data, folder / FILES[name])
    sent = work.data(rng, BODIES)
    bodies = [work.write(sent, row) for row in range(BODIES)]
    (folder / f"{name}.bodies").write_bytes(b"".join(b"%d\n%b" % (len(b), b) for b in bodies))
    model = work.load(folder / FILES[name])
    rows = work.join([work.read(body) for body in bodies])
    about = {
        "content_type": work.content_type,
        "predictions": list(map(float, work.predict(model, rows))),
    }
    (folder / f"{name}.json").write_text(json.dumps(about))


if __name__ == "__main__":
    for each in sys.argv[2:]:
        prepare(Path(sys.argv[1]), each)
