"""
The loop on the local cloud, with containers of the real image and an algorithm that fits at once:
captured traffic, an alarm, a challenger, the gate, and another model behind the same endpoint.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator

import boto3
import pytest
from deploy import rehearsal
from deploy.errors import ExitCode
from local_cloud import images
from local_cloud.server import LocalCloud

import containers
import toys
from deployments import Commands
from harness import wait_until
from project import TOP

pytestmark = pytest.mark.docker

BEFORE, AFTER = 2.0, 3.0  # the slope that the model was trained on, and that of the world since
ASKED = 120


@pytest.fixture(scope="module")
def toy_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image with the algorithm that fits at once."""
    context = tmp_path_factory.mktemp("context")
    shutil.copy(TOP / "tests/deploy/toy_image/Dockerfile", context)
    (context / "toy").mkdir()
    (context / "toy/__init__.py").write_text(toys.SOURCE, encoding="utf-8")
    tag = f"container-suite/retrained:{os.getpid()}"
    containers.docker("build", "--tag", tag, "--build-arg", f"IMAGE={image}", str(context))
    yield tag
    containers.docker("image", "rm", "--force", "--no-prune", tag)


@pytest.fixture(scope="module")
def run(cloud: LocalCloud, toy_image: str, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """The commands, with an endpoint that captures all that it is asked."""
    images.push(cloud.cloud, toy_image, "toys:v1")
    folder = tmp_path_factory.mktemp("commands")
    toys.write(folder / "old/old.csv", 400, BEFORE)
    lines = [
        'application = "toys"',
        f'role = "{rehearsal.ROLE}"',
        f'bucket = "{rehearsal.BUCKET}"',
        "[training.data]",
        f'training = "{folder}/old"',
        "[realtime]",
        "capture_percent = 100",
    ]
    run = Commands(folder / "deploy.toml", lines)
    for command in ("train", "realtime"):
        ended = run(command)
        assert ended.code == 0, ended.err
    return run


def price() -> float:
    """Return what the endpoint says of a size of 1."""
    runtime = boto3.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="toys", Body=b"1,Bronx", ContentType="text/csv")
    return float(answer["Body"].read())


def serving() -> str:
    """Return the configuration that the endpoint serves."""
    found = boto3.client("sagemaker").describe_endpoint(EndpointName="toys")
    assert found["EndpointStatus"] == "InService"
    name: str = found["EndpointConfigName"]
    return name


def packages() -> list[str]:
    """Return the ARNs of the models that are registered, the newest first."""
    sagemaker = boto3.client("sagemaker")
    if not sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        return []
    listed = sagemaker.list_model_packages(ModelPackageGroupName="toys")
    return [each["ModelPackageArn"] for each in listed["ModelPackageSummaryList"]]


def test_a_changed_world_ends_in_a_better_model_behind_the_endpoint(run, tmp_path):
    """
    1. an endpoint is asked, and captures 2. labels come, which the model misses 3. monitor alarms
    4. retrain trains challengers on what was captured 5. monitor looks again. Result: the better
    one is registered with its card, the endpoint answers by it, and what the model before was asked
    is not held against it.
    """
    toys.write(tmp_path / "world/rows.csv", ASKED, AFTER, seed=1)
    with (tmp_path / "world/rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = io.StringIO()
    told = csv.writer(labels)
    told.writerow(("inference_id", "price"))
    runtime = boto3.client("sagemaker-runtime")
    for number, row in enumerate(rows):
        runtime.invoke_endpoint(
            EndpointName="toys",
            Body=f"{row['size']},{row['place']}",
            ContentType="text/csv",
            InferenceId=f"ride-{number}",
        )
        told.writerow((f"ride-{number}", row["price"]))
    (tmp_path / "labels.csv").write_text(labels.getvalue())
    s3, before = boto3.client("s3"), serving()

    def captured() -> int:
        listed = s3.list_objects_v2(Bucket=rehearsal.BUCKET, Prefix="toys/captured/")
        keys = [each["Key"] for each in listed.get("Contents", [])]
        bodies = [s3.get_object(Bucket=rehearsal.BUCKET, Key=key)["Body"].read() for key in keys]
        return sum(each.count(b"ride-") for each in bodies)

    wait_until(lambda: captured() == ASKED, timeout=60, what="the captured requests")
    watching = ["--labels", tmp_path / "labels.csv"]
    report = tmp_path / "report"
    alarm = run("monitor", *watching, "--output", report, poll=False)
    assert alarm.code == ExitCode.ALARM, alarm.err

    ended = run("retrain", *watching, "--report", report / "report.json", "--json")
    assert ended.code == 0, ended.err
    assert f"{ASKED} of {ASKED} captured rows have a label" in ended.err
    assert "the challenger is better" in ended.err
    assert serving() == ended.json()["configuration"] != before
    assert price() > 2.3 > BEFORE
    (arn,) = packages()
    found = boto3.client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"
    card = json.loads(found["ModelCard"]["ModelCardContent"])
    assert "the challenger is better" in card["evaluation_details"][0]["evaluation_observation"]
    for kind in ("ModelQuality", "ModelDataQuality"):
        place = found["ModelMetrics"][kind]["Statistics"]["S3Uri"]
        bucket, _, key = place.removeprefix("s3://").partition("/")
        assert json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])
    again = run("monitor", *watching, "--output", report, poll=False)
    assert again.code == ExitCode.OK, again.err
    assert "when the model of toys came" in again.err
    read = json.loads((report / "report.json").read_text())["read"]
    assert read["labels without request"] == ASKED  # those asked the model before
    whole = run("monitor", *watching, "--output", report, "--since", "2026-01-01", poll=False)
    assert whole.code == ExitCode.ALARM, whole.err


@pytest.mark.parametrize("how", [(), ("--pipeline",)], ids=["job", "pipeline"])
def test_what_is_not_better_changes_nothing(run, tmp_path, how):
    """Labels that do not belong to the rows: exit code 8, why, the same endpoint, no new model."""
    shuffled = toys.write(tmp_path / "new/new.csv", 200, slope=0.0, noise=30.0)
    before, registered = serving(), packages()
    ended = run("retrain", "--new", shuffled, *how)
    assert ended.code == ExitCode.KEPT, ended.err
    assert "the model in service stays" in ended.err
    assert "mean absolute error" in ended.err
    assert (serving(), packages()) == (before, registered)


def test_a_pipeline_does_the_same_in_its_steps(run, tmp_path):
    """
    1. the pipeline is put and run 2. again with the same. Result: each step is a job, the better
    model is registered with its card and serves; the pipeline is reused.
    """
    new = toys.write(tmp_path / "new/new.csv", 300, slope=5.0)
    before, registered = serving(), packages()
    ended = run("retrain", "--new", new, "--pipeline", "--json")
    assert ended.code == 0, ended.err
    arn = ended.json()["model_package"]
    assert packages() == [arn, *registered]
    assert serving() != before
    assert price() > 3.0
    found = boto3.client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"
    assert "the challenger is better" in found["ModelPackageDescription"]
    assert "the challenger is better" in found["ModelCard"]["ModelCardContent"]
