"""
The programs of a retraining, which run in the image as processing jobs.

python -m monitoring.retraining crossfit: train challengers here, compare, keep the better one
python -m monitoring.retraining split     cut new rows into those to train on and those to judge by
python -m monitoring.retraining compare   judge two models by rows that neither has seen
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

from monitoring import card, challenger, rows
from monitoring.compare import BLOCKS, Comparison, compare, cross_fitted
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.baseline import outcomes
from sagemaker_runtime.errors import JobError
from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.paths import Paths

JUDGED = 0.3  # of the new rows, the newest, where a challenger is trained once
COMPARISON = "comparison.json"
ARCHIVE = "model.tar.gz"

FOLDER = click.Path(path_type=Path)
CHANNELS = click.option("--channels", type=FOLDER, required=True, help="A folder for each channel.")
NEW = click.option("--new", type=FOLDER, required=True, help="Labelled rows, the oldest first.")
CHAMPION = click.option("--champion", type=FOLDER, required=True, help="The model in service.")
OUTPUT = click.option("--output", type=FOLDER, required=True, help="Where results are written.")
SET = click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A hyperparameter.")
DATASET = click.option("--dataset", "datasets", multiple=True, help="An address, for the card.")


@click.group()
def main() -> None:
    """
    Train a challenger, compare it with the champion.
    """


@main.command()
@CHANNELS
@NEW
@CHAMPION
@OUTPUT
@SET
@DATASET
def crossfit(
    channels: Path,
    new: Path,
    champion: Path,
    output: Path,
    given: Sequence[str],
    datasets: Sequence[str],
) -> None:
    """
    Judge all new rows by challengers that were trained without them; keep a better one's model.
    """
    algorithm = find_algorithm()
    _, label = rows.require_table(algorithm.input)
    found = rows.read(new, algorithm.input)
    hyperparameters = dict(_pair(each) for each in given)

    with tempfile.TemporaryDirectory() as scratch:
        roots = (Path(scratch) / f"challenger-{number}" for number in range(BLOCKS + 1))

        def train(some: Columns) -> Path:
            return challenger.train(algorithm, channels, some, hyperparameters, next(roots))

        def fit(some: Columns) -> Callable[[Columns], np.ndarray]:
            return partial(challenger.predict, algorithm, train(some))

        model = challenger.unpack(champion, Path(scratch) / "champion")
        comparison = cross_fitted(found, label, partial(challenger.predict, algorithm, model), fit)
        if comparison.verdict == "better":
            print(f"the better challenger is trained on all {count(found)} new rows", flush=True)
            challenger.pack(train(found), output / "model" / ARCHIVE)
    how = f"cross-fitted over {BLOCKS} consecutive blocks"
    text = card.content(comparison, how, label.name, hyperparameters, datasets, _revision())
    _write(comparison, how, text, output)


@main.command()
@CHANNELS
@NEW
@OUTPUT
def split(channels: Path, new: Path, output: Path) -> None:
    """
    Write the rows to train on, old and new, and the newest ones to judge by.
    """
    algorithm = find_algorithm()
    table, _ = rows.require_table(algorithm.input)
    found = rows.read(new, table)
    until = round(count(found) * (1 - JUDGED))
    training = output / challenger.TRAINING
    shutil.copytree(channels / challenger.TRAINING, training / "earlier", dirs_exist_ok=True)
    rows.add({n: v[:until] for n, v in found.items()}, table, training / "recent")
    rows.write({n: v[until:] for n, v in found.items()}, table, output / "judged/new.csv")
    print(f"{until} new rows to train on, {count(found) - until} to judge by")


@main.command("compare")
@CHAMPION
@click.option("--challenger", "other", type=FOLDER, required=True, help="The new model.")
@click.option("--rows", "judged", type=FOLDER, required=True, help="Rows that neither has seen.")
@OUTPUT
@SET
@DATASET
def judge(
    champion: Path,
    other: Path,
    judged: Path,
    output: Path,
    given: Sequence[str],
    datasets: Sequence[str],
) -> None:
    """
    Compare two models by rows that neither has seen.
    """
    algorithm = find_algorithm()
    _, label = rows.require_table(algorithm.input)
    found = rows.read(judged, algorithm.input)
    predicted: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as scratch:
        for place in (champion, other):
            model = challenger.unpack(place, Path(scratch) / str(len(predicted)))
            predicted.append(challenger.predict(algorithm, model, found))
    comparison = compare(outcomes.read(label, found[label.name]), *predicted)
    how = f"the newest {JUDGED:.0%} of the new rows"
    hyperparameters = dict(_pair(each) for each in given)
    text = card.content(comparison, how, label.name, hyperparameters, datasets, _revision())
    _write(comparison, how, text, output)


def _write(comparison: Comparison, how: str, model_card: str, output: Path) -> None:
    print(comparison.sentence())
    found = {**comparison.as_dict(), "how": how, "model_card": model_card}
    output.mkdir(parents=True, exist_ok=True)
    (output / COMPARISON).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set {text}: expected NAME=VALUE, such as --set rounds=200")
    return name, value


def _revision() -> str:
    return os.environ.get("CODE_REVISION") or "unknown"


if __name__ == "__main__":
    try:
        main()
    except JobError as error:
        traceback.print_exc()
        message = Paths.from_environ(os.environ).root / "output/message"
        if message.parent.is_dir():  # a processing job's, which becomes its reason
            message.write_text(str(error), encoding="utf-8")
        sys.exit(1)
