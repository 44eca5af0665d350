#!/usr/bin/env python3
"""
Measures the fare model by cross-validation grouped by pickup second: RMSE and MAE on core rows.

    python benchmarks/accuracy.py train.csv.gz

Core rows have usable coordinates (swapped ones repaired), a fare of 2.50 to 250 dollars and more
than 50 m between pickup and drop-off. Training cleans rows as `train` does and uses its defaults.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "container"))

from sagemaker_runtime.training import tables
from taxi_fare import cleaning, features, geography
from taxi_fare.estimator import make_estimator, precision, pull_outliers
from taxi_fare.hyperparameters import HYPERPARAMETERS
from taxi_fare.prediction import obey_rules
from taxi_fare.schema import FARE, INPUT

CORE_KM = 0.05


def folds_by_second(pickup: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """
    Give each row a fold, 0 to folds - 1, the same one to all rows of a second.

    Rows of a second may be the same trip twice, which must not be learned and judged on.
    """
    seconds, which = np.unique(pickup, return_inverse=True)
    return (np.random.default_rng(seed).permutation(seconds.size) % folds)[which]


def main() -> None:
    """
    Print a line per fold and one for them all.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV, gzipped CSV or Parquet file")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the division into folds")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="hyperparameters other than the defaults, such as leaves=63",
    )
    arguments = parser.parse_args()
    defaults: dict[str, Any] = {
        h.name: h.default for h in HYPERPARAMETERS if h.name != "validation_fraction"
    }
    for setting in arguments.set:
        name, _, value = setting.partition("=")
        try:
            defaults[name] = type(defaults[name])(value)
        except (KeyError, ValueError):
            parser.error(f"--set {setting}: expected NAME=VALUE, NAME one of {', '.join(defaults)}")
    clip = defaults.pop("clip")

    with tempfile.TemporaryDirectory() as channel:
        (Path(channel) / arguments.rows.name).symlink_to(arguments.rows.resolve())
        columns, report = cleaning.clean(tables.read(Path(channel), INPUT))
    print(*report.lines(), sep="\n")
    fares = columns[FARE.name]
    matrix = features.build(columns)
    core = geography.trip_km(columns) > CORE_KM
    fold = folds_by_second(columns["pickup_datetime"], arguments.folds, arguments.seed)

    results = []
    for number in range(arguments.folds):
        fit, judge = fold != number, (fold == number) & core
        started, cpu = time.perf_counter(), time.process_time()
        estimator = make_estimator(**defaults)
        learned = matrix[fit].astype(precision(estimator))
        library = {name: defaults[name] for name in ("estimator", "seed")}
        targets = pull_outliers(learned, fares[fit], clip=clip, **library)
        estimator.fit(learned, targets)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        # Cleaned rows are usable, so the typical fare is never asked for.
        every = np.ones(judge.sum(), dtype=bool)
        predicted = obey_rules(estimator.predict(matrix[judge]), every, typical_fare=0.0)
        error = predicted - fares[judge]
        results.append((np.sqrt(np.mean(error**2)), np.mean(np.abs(error)), seconds, cpu))
        print(
            "fold {}: RMSE {:.3f}, MAE {:.3f}, fit {:.1f} s, CPU {:.1f} s".format(
                number, *results[-1]
            ),
            flush=True,
        )
    mean, spread = np.mean(results, axis=0), np.std(results, axis=0)
    print(
        f"{arguments.folds} folds, {core.sum():,} core rows: RMSE {mean[0]:.3f} ± {spread[0]:.3f}, "
        f"MAE {mean[1]:.3f} ± {spread[1]:.3f}, fit {mean[2]:.1f} s, CPU {mean[3]:.1f} s"
    )


if __name__ == "__main__":
    main()
