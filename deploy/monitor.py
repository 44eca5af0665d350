"""
Watching a served model: captured requests and labels, from S3 or from files, become a report.
"""

import io
import json
import sys
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy import challengers, storage
from deploy.errors import Alarm, UsageError
from deploy.options import NAME, command
from deploy.session import Session, client, describe, say

if TYPE_CHECKING:
    from monitoring.report import Report
    from monitoring.truth import Truth

    from sagemaker_runtime.baseline.content import Baseline

CONTAINER = Path(__file__).resolve().parents[1] / "container"
BASELINE = "baseline.json"
NAMESPACE = "ModelMonitoring"


@command(changes=False)
@NAME
@click.option("--model", default="", help="Where the baseline is: a folder, a model.tar.gz here or "
              "in S3 (default: the endpoint's model).")  # fmt: skip
@click.option("--captures", default="", help="Captured requests: a file, a folder or s3://… "
              "(default: where the endpoint captures).")  # fmt: skip
@click.option("--labels", default="", help="Labels: a file, a folder or s3://….")
@click.option("--since", default="", help="Only requests from then on, such as 2026-01-31T08:00.")
@click.option("--until", default="", help="Only requests before then, in UTC.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default="report",
              show_default=True, help="Folder for report.html and report.json.")  # fmt: skip
@click.option("--metrics", is_flag=True, help=f"Put the figures into CloudWatch ({NAMESPACE}).")
@click.option("--follow", is_flag=True, help="Look again and again, until there is an alarm.")
@click.option("--every", default=60.0, show_default=True, help="Seconds between looks.")
@click.option("--export-model-monitor", type=click.Path(file_okay=False, path_type=Path),
              help="Write SageMaker Model Monitor's statistics.json and constraints.json of the "
              "baseline there, and end.")  # fmt: skip
def monitor(
    session: Session,
    name: str,
    model: str,
    captures: str,
    labels: str,
    since: str,
    until: str,
    output: Path,
    metrics: bool,
    follow: bool,
    every: float,
    export_model_monitor: Path | None,
) -> None:
    """
    Compare requests, predictions and labels with the baseline.

    Ends with an exit code of its own when something changed.

    \b
    ./deploy.sh monitor --labels s3://bucket/labels/ --since 2026-01-31
    ./deploy.sh monitor --model model/ --captures captured/ --labels labels.csv
    """
    name = name or session.settings.application
    find_program()
    baseline = find_baseline(session, model or _archive(session, name))
    if export_model_monitor:
        _export(baseline, export_model_monitor)
        return
    captures = captures or destination(session, name)
    while True:
        found = look(session, baseline, captures, labels, since, until)
        try:
            _tell(session, found, output, name if metrics else "")
        except Alarm:
            if follow:
                say(f"pictures: {output / 'report.html'}")
            raise
        if not follow:
            return
        time.sleep(every)


def find_program() -> None:
    """
    Let the commands that read captured requests import ``sagemaker_runtime``.
    """
    if str(CONTAINER) not in sys.path:
        sys.path.append(str(CONTAINER))


def look(
    session: Session, baseline: "Baseline", captures: str, labels: str, since: str, until: str
) -> "Report":
    """
    Read what was captured in a window, and all labels, and compare them with the baseline.
    """
    from monitoring import captured, report

    begin, end = _hour(since), _hour(until)
    lines = (
        line for name, lines in texts(session, captures) if _in_time(name, begin, end)
        for line in lines
    )  # fmt: skip
    rows = captured.read(lines, baseline.table).between(since, until)
    truth = read_labels(session, labels, baseline, end) if labels else None
    return report.make(baseline, rows, truth, _segments())


def read_labels(
    session: Session, labels: str, baseline: "Baseline", end: datetime | None = None
) -> "Truth":
    """
    Read labels; those of hours behind ``end`` are counted as late.
    """
    from monitoring import truth

    from sagemaker_runtime.errors import RequestError

    if baseline.table.label is None:
        raise UsageError(f"{BASELINE} names no label, so labels cannot be compared with it")
    found = truth.Truth()
    for name, lines in texts(session, labels):
        hour = _hour_of(name)
        is_late = bool(end and hour and hour >= end)
        try:
            truth.read(lines, baseline.table.label, found, is_late)
        except RequestError as error:
            raise UsageError(f"{name}: {error}") from error
    return found


def texts(session: Session, place: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """
    Yield name and lines of a file, or of each file of a folder or below an address in S3.
    """
    if place.startswith("s3://"):
        bucket = storage.split(place)[0]
        for each in storage.objects(session, place):
            body = client(session, "s3").get_object(Bucket=bucket, Key=each["Key"])["Body"]
            yield each["Key"], body.iter_lines(keepends=True)
        return
    path = Path(place)
    if not path.exists():
        raise UsageError(f"'{place}' does not exist; expected a file, a folder or an s3:// address")
    for file in storage.files(path) if path.is_dir() else [path]:
        with file.open("rb") as lines:
            yield str(file), lines


def find_baseline(session: Session, model: str) -> "Baseline":
    """
    Read the baseline of a model: a folder, an archive here or in S3, or the file itself.
    """
    from sagemaker_runtime.baseline.content import Baseline

    text: bytes | None = None
    if model.startswith("s3://"):
        text = _unpacked(storage.read(session, model))
    elif (Path(model) / BASELINE).is_file():
        text = (Path(model) / BASELINE).read_bytes()
    elif Path(model).is_file():
        content = Path(model).read_bytes()
        text = content if model.endswith(".json") else _unpacked(content)
    if text is None:
        raise UsageError(
            f"there is no {BASELINE} in '{model}'; expected a model's folder or archive as train "
            "writes it, from rows that job.rows reads"
        )
    try:
        return Baseline.read(text)
    except ValueError as error:
        raise UsageError(f"{BASELINE} of '{model}' is not a baseline: {error}") from error


def _unpacked(archive: bytes) -> bytes | None:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                if Path(member.name) == Path(BASELINE) and (file := tar.extractfile(member)):
                    return file.read()
    except tarfile.TarError:
        pass
    return None


def _configuration(session: Session, name: str) -> dict[str, Any]:
    endpoint = describe(session, "endpoint", name)
    if not endpoint:
        raise UsageError(
            f"there is no endpoint {name}; name one: --name, or files: --model and --captures"
        )
    return describe(session, "endpoint_config", endpoint["EndpointConfigName"]) or {}


def _archive(session: Session, name: str) -> str:
    variants = _configuration(session, name)["ProductionVariants"]
    container = challengers.container_of(session, variants[0]["ModelName"])
    if not container.get("ModelDataUrl"):
        raise UsageError(f"the endpoint {name} does not say where its model is; name it: --model")
    return str(container["ModelDataUrl"])


def destination(session: Session, name: str) -> str:
    """
    Return where an endpoint captures; raises UsageError when it does not.
    """
    capture = _configuration(session, name).get("DataCaptureConfig", {})
    if not capture.get("DestinationS3Uri"):
        raise UsageError(
            f"the endpoint {name} does not capture; set realtime.capture_percent in deploy.toml "
            "or name what the server itself captured: --captures"
        )
    return f"{capture['DestinationS3Uri'].rstrip('/')}/{name}/"


def _segments() -> Any:
    """
    Return what names the algorithm's segments, None where it cannot be imported here.
    """
    from sagemaker_runtime.algorithm import find_algorithm

    try:
        return find_algorithm(CONTAINER).segments
    except Exception as error:  # noqa: BLE001 - the report does without
        say(f"no segments: the algorithm could not be imported here ({error})")
        return None


def _tell(session: Session, report: "Report", output: Path, endpoint: str) -> None:
    """
    Write the report, print its sentence; raises Alarm.
    """
    from monitoring import page, plain, verdict

    output.mkdir(parents=True, exist_ok=True)
    content = plain.as_json(report)
    (output / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (output / "report.html").write_text(page.render(report), encoding="utf-8")
    if endpoint:
        _put_metrics(session, endpoint, content)
    if session.as_json:
        click.echo(json.dumps(content, indent=2))
    if (found := verdict.of(report)).is_alarm:
        raise Alarm(f"{found.value}: {content['sentence']}")
    if not session.as_json:
        click.echo(f"{found.value}: {content['sentence']}")
        click.echo(f"pictures: {output / 'report.html'}")


def _put_metrics(session: Session, endpoint: str, content: dict[str, Any]) -> None:
    alarm = content["verdict"] not in ("quiet", "too few rows")
    figures = {"Rows": content["rows"], "Alarm": float(alarm)}
    if errors := content["errors"]:
        figures |= {
            "LabelledRows": errors["rows"],
            "MeanError": errors["mean"],
            "MeanAbsoluteError": errors["mae"],
        }
    of_endpoint = {"Name": "EndpointName", "Value": endpoint}
    data = [
        {"MetricName": name, "Value": value, "Dimensions": [of_endpoint]}
        for name, value in figures.items()
    ] + [
        {
            "MetricName": "Drift",
            "Value": each["psi"],
            "Dimensions": [of_endpoint, {"Name": "Column", "Value": each["name"]}],
        }
        for each in content["drift"]
    ]
    client(session, "cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)


def _export(baseline: "Baseline", folder: Path) -> None:
    from monitoring import model_monitor

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in model_monitor.files(baseline).items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        click.echo(f"written: {folder / name}")


def _hour(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a time; expected such as 2026-01-31T08:00") from None
    return found.replace(tzinfo=found.tzinfo or UTC)


def _hour_of(name: str) -> datetime | None:
    """
    Return the hour that a file's folders state, …/2026/01/31/08/….
    """
    try:
        return datetime(*map(int, Path(name).parts[-5:-1]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except (ValueError, TypeError):
        return None


def _in_time(name: str, begin: datetime | None, end: datetime | None) -> bool:
    """
    Tell whether a file of captured requests may hold some of the window.
    """
    hour = _hour_of(name)
    if hour is None:
        return True
    return not ((begin and hour + timedelta(hours=1) <= begin) or (end and hour >= end))
