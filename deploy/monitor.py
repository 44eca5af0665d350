"""
Watching a served model: captured requests and labels, from S3 or from files, become a report.
"""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy import records
from deploy.errors import Alarm, UsageError
from deploy.options import NAME, command
from deploy.session import Session, client, say

if TYPE_CHECKING:
    from monitoring.report import Report

    from sagemaker_runtime.algorithm import Algorithm
    from sagemaker_runtime.baseline.content import Baseline

NAMESPACE = "ModelMonitoring"


@command(changes=False)
@NAME
@click.option("--model", default="", help="Where the baseline is: a folder, a model.tar.gz here or "
              "in S3 (default: the endpoint's model).")  # fmt: skip
@click.option("--captures", default="", help="Captured requests: a file, a folder or s3://… "
              "(default: where the endpoint captures); answers of a batch job too.")  # fmt: skip
@click.option("--inputs", default="", help="What the batch job was asked: its file, folder or "
              "s3://….")  # fmt: skip
@click.option("--labels", default="", help="Labels: a file, a folder or s3://….")
@click.option("--since", default="", help="Only requests from then on, in UTC, such as "
              "2026-01-31T08:00 (default: since the endpoint's model came, unless --model "
              "or --captures is given).")  # fmt: skip
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
    inputs: str,
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
    ./deploy.sh monitor --labels s3://bucket/labels/
    ./deploy.sh monitor --model model/ --captures captured/ --labels labels.csv
    """
    name = name or session.settings.application
    records.find_program()
    baseline = _baseline(session, name, model, labels)
    if export_model_monitor:
        _export(baseline, export_model_monitor)
        return
    begin, end = records.moment(since), records.moment(until)
    while True:
        if not (since or model or captures):  # what the model before was asked is not this one's
            came = records.in_service_since(session, name)
            if begin != came:
                begin, baseline = came, _baseline(session, name, model, labels)
                say(f"requests from {came:%Y-%m-%dT%H:%M:%S} UTC on, when the model of {name} came")
        if begin and end and end <= begin:
            raise UsageError(f"--until {until} is not after {begin.isoformat()}")
        place = captures or records.destination(session, name, of_variant=True)
        found = look(session, baseline, place, inputs, labels, begin, end)
        try:
            _tell(session, found, output, name if metrics else "")
        except Alarm:
            if follow:
                say(f"pictures: {output / 'report.html'}")
            raise
        if not follow:
            return
        time.sleep(every)


def _baseline(session: Session, name: str, model: str, labels: str) -> "Baseline":
    """
    Read the baseline, of the endpoint's model unless another is named, which must have errors where
    there are labels to compare.
    """
    baseline = records.baseline_of(session, model or records.archive(session, name))
    if labels and baseline.table.label and baseline.errors is None:
        raise UsageError(
            f"{records.BASELINE} has no errors to compare labels with; let train call "
            "job.seen.judge(held_out, predicted) with predictions that are values of the label "
            f"{baseline.table.label.name}, or leave out --labels"
        )
    return baseline


def look(
    session: Session,
    baseline: "Baseline",
    captures: str,
    inputs: str,
    labels: str,
    since: datetime | None,
    until: datetime | None,
) -> "Report":
    """
    Read what was captured in a window, and all labels, and compare them with the baseline.
    """
    from monitoring import report

    rows = records.requests(session, baseline.table, captures, inputs, since, until)
    truth = records.labels(session, labels, baseline, until) if labels else None
    if algorithm := _algorithm(baseline):
        return report.make(baseline, rows, truth, algorithm.segments, algorithm.repairs)
    return report.make(baseline, rows, truth)


def _algorithm(baseline: "Baseline") -> "Algorithm | None":
    """
    Return the algorithm, which may name segments and repairs, None where it cannot be imported
    here, or is not the model's.
    """
    from sagemaker_runtime.algorithm import find_algorithm

    try:
        algorithm = find_algorithm(records.CONTAINER)
    except Exception as error:  # noqa: BLE001 - the report does without
        say(f"no segments, no repairs: the algorithm could not be imported here ({error})")
        return None
    features = getattr(algorithm.input, "features", ())
    if [each.name for each in features] != [each.name for each in baseline.table.features]:
        say(f"no segments, no repairs: {algorithm.name} reads other columns than the model")
        return None
    return algorithm


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
