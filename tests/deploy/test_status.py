"""What status, why and doctor find."""

import ast
import json
import time

from deploy import causes
from deploy.errors import ExitCode

from deployments import BUCKET
from project import TOP


def test_status_says_what_runs_and_how_it_differs(run, account, tmp_path):
    """Model, archive, requests, differences from the file, an interrupted operation."""
    run("realtime", "--model", tmp_path / "model")
    account.client("cloudwatch").put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": "Invocations",
                "Dimensions": [
                    {"Name": "EndpointName", "Value": "toys"},
                    {"Name": "VariantName", "Value": "main"},
                ],
                "Value": 3,
            }
        ],
    )
    record = {"step": "4 of 7", "finish": "./deploy.sh update toys --resume", "endpoint": "toys"}
    account.client("s3").put_object(
        Bucket=BUCKET, Key="toys/operations/toys.json", Body=json.dumps(record)
    )
    run.lines += ["[realtime]", 'instance_type = "ml.c5.large"', "capture_percent = 5"]

    found = run("status", "--json", poll=False).json()["endpoints"][0]
    assert found["state"] == "InService"
    assert found["variants"][0]["archive"].endswith("model.tar.gz")
    assert found["variants"][0]["last_day"]["Invocations"] == 3
    assert found["differs_from_file"]["ProductionVariants.0.InstanceType"] == {
        "file": "ml.c5.large",
        "runs": "ml.m5.large",
    }
    assert found["differs_from_file"]["DataCaptureConfig.EnableCapture"]["file"] is True
    assert found["interrupted"] == record

    said = run("status", poll=False).out
    assert "InstanceType:\n      file: ml.c5.large\n      runs: ml.m5.large\n" in said
    assert "    interrupted:\n" not in said
    assert "  interrupted:\n    step: 4 of 7\n    finish: ./deploy.sh update toys --resume" in said
    assert "finish it" in run("doctor", poll=False).out


def test_status_of_an_empty_account_says_how_to_begin(run):
    """Nothing is an answer too."""
    ended = run("status", poll=False)
    assert (ended.code, "./deploy.sh train begins" in ended.err) == (0, True)
    assert run("status", "other", poll=False).code == ExitCode.USAGE


def test_doctor_says_finding_and_remedy(run, account):
    """What is fine, what cannot be known, and what is wrong with what to do."""
    ended = run("doctor", poll=False)
    assert "trusts SageMaker" in ended.out
    assert "cannot know  quota" in ended.out
    assert ended.code == 0, ended.out
    run.lines[2] = 'bucket = "no-such-bucket"'
    run.lines[1] = 'role = "arn:aws:iam::123456789012:role/none"'
    run.lines.append('image = "none"')
    ended = run("doctor", "--json", poll=False)
    assert ended.code == 4
    bad = {each["what"]: each["about"] for each in ended.json()["findings"]}
    assert "aws s3 mb s3://no-such-bucket" in bad["bucket"]
    assert "correct role in deploy.toml" in bad["role"]
    assert "./build_and_push.sh none" in bad["image"]


def test_each_row_of_the_troubleshooting_page_is_read():
    """The page's table is what why looks up: signs, meaning and remedy of each row."""
    page = (TOP / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = page.partition("<!-- /causes -->")[0].count("\n| `")
    assert len(causes.table()) == rows > 20
    for each in causes.table():
        assert each.signs
        assert each.meaning.endswith((".", ")."))
        assert causes.match(f"so: {each.signs[-1]}!")[0] in (each, causes.match(each.signs[-1])[0])


def test_why_finds_the_row_of_a_failed_job(run, account, tmp_path):
    """Reason, last lines of each host, cause and remedy in one answer."""
    reason = "CapacityError: Unable to provision requested ML compute capacity"
    job = run("train", "--data", tmp_path / "data", "--json").json()["training_job"]
    state = {"TrainingJobStatus": "Failed", "FailureReason": reason}
    account.answers["DescribeTrainingJob"] = [state | {"SecondaryStatus": "Failed"}]
    logs, group = account.client("logs"), "/aws/sagemaker/TrainingJobs"
    logs.create_log_group(logGroupName=group)
    now = int(time.time() * 1000)
    for host in ("algo-1", "algo-2"):
        stream = f"{job}/{host}-1700000000"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now + n, "message": f"line {n}"} for n in range(30)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    ended = run("why", job, poll=False)
    assert ended.code == 0
    assert f"reason: {reason}" in ended.out
    assert "algo-2 | line 29" in ended.out
    assert "algo-1 | line 10\n" in ended.out
    assert "line 9\n" not in ended.out
    assert f"remedy: {causes.match(reason)[0].remedy}" in ended.out


READING = ("monitor", "records", "evaluation")


def test_the_commands_know_neither_the_container_nor_the_local_cloud():
    """They meet AWS's API only; captures and labels are read by the server's own rules."""
    for path in (TOP / "deploy").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                room = module.split(".")[0]
                assert room != "local_cloud", path
                assert room != "sagemaker_runtime" or path.stem in READING, path
