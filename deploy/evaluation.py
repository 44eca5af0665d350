"""
The model in service and another one, compared by the same labelled rows.
"""

import csv
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from deploy import batches, models, storage
from deploy.errors import Failed, UsageError
from deploy.options import IMAGE, MODEL, NAME, command
from deploy.records import CONTAINER
from deploy.session import Session, describe, finish

ROWS_A_FILE = 5_000  # each file is one request of a batch job, below its payload_mb


@command()
@click.argument("place", metavar="ROWS")
@click.option("--label", required=True, help="The column that holds the right answer.")
@NAME
@MODEL
@IMAGE
def evaluate(session: Session, place: str, label: str, name: str, model: str, image: str) -> None:
    """
    Compare a model with the one in service on labelled rows.

    ROWS is a CSV file with a header, or a folder of them, here or in S3. Both models predict the
    rows without the label in batch jobs, each in its own image. If the model is worse, the exit
    code is 4.

    \b
    ./deploy.sh evaluate s3://bucket/evaluation/ --label price
    ./deploy.sh evaluate rows.csv --label price --model JOB --image my-model:v2
    """
    if not session.wait:
        raise UsageError("evaluate compares the answers of its jobs, so leave --no-wait out")
    name = name or session.settings.application
    served = in_service(session, name)
    if served is None:
        finish(session, {"verdict": "first", "sentence": f"nothing is in service as {name}"})
        return
    labels, questions = split(read(session, place), label)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "rows"
        write(questions, folder)
        answers = []
        for number, (archive, its_image) in enumerate((served, (model, image))):
            into = Path(scratch) / f"answers-{number}"
            batches.answer(
                session,
                str(folder),
                archive,
                its_image,
                into,
                media_type="text/csv",
                accept="text/csv",
                join=False,
                whole_files=True,
            )
            answers.append([] if session.dry_run else predictions(into, len(labels)))
    if session.dry_run:
        finish(session, {})
        return
    found = compared(labels, *answers)
    finish(session, found)
    if found["verdict"] == "worse":
        raise Failed(f"{found['sentence']}\nthe champion is what {name} serves now")


def in_service(session: Session, name: str) -> tuple[str, str] | None:
    """
    Return archive and image of the model that an endpoint serves, None without the endpoint.

    Of several variants it is the one with the most traffic.
    """
    found = describe(session, "endpoint", name)
    if not found:
        return None
    config = describe(session, "endpoint_config", found["EndpointConfigName"]) or {}
    weights = {
        each["VariantName"]: each.get("CurrentWeight", 1.0)
        for each in found.get("ProductionVariants", [])
    }
    variant = max(
        config["ProductionVariants"], key=lambda each: weights.get(each["VariantName"], 0.0)
    )
    served = models.container_of(session, variant["ModelName"])
    if "ModelDataUrl" not in served:
        raise UsageError(f"{name} serves {variant['ModelName']}, which has no archive to compare")
    return str(served["ModelDataUrl"]), str(served["Image"])


def read(session: Session, place: str) -> list[list[str]]:
    """
    Return the rows of all files, after one header. Raises UsageError for what cannot be compared.
    """
    if place.startswith("s3://"):
        bucket = storage.split(place)[0]
        names = sorted(each["Key"] for each in storage.objects(session, place))
        contents = [storage.read(session, f"s3://{bucket}/{each}") for each in names]
    else:
        path = Path(place)
        if not path.exists():
            raise UsageError(f"'{place}' does not exist; expected a CSV file or a folder of them")
        files = storage.files(path) if path.is_dir() else [path]
        contents = [each.read_bytes() for each in files]
    rows: list[list[str]] = []
    for content in contents:
        header, *more = csv.reader(io.StringIO(content.decode("utf-8-sig")))
        if rows and header != rows[0]:
            raise UsageError(f"{place}: a file has the header {header}, the first has {rows[0]}")
        rows += more if rows else [header, *more]
    if len(rows) < 2:
        raise UsageError(f"{place} holds no rows; expected a CSV file with a header and rows")
    return rows


def split(rows: list[list[str]], label: str) -> tuple[list[str], list[list[str]]]:
    """
    Return the labels, and the rows, header included, without them.
    """
    header = rows[0]
    if label not in header:
        raise UsageError(f"--label is '{label}'; expected a column of {', '.join(header)}")
    at = header.index(label)
    return [row[at] for row in rows[1:]], [row[:at] + row[at + 1 :] for row in rows]


def write(rows: list[list[str]], folder: Path) -> None:
    """
    Write rows into files of a size that one request may have, each with the header.
    """
    folder.mkdir()
    header, *rest = rows
    for start in range(0, len(rest), ROWS_A_FILE):
        path = folder / f"{start // ROWS_A_FILE:06}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(
                [header, *rest[start : start + ROWS_A_FILE]]
            )


def predictions(path: Path, rows: int) -> list[str]:
    """
    Return the first value of each row's answer. Raises Failed unless there is one for each.
    """
    found = [row[0] for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row]
    if len(found) != rows:
        raise Failed(f"{len(found)} answers for {rows} rows; expected one line of CSV for each")
    return found


def compared(labels: list[str], champion: list[str], challenger: list[str]) -> dict[str, Any]:
    """
    Return the verdict on the challenger with its figures.
    """
    # Here, so that --help need not wait for it.
    if str(CONTAINER) not in sys.path:
        sys.path.append(str(CONTAINER))
    from monitoring.compare import compare

    from sagemaker_runtime.baseline import outcomes
    from sagemaker_runtime.formats import values
    from sagemaker_runtime.formats.schema import Column, Kind

    def fits(kind: Kind) -> bool:
        return all(values.is_value(Column("", kind, ""), each) for each in labels)

    kinds: tuple[Kind, ...] = ("number", "boolean")
    label = Column("label", next(filter(fits, kinds), "text"), "")
    return compare(
        *(outcomes.read(label, texts) for texts in (labels, champion, challenger))
    ).as_dict()
