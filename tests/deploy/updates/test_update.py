"""
Updates that last: what serves, who is answered meanwhile, and what is as it was before.
"""

import pytest
from botocore.exceptions import ClientError
from deploy.errors import ExitCode

pytestmark = pytest.mark.docker


def configuration(cloud, endpoint):
    """The name of the configuration that serves."""
    return cloud.settled(endpoint)["EndpointConfigName"]


def test_another_model_serves_and_nobody_is_refused(run, cloud, model, asking):
    """
    1. four clients ask 2. the endpoint is brought to another model 3. and back.
    Result: every request was answered, by the old model or the new one.
    """
    assert run("realtime", "--name", "plain", "--model", model("old")).code == 0
    old = configuration(cloud, "plain")
    with asking("plain") as answers:
        ended = run("update", "plain", "--model", model("new"), "--json")
        assert ended.code == 0, ended.err
        new = configuration(cloud, "plain")
        assert (new != old, ended.json()["before"]) == (True, old)
        assert cloud.ask("plain") == b"new:1"
        assert "serves this already" in run("update", "plain", "--model", model("new")).err
        back = run("rollback", "plain")
        assert back.code == 0, back.err
    assert set(answers) == {"old:1", "new:1"}
    assert configuration(cloud, "plain") == old
    cloud.delete("plain")


def test_the_configuration_before_is_kept_until_the_next_update(run, cloud, model):
    """Of three models the first is deleted with its configuration, the second one is kept."""
    run("realtime", "--name", "kept", "--model", model("first"))
    served = [configuration(cloud, "kept")]
    for name in ("second", "third"):
        assert run("update", "kept", "--model", model(name), "--bake", 0).code == 0
        served.append(configuration(cloud, "kept"))
    listed = cloud.client().list_endpoint_configs(NameContains="kept-")["EndpointConfigs"]
    assert {each["EndpointConfigName"] for each in listed} == set(served[1:])
    ended = run("rollback", "kept", "--to", served[0])
    assert (ended.code, "there is no endpoint configuration" in ended.err) == (64, True)
    assert run("rollback", "kept").code == 0
    assert cloud.ask("kept") == b"second:1"
    with pytest.raises(ClientError, match="Could not find"):
        cloud.client().describe_endpoint_config(EndpointConfigName=served[0])
    assert cloud.keys("toys/operations/kept") == ["toys/operations/kept.json"]
    assert run("teardown", "kept", "--yes").code == 0
    assert cloud.keys("toys/operations/kept") == []


@pytest.mark.parametrize("command", ["update", "rollback"])
def test_what_cannot_be_updated_is_refused(run, command):
    """An endpoint that is not there, before anything is made."""
    ended = run(command, "nowhere")
    assert ended.code == ExitCode.USAGE
    assert "there is no endpoint nowhere" in ended.err
