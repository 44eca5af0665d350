"""
Two models behind one endpoint, and automatic scaling of each kind of endpoint.
"""

import pytest
from deploy.errors import ExitCode

pytestmark = pytest.mark.docker


def shares(cloud, endpoint, times=20):
    """How often each model answers."""
    answers = [cloud.ask(endpoint).decode().partition(":")[0] for _ in range(times)]
    return {name: answers.count(name) for name in set(answers)}


def test_two_models_share_the_requests(run, cloud, model):
    """
    1. a challenger gets a quarter 2. a half 3. they are compared 4. the first one is scaled 5. the
    challenger's model takes its place 6. and back, to the shares of that configuration 7. the
    challenger gets a half and goes, another one gets a tenth. Result: the shares are those, and the
    model that took the place has the instances of both.
    """
    run("realtime", "--name", "pair", "--model", model("old"))
    command = ["variants", "pair", "--add", "challenger", "--percent", 25, "--model", model("new")]
    ended = run(*command)
    assert ended.code == 0, ended.err
    assert shares(cloud, "pair") == {"old": 15, "new": 5}
    assert run("variants", "pair", "--shift", "challenger", "--percent", 50).code == 0
    assert shares(cloud, "pair") == {"old": 10, "new": 10}

    def compared():
        return run("variants", "pair", "--json", poll=False).json()

    found = cloud.until(compared, lambda seen: all(e["requests"] for e in seen["variants"]))
    assert [each["variant"] for each in found["variants"]] == ["main", "challenger"]
    assert found["variants"][1]["share"] == "50.0 %"
    assert found["variants"][0]["errors"].startswith("0.00 to ")
    assert "fewer errors: too few requests to tell main and challenger apart" in found["so"]
    for hours in (25, 24 * 14, 24 * 400):
        ended = run("variants", "pair", "--hours", hours, "--json", poll=False)
        assert ended.code == 0, ended.err
        assert all(each["requests"] for each in ended.json()["variants"])
    cloud.client().update_endpoint_weights_and_capacities(
        EndpointName="pair",
        DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 2}],
    )
    cloud.settled("pair")
    ended = run("variants", "pair", "--promote", "challenger")
    assert ended.code == 0, ended.err
    assert shares(cloud, "pair") == {"new": 20}
    (left,) = cloud.settled("pair")["ProductionVariants"]
    assert (left["VariantName"], left["DesiredInstanceCount"]) == ("main", 3)
    assert run("rollback", "pair").code == 0
    assert shares(cloud, "pair") == {"old": 15, "new": 5}
    assert run("variants", "pair", "--shift", "challenger", "--percent", 50).code == 0
    assert run("variants", "pair", "--remove", "challenger").code == 0
    assert shares(cloud, "pair") == {"old": 20}
    ended = run("variants", "pair", "--add", "second", "--model", model("new"))
    assert ended.code == 0, ended.err
    assert shares(cloud, "pair") == {"old": 18, "new": 2}
    cloud.delete("pair")


def test_a_shadow_is_asked_and_answers_nobody(run, cloud, model):
    """Its requests are counted; the answers are the first variant's."""
    run("realtime", "--name", "shady", "--model", model("old"))
    ended = run("variants", "shady", "--shadow", "trial", "--model", model("new"))
    assert ended.code == 0, ended.err
    assert shares(cloud, "shady") == {"old": 20}

    def compared():
        return run("variants", "shady", "--json", poll=False).json()["variants"]

    found = cloud.until(compared, lambda seen: seen[1]["requests"] >= 20)
    assert [each["role"] for each in found] == ["answers", "shadow"]
    ended = run("variants", "shady", "--add", "third", "--model", model("new"))
    assert (ended.code, "exactly one other variant" in ended.err) == (ExitCode.USAGE, True)
    assert run("variants", "shady", "--remove", "trial").code == 0
    cloud.delete("shady")


def test_a_realtime_endpoint_follows_its_requests(run, cloud, model):
    """
    1. scaling to zero is refused 2. it is scaled by requests, which are many 3. scaling is shown
    and switched off. Result: a second instance comes, and stays.
    """
    run("realtime", "--name", "busy", "--model", model("busy"))
    ended = run("autoscale", "busy", "--min", 0, "--max", 2, "--target", 1)
    assert ended.code == ExitCode.USAGE
    assert "a realtime endpoint keeps at least one instance" in ended.err
    command = ["autoscale", "busy", "--max", 2, "--target", 0.5, "--cooldown", 1]
    ended = run(*command)
    assert ended.code == 0, ended.err

    def asked():
        shares(cloud, "busy", 5)
        return cloud.settled("busy")["ProductionVariants"][0]["CurrentInstanceCount"]

    cloud.until(asked, lambda count: count == 2)
    said = run("autoscale", "busy", "--show", poll=False).out
    assert "SageMakerVariantInvocationsPerInstance at 0.5" in said
    assert "Setting desired instance count to 2." in said
    assert run("autoscale", "busy", "--off").code == 0
    assert "policies" not in run("autoscale", "busy", "--show", poll=False).out
    cloud.delete("busy")


def test_a_queue_sleeps_and_wakes(run, cloud, model, tmp_path):
    """
    1. an asynchronous endpoint is scaled from zero 2. nothing waits 3. something does.
    Result: it has no instance, then one that answers.
    """
    run("async", "--name", "queue", "--model", model("queue"))
    ended = run("autoscale", "queue", "--min", 0, "--max", 2, "--cooldown", 1)
    assert ended.code == 0, ended.err
    zero = [{"VariantName": "main", "DesiredInstanceCount": 0}]
    cloud.client().update_endpoint_weights_and_capacities(
        EndpointName="queue", DesiredWeightsAndCapacities=zero
    )
    assert cloud.settled("queue")["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    (tmp_path / "question").write_text("wake", encoding="utf-8")
    answer = run("invoke", "--name", "queue", tmp_path / "question", "--content-type", "text/csv")
    assert (answer.code, answer.out) == (0, "queue:wake"), answer.err
    said = run("autoscale", "queue", "--show", poll=False).out
    assert "ApproximateBacklogSizePerInstance at 5" in said
    assert run("autoscale", "queue", "--off").code == 0
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNames=["queue-from-zero"])
    assert alarms["MetricAlarms"] == []
    cloud.settled("queue")
    cloud.delete("queue")


def test_what_a_serverless_endpoint_holds_ready_is_scaled(run, cloud, model):
    """
    From one, which it then holds ready, to at most what it may have; an update and the way back
    leave that.
    """
    run("serverless", "--name", "light", "--model", model("light"))
    ended = run("autoscale", "light", "--max", 11)
    assert (ended.code, "serverless.max_concurrency allows 10" in ended.err) == (64, True)
    ended = run("autoscale", "light", "--max", 3)
    assert ended.code == 0, ended.err

    def ready():
        (variant,) = cloud.settled("light")["ProductionVariants"]
        return variant["CurrentServerlessConfig"].get("ProvisionedConcurrency")

    assert ready() == 1
    for command in (["update", "light", "--model", model("next")], ["rollback", "light"]):
        ended = run(*command)
        assert ended.code == 0, ended.err
        assert ready() == 1
    said = run("autoscale", "light", "--show", poll=False).out
    assert "SageMakerVariantProvisionedConcurrencyUtilization at 0.7" in said
    ended = run("variants", "light", "--add", "second", "--model", model("second"))
    assert (ended.code, "for realtime endpoints" in ended.err) == (64, True)
    cloud.delete("light")
