"""
An update may end anywhere: the endpoint serves all the same, and its scaling is there or comes back
by the command that status names.
"""

import os
import subprocess
import sys

import pytest
from deploy.errors import ExitCode

from project import TOP

pytestmark = pytest.mark.docker

READS = ("Describe", "Get", "List", "Head", "Simulate", "BatchGet")


class Swept:
    """A scaled endpoint, of which each update makes a new model on the other instance type."""

    def __init__(self, run, cloud, name, folder, spare):
        self._run, self._cloud, self.name = run, cloud, name
        self._lines, self._spare, self._times = list(run.lines), spare, 0
        self._model = folder
        assert run("realtime", "--name", name, "--model", folder).code == 0

    def command(self):
        """The next update."""
        self._times += 1
        kind = ("ml.c5.large", "ml.m5.large")[self._times % 2]
        environment = ["[environment]", f'CASE = "{self._times}"']
        self._run.lines[:] = [*self._lines, *environment, "[realtime]", f'instance_type = "{kind}"']
        given = ["--bake", 0, "--spare", self._spare]
        return ["update", self.name, "--model", self._model, *given]

    def calls(self):
        """
        The calls of an undisturbed update that change something, each with its ordinal among those
        of its name. What is only read fails between two of them: nothing else has happened.
        """
        journal = self._cloud.started.cloud.journal
        before = len(journal.calls())
        ended = self._run(*self.command())
        assert ended.code == 0, ended.err
        found, seen = [], {}
        for call in journal.calls()[before:]:
            seen[call.name] = seen.get(call.name, 0) + 1
            if not call.action.startswith(READS):
                found.append((call.name, seen[call.name]))
        return found

    def mended(self, scaled, before):
        """Run what status says, if it says anything, and look whether all is as it was."""
        self._cloud.admin("DELETE", "faults")
        self._cloud.settled(self.name)
        assert self._cloud.ask(self.name) == b"swept:1"
        (found,) = self._run("status", self.name, "--json", poll=False).json()["endpoints"]
        if record := found["interrupted"]:
            program, *words = record["finish"].split()
            assert program == "./deploy.sh"
            ended = self._run(*words)
            assert ended.code == 0, ended.err
            assert "InService" in ended.err
        assert scaled.state() == before
        assert self._cloud.ask(self.name) == b"swept:1"


@pytest.fixture(params=[0, 1], ids=["as-many", "one-more"])
def swept(request, run, cloud, model):
    """The endpoint, on as many instances as before during its updates, or on one more."""
    found = Swept(run, cloud, f"swept{request.param}", model("swept"), request.param)
    yield found
    cloud.delete(found.name)


def chosen(calls, swept):
    """With one instance more only the calls that change counts, since each case takes long."""
    if swept.name == "swept0":
        return calls
    return [each for each in calls if each[0] == "sagemaker:UpdateEndpointWeightsAndCapacities"]


def test_each_call_may_be_refused(run, cloud, swept, scaled):
    """
    1. call n of an update is refused 2. what status says is run.
    Result: for each n the endpoint serves and is scaled as before; the update says that it failed.
    """
    target = scaled(swept.name)
    calls = chosen(swept.calls(), swept)
    before = target.state()
    for action, ordinal in calls:
        cloud.admin("POST", "faults", action=action, call=ordinal)
        ended = run(*swept.command(), poll=False)
        assert ended.code in (0, ExitCode.REFUSED), ended.err
        swept.mended(target, before)


def test_the_process_may_be_killed_at_each_call(run, cloud, swept, scaled):
    """
    1. the process is killed at call n of an update, before or after it is carried out
    2. what status says is run. Result: for each n the endpoint serves and is scaled as before.
    """
    target = scaled(swept.name)
    calls = chosen(swept.calls(), swept)
    before = target.state()
    # After one is before the next.
    for (action, ordinal), way in [
        (calls[0], "kill-before"),
        *((each, "kill-after") for each in calls),
    ]:
        cloud.admin("POST", "faults", action=action, call=ordinal, way=way)
        words = [str(each) for each in swept.command()]
        run.settings.write_text("\n".join(run.lines), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "deploy", *words, "--file", run.settings, "--poll", "0.01"],
            cwd=TOP,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -9), done.stderr
        swept.mended(target, before)
