"""
Updates that alarms watch: those that do not last, and those of a scaled endpoint.
"""

import pytest
from deploy.errors import ExitCode

pytestmark = pytest.mark.docker


def serve(run, name, folder, count=1):
    """Make an endpoint."""
    run.lines += ["[realtime]", f"instance_count = {count}"]
    ended = run("realtime", "--name", name, "--model", folder)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("how", ["canary", "linear", "rolling"])
def test_a_scaled_endpoint_changes_its_instances(run, cloud, model, asking, scaled, how):
    """
    1. four clients ask a scaled endpoint on two instances 2. it is brought to another model and
    instance type. Result: all are answered; counts, bounds, policies, scheduled actions, tags and
    the alarm of the step policy are as before.
    """
    serve(run, how, model("old"), 2)
    target = scaled(how, most=2)
    before = target.state()
    run.lines += ['instance_type = "ml.c5.large"']
    command = ["update", how, "--model", model("new"), "--strategy", how, "--bake", 60]
    command += ["--percent", 50, "--latency-ms", 60_000]
    planned = [each["step"][:6] for each in run(*command, "--dry-run").json() if "step" in each]
    assert list(dict.fromkeys(planned)) == [f"{number} of 7" for number in range(1, 8)]
    assert target.state() == before
    with asking(how) as answers:
        ended = run(*command)
        assert ended.code == 0, ended.err
    assert set(answers) == {"old:1", "new:1"}
    assert cloud.ask(how) == b"new:1"
    assert target.state() == before
    assert "step 2 of 7: raise the capacity: skipped" in ended.err
    cloud.delete(how)


def test_more_instances_for_the_time_of_an_update(run, cloud, model, scaled):
    """One instance becomes two, so that a canary is possible, and is one again afterwards."""
    serve(run, "spared", model("old"))
    target = scaled("spared")
    before = target.state()
    command = ["update", "spared", "--model", model("new"), "--strategy", "canary", "--bake", 0]
    ended = run(*command, "--percent", 50)
    assert ended.code == 0, ended.err
    assert "step 1 of 7: take the scaling away: skipped" in ended.err
    assert target.state() == before
    assert before["counts"] == [1]
    cloud.delete("spared")


@pytest.mark.parametrize(
    ("fault", "value", "said"),
    [
        ("ANSWER", "500", "rolled-main-errors is ALARM"),
        ("PING", "503", "did not pass the ping health check"),
    ],
)
def test_what_does_not_work_is_rolled_back(run, cloud, model, asking, fault, value, said):
    """
    1. four clients ask 2. a model comes that answers 500, or never answers a ping.
    Result: exit code 5 with the alarm or reason; the old one answers, and nothing is deleted.
    """
    serve(run, "rolled", model("old"), 2)
    serving = cloud.settled("rolled")["EndpointConfigName"]
    run.lines += ["[environment]", f'{fault} = "{value}"']
    command = ["update", "rolled", "--strategy", "canary", "--percent", 50, "--bake", 3600]
    with asking("rolled") as answers:
        ended = run(*command, "--model", model("new"), "--json")
    assert ended.code == ExitCode.ROLLED_BACK, ended.err
    assert said in ended.err
    found = cloud.settled("rolled")
    assert found["EndpointConfigName"] == serving
    assert {cloud.ask("rolled") for _ in range(4)} == {b"old:1"}
    assert answers["old:1"] > 0
    assert set(answers) <= {"old:1", "ModelError"}
    tried = cloud.client().list_endpoint_configs(NameContains="rolled-")["EndpointConfigs"]
    assert len(tried) == 2
    assert (
        run("status", "rolled", "--json", poll=False).json()["endpoints"][0]["interrupted"] is None
    )
    run.lines[-2:] = []
    cloud.delete("rolled")
    for each in tried:
        cloud.client().delete_endpoint_config(EndpointConfigName=each["EndpointConfigName"])


def test_scaling_and_counts_come_back_after_a_rollback(run, cloud, model, scaled):
    """The instance type would change: the scaling was away when the alarm went off."""
    serve(run, "returned", model("old"))
    target = scaled("returned")
    before = target.state()
    run.lines += ['instance_type = "ml.c5.large"', "[environment]", 'PING = "503"']
    ended = run("update", "returned", "--model", model("new"))
    assert ended.code == ExitCode.ROLLED_BACK, ended.err
    assert target.state() == before
    cloud.delete("returned")
