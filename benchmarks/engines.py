#!/usr/bin/env python3
"""
Measures how fast the fare model's trees are scored: this project's engine beside the libraries.

    OMP_WAIT_POLICY=passive python benchmarks/engines.py

Trains one model on the sample in the repository; lightgbm and lleaves score one of LightGBM's with
as many trees and leaves. Needs requirements.txt; the other libraries are measured where they are
installed: pip install onnxruntime skl2onnx lightgbm lleaves 'llvmlite<0.45'. Prints a table in
Markdown: medians over interleaved rounds, in brackets the fastest and the slowest. Speeds are
ratios to the best library's, the same engine with one thread or all counting as two.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "container"))

from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from sagemaker_runtime.engines.trees import Trees
from sagemaker_runtime.training import tables
from taxi_fare import cleaning, features
from taxi_fare.schema import FARE, INPUT

TOP = Path(__file__).resolve().parent.parent
SAMPLE = TOP / "local_test/test_dir/input/data/training"
ROWS = 10_000
SECONDS = 0.2  # that an engine is given in each round, for one row and for many alike

Predict = Callable[[np.ndarray], Any]
# Given the estimator, the training rows, their fares and the threads.
Make = Callable[[Any, np.ndarray, np.ndarray, int], Predict]


def compiled(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    trees = Trees.from_estimator(estimator)
    if not trees.is_compiled:
        raise ImportError("run container/compile.sh")
    return lambda features: trees.predict(features, threads)


def plain(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    return Trees.from_estimator(estimator).ensemble.walk


def scikit_learn(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    def predict(features: np.ndarray) -> Any:
        with threadpool_limits(threads):
            return estimator.predict(features)

    # Setting the limit costs more than a row: only where it is not the default.
    return predict if threads < processors() else estimator.predict


def treelite(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    import treelite

    model = treelite.sklearn.import_model(estimator)
    return lambda features: treelite.gtil.predict(model, features, nthread=threads)


def onnxruntime(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    import onnxruntime
    from skl2onnx import to_onnx

    model = to_onnx(estimator, rows[:1].astype(np.float32)).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())
    return lambda features: session.run(None, {name: features.astype(np.float32)})[0]


def lightgbm(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    import lightgbm

    data = lightgbm.Dataset(rows, fares)
    settings = {"num_leaves": estimator.max_leaf_nodes, "verbose": -1, "min_data_in_leaf": 20}
    booster = lightgbm.train(settings, data, estimator.max_iter)
    return lambda features: booster.predict(features, num_threads=threads)


def lleaves(estimator: Any, rows: np.ndarray, fares: np.ndarray, threads: int) -> Predict:
    import lightgbm
    import lleaves

    data = lightgbm.Dataset(rows, fares)
    settings = {"num_leaves": estimator.max_leaf_nodes, "verbose": -1, "min_data_in_leaf": 20}
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        lightgbm.train(settings, data, estimator.max_iter).save_model(file.name)
        model = lleaves.Model(file.name)
        model.compile()
    return lambda features: model.predict(features, n_jobs=threads)


OURS = {"this project, compiled": compiled, "this project, numpy": plain}
LIBRARIES: dict[str, Make] = {
    "scikit-learn": scikit_learn,
    "treelite (GTIL)": treelite,
    "onnxruntime (single precision)": onnxruntime,
    "LightGBM (its own model)": lightgbm,
    "lleaves (LightGBM's model)": lleaves,
}


def processors() -> int:
    return len(os.sched_getaffinity(0))


def seconds_per_call(predict: Predict, matrix: np.ndarray) -> float:
    """
    Return the fastest of the calls made in ``SECONDS``: others use the machine too.
    """
    best, end = float("inf"), time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end or best == float("inf"):
        predict(matrix)
        best = min(best, time.perf_counter() - start)
    return best


def engines(estimator: Any, rows: np.ndarray, fares: np.ndarray) -> Iterator[tuple[str, Predict]]:
    """
    Make each engine that is installed, for one thread and for as many as there are processors.

    What is missing, or was made for other versions of what it needs, is named on stderr.
    """
    for name, make in (OURS | LIBRARIES).items():
        for threads in sorted({1, processors()} if make is not plain else {1}):
            try:
                yield f"{name} | {threads}", make(estimator, rows, fares, threads)
            except (ImportError, AttributeError) as error:
                print(f"absent: {name} ({error})", file=sys.stderr)
                break


def table(one: dict[str, list[float]], many: dict[str, list[float]]) -> Iterator[str]:
    """
    Write the seconds per call of each engine as lines of Markdown, the best library as 1.
    """
    libraries = [name for name in one if name.split(" | ")[0] in LIBRARIES]
    best_one, best_many = (
        min((statistics.median(found[name]) for name in libraries), default=float("nan"))
        for found in (one, many)
    )
    yield "| engine | threads | 1 row: speed | µs | 10,000 rows: speed | 1,000 rows/s |"
    yield "|---|---|---|---|---|---|"
    for name in one:
        row, rows = statistics.median(one[name]), statistics.median(many[name])
        rates = sorted(ROWS / seconds / 1e3 for seconds in many[name])
        yield (
            f"| {name} | {best_one / row:.2f} x | {row * 1e6:.1f} "
            f"({min(one[name]) * 1e6:.1f} to {max(one[name]) * 1e6:.1f}) "
            f"| {best_many / rows:.2f} x "
            f"| {ROWS / rows / 1e3:.0f} ({rates[0]:.0f} to {rates[-1]:.0f}) |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trees", type=int, default=300, help="trees (default: %(default)s)")
    parser.add_argument("--leaves", type=int, default=31, help="leaves (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (default: %(default)s)")
    arguments = parser.parse_args()

    trips, _ = cleaning.clean(tables.read(SAMPLE, INPUT))
    matrix, fares = features.build(trips), trips[FARE.name]
    estimator = HistGradientBoostingRegressor(
        max_iter=arguments.trees, max_leaf_nodes=arguments.leaves, early_stopping=False
    ).fit(matrix, fares)
    found = dict(engines(estimator, matrix, fares))
    single, batch = matrix[:1].copy(), np.resize(matrix, (ROWS, matrix.shape[1]))
    one: dict[str, list[float]] = {name: [] for name in found}
    many: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(arguments.rounds):
        for name, predict in found.items():
            one[name].append(seconds_per_call(predict, single))
            many[name].append(seconds_per_call(predict, batch))

    print(
        f"{arguments.trees} trees of {arguments.leaves} leaves, {matrix.shape[1]} features; "
        f"{platform.machine()}, {processors()} processors, Python {platform.python_version()}\n"
    )
    print(*table(one, many), sep="\n")


if __name__ == "__main__":
    main()
