"""Watching a model: what ./deploy.sh monitor reads, says, writes and returns."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deploy.errors import ExitCode

import watched
from deployments import BUCKET, Account, Commands, Ended


class Watching:
    """A model's folder, captured requests and labels, and the command on them."""

    def __init__(self, run: Commands, folder: Path) -> None:
        self.model, self.captures = folder / "model", folder / "captured/a.jsonl"
        self.labels, self.output = folder / "labels.csv", folder / "report"
        self._run = run
        watched.train(self.model)

    def __call__(self, *more: object, **given: object) -> Ended:
        options: dict[str, object] = {"model": self.model, "captures": self.captures.parent}
        options |= {"labels": self.labels, "output": self.output} | given
        told = [each for name, value in options.items() for each in (f"--{name}", value)]
        return self._run("monitor", *told, *more, poll=False)

    @property
    def report(self) -> Any:
        return json.loads((self.output / "report.json").read_text())


@pytest.fixture
def watching(run: Commands, tmp_path: Path) -> Watching:
    return Watching(run, tmp_path)


def test_what_is_as_in_training_is_quiet(watching: Watching) -> None:
    """One sentence, exit code 0, a page and the figures."""
    watched.ask(watching.captures, watching.labels)
    ended = watching()
    assert ended.code == ExitCode.OK, ended.err
    assert "quiet: Nothing changed that matters" in ended.out
    assert watching.report["rows"] == watching.report["errors"]["rows"] == 400
    page = (watching.output / "report.html").read_text()
    assert "Nothing changed that matters" in page
    assert page.count("<svg") == 2
    assert not re.search(r"(src|href)=\"https?:", page)


def test_an_alarm_has_an_exit_code(watching: Watching) -> None:
    """Prices have risen, sizes have not: the sentence says so, with the figures of the rise."""
    watched.ask(watching.captures, watching.labels, rise=30)
    ended = watching()
    assert ended.code == ExitCode.ALARM
    assert "errors changed: Predictions are too low" in ended.err
    assert "the requests are as in training" in ended.err
    assert watching.report["errors"]["shift"] == pytest.approx(30, abs=4)
    assert watching.report["first_alarm_after_rows"] <= 100


def test_changed_requests_are_told_without_labels(watching: Watching) -> None:
    """The columns and the prediction that drifted are named and drawn."""
    watched.ask(watching.captures, watching.labels, larger=100)
    ended = watching(labels="")
    assert ended.code == ExitCode.ALARM
    assert "requests changed: The requests changed: " in ended.err
    drifted = {each["name"] for each in watching.report["drift"] if each["has_drifted"]}
    assert drifted == {"size", "prediction"}
    assert (watching.output / "report.html").read_text().count("<svg") == 3


def test_json_is_all_that_is_printed(watching: Watching) -> None:
    """With --json a program reads the report."""
    watched.ask(watching.captures, watching.labels)
    assert watching("--json").json() == watching.report


def test_a_window_counts_what_it_leaves_out(watching: Watching) -> None:
    """Labels of requests outside of the window are labels without request."""
    watched.ask(watching.captures, watching.labels)
    assert watching(since="2012-09-04T12:01", until="2012-09-04T12:05").code == ExitCode.OK
    assert watching.report["rows"] == 240
    assert watching.report["read"]["labels without request"] == 160


def test_follow_ends_with_the_alarm(watching: Watching) -> None:
    """The first look finds it here, so the command returns."""
    watched.ask(watching.captures, watching.labels, rise=30)
    assert watching("--follow", "--every", "0.1").code == ExitCode.ALARM


def test_an_endpoints_captures_in_s3(
    run: Commands, watching: Watching, account: Account, tmp_path: Path
) -> None:
    """
    1. an endpoint captures 2. requests and labels lie in S3 by the hour 3. monitor is given the
    labels alone, with --metrics.

    Result: the endpoint says where the model and the requests are; only the window's hours are
    read; later labels are counted as late; the figures are in CloudWatch.
    """
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(watching.model, arcname=".")
    run.lines.append("[realtime]\ncapture_percent = 100")
    assert run("realtime", "--model", archive).code == 0
    watched.ask(watching.captures, watching.labels)
    s3 = account.client("s3")
    home = "toys/captured/toys/main/2012/09/04"
    s3.upload_file(str(watching.captures), BUCKET, f"{home}/12/a.jsonl")
    s3.put_object(Bucket=BUCKET, Key=f"{home}/13/b.jsonl", Body=b"nobody reads this\n")
    other = home.replace("/main/", "/other/")
    s3.put_object(Bucket=BUCKET, Key=f"{other}/12/c.jsonl", Body=b"another variant's\n")
    s3.upload_file(str(watching.labels), BUCKET, "labels/2012/09/05/08/labels.csv")
    given = ["--labels", f"s3://{BUCKET}/labels/"]
    given += ["--since", "2012-09-04T14:00+02:00", "--until", "2012-09-04T13:00"]
    ended = run("monitor", *given, "--output", watching.output, "--metrics", poll=False)
    assert ended.code == ExitCode.OK, ended.err
    assert watching.report["rows"] == 400
    assert watching.report["read"]["late labels"] == 400
    assert "other lines" not in watching.report["read"]
    listed = account.client("cloudwatch").list_metrics(Namespace="ModelMonitoring")["Metrics"]
    assert {each["MetricName"] for each in listed} >= {"Drift", "MeanError", "Alarm"}


def test_labels_need_errors_of_training(watching: Watching) -> None:
    """Without these it is said what train has to do, not that there are no labels."""
    watched.ask(watching.captures, watching.labels)
    file = watching.model / "baseline.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"errors": None, "prediction": None, "segments": {}}))
    ended = watching()
    assert ended.code == ExitCode.USAGE
    assert "has no errors to compare labels with; let train call job.seen.judge" in ended.err


@pytest.mark.parametrize("place", ["files", "s3"])
def test_answers_of_a_batch_job(
    watching: Watching, account: Account, tmp_path: Path, place: str
) -> None:
    """
    1. a batch job has answered two files, one of them in a folder 2. labels name their rows by file
    and number 3. monitor is told where answers and files are.

    Result: all rows of the two have been asked and labelled; prices have risen.
    """
    labels = ["inference_id,row,price"]
    folders = {name: tmp_path / name for name in ("asked", "answered")}
    for name in ("a.csv", "more/b.csv"):
        sizes = np.random.default_rng(len(name)).gamma(4, 30, 100)
        for folder, ending, texts in (
            ("asked", "", [f"{size:.2f},flat\n" for size in sizes]),
            ("answered", ".out", [f"{3 * size:.2f}\n" for size in sizes]),
        ):
            file = folders[folder] / f"{name}{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(texts))
            account.client("s3").upload_file(
                str(file), BUCKET, f"jobs/{file.relative_to(tmp_path)}"
            )
        labels += [f"{name},{row},{3 * size + 60:.2f}" for row, size in enumerate(sizes)]
    watching.labels.write_text("\n".join(labels) + "\n")
    at = {
        name: f"s3://{BUCKET}/jobs/{name}" if place == "s3" else folders[name] for name in folders
    }
    ended = watching(captures=at["answered"], inputs=at["asked"])
    assert ended.code == ExitCode.ALARM, ended.err
    assert "errors changed: Predictions are too low" in ended.err
    assert watching.report["rows"] == watching.report["errors"]["rows"] == 200
    assert {each["name"] for each in watching.report["drift"]} == {"size", "kind", "prediction"}
    assert watching.report["read"]["batch files"] == 2


def test_the_files_of_model_monitor(watching: Watching, tmp_path: Path) -> None:
    """The baseline in its form: counts add up, types and completeness are stated."""
    ended = watching("--export-model-monitor", tmp_path / "exported")
    assert ended.code == ExitCode.OK, ended.err
    statistics, constraints = (
        json.loads((tmp_path / f"exported/{name}.json").read_text())
        for name in ("statistics", "constraints")
    )
    size, kind = statistics["features"]
    assert statistics["dataset"]["item_count"] == 4_000
    buckets = size["numerical_statistics"]["distribution"]["kll"]["buckets"]
    assert sum(each["count"] for each in buckets) == 4_000
    assert size["numerical_statistics"]["mean"] == pytest.approx(120, rel=0.1)
    assert kind["string_statistics"]["distinct_count"] == 2
    assert constraints["features"][0]["num_constraints"] == {"is_non_negative": True}
    assert [each["completeness"] for each in constraints["features"]] == [1, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "nowhere"}, "there is no baseline.json in 'nowhere'"),
        ({"captures": "nowhere"}, "'nowhere' does not exist"),
        ({"since": "yesterday"}, "'yesterday' is not a time; expected such as"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "--until 2026-01-01 is not after 2026-01"),
        ({"model": ""}, "there is no endpoint toys"),
    ],
)
def test_what_is_not_there_is_said(watching: Watching, given: dict[str, str], words: str) -> None:
    """With what to give instead."""
    watched.ask(watching.captures, watching.labels)
    ended = watching(**given)
    assert ended.code == ExitCode.USAGE
    assert words in ended.err
