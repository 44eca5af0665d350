"""
What is looked at before the first call of an update, and the figures that variants are compared by.
"""

import json
from fnmatch import fnmatchcase

import pytest
from deploy import comparison, owned
from deploy.comparison import Span
from deploy.errors import ExitCode

import aws
from deployments import APPLICATION, BUCKET
from granted import allowed, statements


@pytest.fixture(autouse=True)
def unscaled(monkeypatch):
    """No endpoint is scaled: moto fails when it is asked."""
    monkeypatch.setattr(owned, "scaled", lambda *_: [])


@pytest.fixture
def served(run, account, tmp_path):
    """An endpoint of two instances and the arguments that would bring it to another model."""
    run.lines += ["[realtime]", "instance_count = 2"]
    assert run("realtime", "--model", tmp_path / "model").code == 0
    (tmp_path / "model/weights").write_text("4 5 6", encoding="utf-8")
    account.calls = []
    return ["update", "--model", str(tmp_path / "model")]


def alarm(account, name):
    """Make somebody's own alarm."""
    account.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        MetricName="Busy",
        Namespace="Toys",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )


def refused(run, account, arguments):
    """What is said of an update that is refused before anything is changed."""
    ended = run(*arguments)
    assert ended.code == ExitCode.USAGE, ended.err
    assert account.calls == []
    assert "toys/operations/toys.json" not in account.objects()
    return ended.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--strategy", "canary", "--percent", 60], "expected 1 to 50 for canary"),
        (["--strategy", "linear", "--percent", 5], "expected 10 to 50 for linear"),
        (["--strategy", "rolling", "--bake", 4000], "expected 0 to 3600 seconds"),
        (["--strategy", "linear", "--percent", 10, "--bake", 3600], "take longer than an update"),
        (["--percent", 10], "--percent is for canary, linear and rolling"),
        (["--alarm", "none"], "there is no metric alarm none"),
        (["--variant", "other"], "--variant is 'other'; expected main"),
    ],
)
def test_what_aws_would_refuse_later_is_refused_first(run, account, served, more, said):
    """Sizes, times and alarms."""
    assert said in refused(run, account, [*served, *more])


def test_one_instance_has_no_part(run, account, tmp_path):
    """A canary needs two, which --spare may bring for its time."""
    run("realtime", "--model", tmp_path / "model", "--name", "one")
    (tmp_path / "model/weights").write_text("4 5 6", encoding="utf-8")
    command = ["update", "one", "--model", tmp_path / "model", "--strategy", "canary"]
    account.calls = []
    assert "to two for the time of the update: --spare 1" in refused(run, account, command)
    planned = run(*command, "--spare", 1, "--dry-run").json()
    assert list(dict.fromkeys(each["step"][0] for each in planned[1:])) == list("1234567")


def test_a_red_alarm_is_refused(run, account, served):
    """It would roll back at once."""
    alarm(account, "own")
    cloudwatch = account.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName="own", StateValue="ALARM", StateReason="9 errors")
    assert "own is in ALARM" in refused(run, account, [*served, "--alarm", "own"])


def test_both_fleets_must_fit_into_the_quota(run, account, served):
    """Two old instances and two new ones, or with a rolling update one at a time."""
    account.quotas = {"ml.m5.large for endpoint usage": 3}
    assert "4 ml.m5.large are wanted" in refused(run, account, served)
    ended = run(*served, "--strategy", "rolling", "--percent", 50, "--dry-run")
    assert ended.code == 0, ended.err


@pytest.fixture
def judged(account, monkeypatch):
    """IAM tells what the execution role of the template may; moto does not know the call."""
    may = allowed(statements(["ExecutionPolicy"], APPLICATION, BUCKET))

    def simulate(PolicySourceArn, ActionNames, ResourceArns=("*",)):
        (action,) = ActionNames
        listed = []
        for on in ResourceArns:
            fits = any(name == action and fnmatchcase(on, pattern) for name, pattern in may)
            decision = "allowed" if fits else "implicitDeny"
            listed.append({"EvalResourceName": on, "EvalDecision": decision})
        return {"EvaluationResults": listed}

    monkeypatch.setattr(account.client("iam"), "simulate_principal_policy", simulate, raising=False)


def test_what_a_variant_more_needs_is_in_the_quota(run, account, tmp_path):
    """Beside one instance and its successor a shadow wants a third."""
    run("realtime", "--model", tmp_path / "model")
    account.quotas = {"ml.m5.large for endpoint usage": 2}
    ended = run("variants", "--shadow", "trial", "--model", tmp_path / "model")
    assert (ended.code, "3 ml.m5.large are wanted" in ended.err) == (ExitCode.USAGE, True)


def test_capacities_are_changed_one_after_the_other(run, account, served):
    """AWS takes the capacity of one variant at a time."""
    sagemaker = account.client("sagemaker")
    (only,) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    found = sagemaker.describe_endpoint_config(EndpointConfigName=only["EndpointConfigName"])
    (entry,) = found["ProductionVariants"]
    listed = [entry | {"VariantName": name} for name in ("main", "trial")]
    sagemaker.create_endpoint_config(EndpointConfigName="two", ProductionVariants=listed)
    sagemaker.delete_endpoint(EndpointName="toys")
    sagemaker.create_endpoint(EndpointName="toys", EndpointConfigName="two")
    planned = run(*served, "--variant", "main", "--spare", 1, "--dry-run").json()
    asked = [each["input"] for each in planned if "-weights-" in each.get("command", "")]
    raised = [each["DesiredWeightsAndCapacities"] for each in asked[:2]]
    assert [[each["VariantName"] for each in listed] for listed in raised] == [["main"], ["trial"]]


def test_the_templates_role_sees_the_default_alarms(run, served, judged):
    """IAM is asked about them, not about all alarms, which it may not see."""
    ended = run(*served, "--dry-run")
    assert ended.code == 0, ended.err
    assert "cannot know" not in ended.err


def test_the_role_must_see_the_alarms(run, account, served, judged):
    """SageMaker looks at them by the execution role: one that it may not see is named."""
    for name in ("toys-busy", "own"):
        alarm(account, name)
    said = refused(run, account, [*served, "--alarm", "toys-busy", "--alarm", "own"])
    where = f"arn:aws:cloudwatch:{aws.REGION}:{aws.ACCOUNT}"
    assert f"cloudwatch:DescribeAlarms on {where}:alarm:own: without it" in said


def test_aws_takes_ten_alarms(run, account, served):
    """More are refused before the update has begun."""
    named = [part for number in range(11) for part in ("--alarm", f"own-{number}")]
    assert "11 alarms would watch, and AWS takes 10" in refused(run, account, [*served, *named])


def test_without_requests_an_update_proves_nothing(run, account, served):
    """Said, and not refused."""
    ended = run(*served, "--dry-run")
    assert ended.code == 0
    assert "nobody has asked toys in the last hour" in ended.err


def test_an_interrupted_operation_comes_first(run, account, served):
    """The command that finishes it is named."""
    record = {"step": "6 of 7", "finish": "./deploy.sh update toys --resume", "endpoint": "toys"}
    account.client("s3").put_object(
        Bucket=BUCKET, Key="toys/operations/toys.json", Body=json.dumps(record)
    )
    ended = run(*served)
    assert (ended.code, account.calls) == (ExitCode.USAGE, [])
    assert "finish it first: ./deploy.sh update toys --resume" in ended.err


def test_another_image_keeps_the_archive_of_a_registered_model(run, account, served):
    """A model of a package does not name its archive itself: the package does."""
    (key,) = (each for each in account.objects() if each.endswith("model.tar.gz"))
    archive = f"s3://{BUCKET}/{key}"
    sagemaker = account.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="toys")
    registered = sagemaker.create_model_package(
        ModelPackageGroupName="toys",
        InferenceSpecification={
            "Containers": [{"Image": "toys:v1", "ModelDataUrl": archive}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    container = {"ModelPackageName": registered}
    account.answers["DescribeModel"] = [{"PrimaryContainer": container}]
    ended = run("update", "--image", "toys:v1", "--dry-run")
    assert ended.code == 0, ended.err
    assert f'"ModelDataUrl": "{archive}"' in ended.out


def test_intervals_hold_for_few_events():
    """Wilson's figures for 0 of 10 and 5 of 50, and one without any request."""
    assert comparison.share(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert comparison.share(5, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)
    assert comparison.share(0, 0) == (0, 1)


def test_latency_is_as_sure_as_its_spans_agree():
    """Equal spans leave no doubt, different ones do; of two nothing can be said."""
    mean, around = comparison.latency([Span(10, 20.0)] * 5)
    assert (mean, around) == (20, (20, 20))
    mean, around = comparison.latency([Span(10, 10.0), Span(10, 20.0), Span(20, 30.0)])
    assert mean == 22.5
    assert around[0] < 15 < 30 < around[1]
    assert comparison.latency([Span(1, 5.0)] * 2) == (5, None)
    assert comparison.latency([]) == (0, None)


def test_a_better_variant_is_named_once_it_is_sure():
    """By errors and latency, each for itself."""
    good = {"requests": 1000, "5xx": 1, "errors": comparison.share(1, 1000)}
    bad = {"requests": 1000, "5xx": 90, "errors": comparison.share(90, 1000)}
    good |= {"latency_ms": 5, "latency_interval_ms": (4, 6)}
    bad |= {"latency_ms": 5.5, "latency_interval_ms": (5, 6)}
    assert comparison.verdict("a", bad, "b", good) == [
        "b has fewer errors",
        "faster answers: too few requests to tell a and b apart",
    ]
