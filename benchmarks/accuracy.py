#!/usr/bin/env python3
"""
Measures the fare model on core rows: on rows of the same time, and forward on later ones.

    python benchmarks/accuracy.py train.csv.gz
    python benchmarks/accuracy.py train.csv.gz --against main

Same time: cross-validation grouped by pickup second. Forward: trained on the rows before a date,
judged on those of the half-year after it, for the dates of CUTS. Core rows have usable coordinates
(swapped ones repaired), a fare of 2.50 to 250 dollars and more than 50 m between pickup and
drop-off. Training cleans rows as `train` does and uses its defaults.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from revisions import check_out

TOP = Path(__file__).resolve().parent.parent
CORE_KM = 0.05
CUTS = ("2013-07-01", "2014-01-01", "2014-07-01", "2015-01-01")
HALF_YEAR = np.timedelta64(184, "D")
FIGURES = ("RMSE", "MAE")


def folds_by_second(pickup: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """
    Give each row a fold, 0 to folds - 1, the same one to all rows of a second.

    Rows of a second may be the same trip twice, which must not be learned and judged on.
    """
    seconds, which = np.unique(pickup, return_inverse=True)
    return (np.random.default_rng(seed).permutation(seconds.size) % folds)[which]


def measure(
    rows: Path, folds: int, seed: int, settings: dict[str, str], say: Callable[[str], None]
) -> dict[str, list[list[float]]]:
    """
    Return RMSE and MAE in dollars, seconds and CPU seconds of the fit, for each fold and each cut.
    """
    from sagemaker_runtime.training import tables
    from taxi_fare import cleaning, features, geography
    from taxi_fare.estimator import make_estimator, precision, pull_outliers
    from taxi_fare.hyperparameters import HYPERPARAMETERS
    from taxi_fare.prediction import obey_rules
    from taxi_fare.schema import FARE, INPUT

    values: dict[str, Any] = {
        h.name: h.default for h in HYPERPARAMETERS if h.name != "validation_fraction"
    }
    for name, text in settings.items():
        if name not in values:
            sys.exit(f"--set {name}: expected one of {', '.join(values)}")
        values[name] = type(values[name])(text)
    clip = values.pop("clip")
    with tempfile.TemporaryDirectory() as channel:
        (Path(channel) / rows.name).symlink_to(rows.resolve())
        columns, report = cleaning.clean(tables.read(Path(channel), INPUT))
    say("\n".join(report.lines()))
    fares, pickup = columns[FARE.name], columns["pickup_datetime"]
    core = geography.trip_km(columns) > CORE_KM

    def trial(fit: np.ndarray, judge: np.ndarray) -> list[float]:
        known: Any = {name: column[fit] for name, column in columns.items()}
        # An older revision does not have it.
        last_day = getattr(features, "last_day", None)
        capped: Any = {"last_day": last_day(known)} if last_day else {}
        matrix = features.build(columns, **capped)
        started, cpu = time.perf_counter(), time.process_time()
        estimator = make_estimator(**values)
        learned = matrix[fit].astype(precision(estimator))
        library = {name: values[name] for name in ("estimator", "seed")}
        estimator.fit(learned, pull_outliers(learned, fares[fit], clip=clip, **library))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        # Cleaned rows are usable, so the typical fare is never asked for.
        every = np.ones(judge.sum(), dtype=bool)
        predicted = obey_rules(estimator.predict(matrix[judge]), every, typical_fare=0.0)
        error = predicted - fares[judge]
        figures = float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error)))
        say("RMSE {:.3f}, MAE {:.3f}, fit {:.1f} s, CPU {:.1f} s".format(*figures, seconds, cpu))
        return [*figures, seconds, cpu]

    fold = folds_by_second(pickup, folds, seed)
    results = {"same time": [trial(fold != n, (fold == n) & core) for n in range(folds)]}
    for cut in (np.datetime64(day) for day in CUTS):
        later = (pickup >= cut) & (pickup < cut + HALF_YEAR) & core
        if later.any() and (pickup < cut).any():
            results.setdefault("forward", []).append(trial(pickup < cut, later))
    return results


def elsewhere(revision: str, arguments: list[str]) -> dict[str, list[list[float]]]:
    """
    Measure another revision of the program, which stands in this repository.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = check_out(revision, Path(folder))
        command = [sys.executable, __file__, *arguments, "--json", "--program", program]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603
        return json.loads(printed)


def summary(name: str, trials: list[list[float]]) -> str:
    """
    Return mean and spread, the standard deviation over the trials.
    """
    mean, spread = np.mean(trials, axis=0), np.std(trials, axis=0)
    return (
        f"{name}, {len(trials)} trials: RMSE {mean[0]:.3f} ± {spread[0]:.3f}, "
        f"MAE {mean[1]:.3f} ± {spread[1]:.3f}, fit {mean[2]:.1f} s, CPU {mean[3]:.1f} s"
    )


def gains(before: list[list[float]], after: list[list[float]]) -> str:
    """
    Return by how much the errors fell, trial by trial, with the standard error of the mean.
    """
    gain = (np.array(before) - np.array(after))[:, : len(FIGURES)]
    error = gain.std(axis=0, ddof=1) / np.sqrt(len(gain))
    return ", ".join(
        f"{name} {mean:+.3f} ± {spread:.3f}"
        for name, mean, spread in zip(FIGURES, gain.mean(axis=0), error, strict=True)
    )


def main() -> None:
    """
    Print a line per trial, one for all of a kind, and the gains against another revision.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV, gzipped CSV or Parquet file")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the division into folds")
    parser.add_argument("--against", metavar="REVISION", help="measure the gains over it too")
    parser.add_argument("--program", type=Path, default=TOP / "container", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="hyperparameters other than the defaults, such as leaves=63",
    )
    arguments = parser.parse_args()
    # As train does: without, a fit beside a busy program takes ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    settings = dict(each.split("=", 1) for each in arguments.set)
    sys.path.insert(0, str(arguments.program))
    out = sys.stderr if arguments.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=out, flush=True)

    results = measure(arguments.rows, arguments.folds, arguments.seed, settings, say)
    if arguments.json:
        print(json.dumps(results))
        return
    for name, trials in results.items():
        say(summary(name, trials))
    if arguments.against:
        options = [str(arguments.rows), "--folds", str(arguments.folds)]
        before = elsewhere(arguments.against, [*options, "--seed", str(arguments.seed)])
        for name, trials in before.items():
            say(f"{arguments.against}, {summary(name, trials)}")
            say(f"gains, paired: {gains(trials, results[name])}")


if __name__ == "__main__":
    main()
