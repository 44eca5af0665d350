"""
How the model ages: a second one is trained on the earlier trips and judged on the later ones.

Rows held out at random are of the same weeks as those trained on, which a model in service never
sees: all its trips are later.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.training.cluster import Cluster
from taxi_fare.schema import FARE

# Of the trips, the latest by which the earlier model is judged.
LATER = 0.2
# Rows that the earlier model is trained on, evenly from all: its fit takes seconds however many
# there are, and 200,000 rows give an RMSE that is 0.02 dollars above that of ten times as many.
MOST_ROWS = 200_000
# Fewer later trips than this in an age group do not tell its error to a tenth.
FEWEST_ROWS = 300
AGES = 4  # groups of equal length
FEWEST_DAYS = 60  # below, the model hardly ages


def some(columns: Columns, cluster: Cluster) -> Columns:
    """
    Return at most about MOST_ROWS of all hosts' rows, copied.
    """
    rows = sum(cluster.gather(len(columns[FARE.name])))
    step = slice(None, None, ceil(rows / MOST_ROWS) or 1)
    return {name: np.concatenate(cluster.gather(values[step])) for name, values in columns.items()}


def judge(
    trips: Columns,
    held_out: Columns,
    fit: Callable[[Columns], Callable[[Columns], np.ndarray]],
) -> dict[str, Any] | None:
    """
    Return the errors of an earlier model on the later trips of ``held_out``, beside those of the
    model that was trained on trips of all times, whose fares are their column "predicted".

    ``fit`` trains on trips and returns what predicts others. None where the trips end too soon
    after they begin, or too few are held out, to tell.
    """
    times = held_out["pickup_datetime"]
    since = np.sort(trips["pickup_datetime"])[int(len(trips["pickup_datetime"]) * (1 - LATER))]
    until = times.max()
    later = times >= since
    days = (until - since) / np.timedelta64(1, "D")
    if later.sum() < FEWEST_ROWS or days < FEWEST_DAYS:
        return None
    earlier = trips["pickup_datetime"] < since
    predict = fit({name: values[earlier] for name, values in trips.items()})
    judged = {name: values[later] for name, values in held_out.items()}
    fares = judged[FARE.name]
    aged, same = predict(judged) - fares, judged["predicted"] - fares
    edges = [since + each * ((until - since) // AGES) for each in range(AGES)]
    age = np.searchsorted(np.array(edges), judged["pickup_datetime"], side="right") - 1
    groups = []
    for number in range(AGES):
        rows = age == number
        if rows.sum() >= FEWEST_ROWS / AGES:
            months = [days / 30.4 * place / AGES for place in (number, number + 1)]
            groups.append(
                {
                    "name": "{:.0f}-{:.0f}".format(*months),
                    "rows": int(rows.sum()),
                    **_errors(aged[rows]),
                    "same_time": _errors(same[rows]),
                }
            )
    return {
        "since": str(since.astype("datetime64[D]")),
        "rows": int(later.sum()),
        **_errors(aged),
        "same_time": _errors(same),
        "by_age": groups,
    }


def _errors(errors: np.ndarray) -> dict[str, float]:
    return {
        "rmse": float(np.sqrt(np.mean(np.square(errors)))),
        "mae": float(np.mean(np.abs(errors))),
        "bias": float(np.mean(errors)),
    }
