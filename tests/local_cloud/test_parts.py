"""Parts of the cloud whose moments no container can be made to meet."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from local_cloud import alarms, engine, store
from local_cloud.clock import Clock, Stopped
from local_cloud.errors import Failed
from local_cloud.hosting.asynchronous import Queues, Task
from local_cloud.hosting.deployments import Deployment
from local_cloud.hosting.fleet import Fleet
from local_cloud.hosting.variant import Variant
from local_cloud.jobs.checkpoints import Checkpoints
from local_cloud.jobs.training import _Run


def test_a_defect_at_a_queued_request_is_its_answer(caplog):
    """Whatever goes wrong, the caller finds a failure object, and the log the traceback."""
    written = {}
    backend = SimpleNamespace(publish=lambda *_: None)
    kept = SimpleNamespace(write=lambda uri, body, **_: written.update({uri: body}))
    cloud = SimpleNamespace(store=kept, backend=backend, region="here", clock=Clock())
    places = {"AsyncInferenceConfig": {"OutputConfig": {}}}
    fleet = SimpleNamespace(config=places)
    endpoint = SimpleNamespace(name="e", fleet=fleet, take=lambda: (None, None))
    queues = Queues(cloud, None, SimpleNamespace(ask=lambda *_, **__: 1 / 0))
    queues._running["e"] = 1
    task = Task("1", "1", "", b"1", {}, "s3://b/good", "s3://b/bad", 1, float("inf"), "")
    queues._run(endpoint, task)
    assert written == {"s3://b/bad": b"InternalServerError: ZeroDivisionError: division by zero"}
    assert "Traceback" in caplog.text
    assert queues._running["e"] == 0


def test_keys_may_have_any_character():
    """In S3 neither # nor ? ends a key."""
    assert store.split("s3://bucket/some data/a#1?b=ü.csv") == ("bucket", "some data/a#1?b=ü.csv")


def test_a_checkpoint_may_be_renamed_while_it_is_sent(tmp_path):
    """A job writes beside and renames, whenever it likes: what has gone is passed over."""
    sent = {}
    kept = SimpleNamespace(exists=lambda _: False, write=lambda uri, body: sent.update({uri: body}))
    checkpoints = Checkpoints(kept, {"S3Uri": "s3://bucket/kept"}, tmp_path)
    for name in ("a", "b.new"):
        (tmp_path / name).write_text(name)
    read = Path.read_bytes

    def rename_first(path):
        (tmp_path / "b.new").rename(tmp_path / "b") if path.name == "b.new" else None
        return read(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", rename_first)
        checkpoints.send()
        checkpoints.send()
    assert sent == {"s3://bucket/kept/a": b"a", "s3://bucket/kept/b": b"b.new"}


def test_what_a_metric_finds_may_be_no_number():
    """It is passed over, and the job keeps its success."""
    run = _Run.__new__(_Run)
    run._logs = [SimpleNamespace(lines=["loss=0.5", "loss=none"])]
    definition = {"Name": "loss", "Regex": r"loss=(\S+)"}
    run._record = {"AlgorithmSpecification": {"MetricDefinitions": [definition]}}
    assert [each["Value"] for each in run.metrics(0)] == [0.5]


def test_an_alarm_that_is_not_understood_stops_no_other():
    """A statistic that is not imitated is said in the log; the next alarm is evaluated."""
    alarm = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    odd = alarm | {"AlarmName": "odd", "ExtendedStatistic": "TM(10%:90%)"}
    plain = alarm | {"AlarmName": "plain", "Statistic": "Sum"}
    said = {}
    client = SimpleNamespace(
        describe_alarms=lambda **_: {"MetricAlarms": [odd, plain]},
        set_alarm_state=lambda AlarmName, StateValue, **_: said.update({AlarmName: StateValue}),
    )
    pauses = iter([None])

    def pause(_seconds):
        if next(pauses, "stop") == "stop":
            raise Stopped

    cloud = SimpleNamespace(
        clock=SimpleNamespace(real=lambda seconds: seconds, pause=pause),
        backend=SimpleNamespace(client=lambda _: client),
        metrics=SimpleNamespace(within=lambda *_: [2.0]),
    )
    with pytest.raises(Stopped):
        alarms.Alarms(cloud).look_forever()
    assert said == {"plain": "ALARM"}


def instance(stopped):
    """An instance that only notes its end."""
    return SimpleNamespace(busy=0, stop=lambda: stopped.append(1))


@pytest.fixture
def stops(monkeypatch):
    """Instances without containers; the list has one entry for each that was stopped."""
    stopped: list[int] = []
    monkeypatch.setattr(Variant, "_started", lambda _: instance(stopped))
    monkeypatch.setattr(Variant, "_end", lambda _, ended: [each.stop() for each in ended])
    monkeypatch.setattr(Variant, "start", lambda self: self.scale(self.wanted))
    return stopped


def config(name, count):
    """An endpoint configuration of one variant."""
    variant = {"VariantName": "main", "ModelName": "any", "InitialInstanceCount": count}
    return {"EndpointConfigName": name, "ProductionVariants": [variant]}


def test_a_rolling_update_rolled_back_has_all_its_instances(stops):
    """1. half of the old instances have gone 2. an alarm. Result: as many as before."""
    changes = {}
    records = SimpleNamespace(change=lambda record, **values: changes.update(values))
    cloud = SimpleNamespace(clock=Clock(1e6), records=records)
    old = Fleet(cloud, "rolled", config("old", 4))
    old.start()
    red = SimpleNamespace(red=lambda _: ["errors"] if old.variants[0].count < 4 else [])
    endpoint = SimpleNamespace(name="rolled", fleet=old, record={}, routes=[(1.0, old)])
    size = {"Type": "INSTANCE_COUNT", "Value": 2}
    policy = {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0}}
    Deployment(cloud, red, endpoint, config("new", 4), {"DeploymentConfig": policy}).run()
    assert changes["EndpointStatus"] == "InService"
    assert endpoint.routes == [(1.0, old)]
    assert (old.variants[0].count, old.variants[0].wanted) == (4, 4)


def test_what_starts_while_its_variant_ends_is_stopped(stops, monkeypatch):
    """1. an instance is started 2. its endpoint is deleted. Result: it does not stay behind."""
    variant = Variant(SimpleNamespace(), "ended", config("any", 1)["ProductionVariants"][0])

    def started(self):
        self.stop()
        return instance(stops)

    monkeypatch.setattr(Variant, "_started", started)
    variant.scale(1)
    assert (variant.count, stops) == (0, [1])


def test_what_is_being_started_is_removed_with_the_rest(monkeypatch):
    """1. docker starts a container 2. the cloud is stopped. Result: it is removed too."""
    begun, go_on, commands = threading.Event(), threading.Event(), []

    def docker(*arguments):
        if arguments[0] == "run":
            begun.set()
            assert go_on.wait(60)
        commands.append(arguments[0])
        return ""

    monkeypatch.setattr(engine, "docker", docker)
    runs = engine.Engine("any")
    with ThreadPoolExecutor() as pool:
        container = pool.submit(runs.start, "image")
        assert begun.wait(60)
        cleared = pool.submit(runs.clear)
        while not runs._closed:  # the stop has begun
            threading.Event().wait(0.01)
        go_on.set()
        container.result(), cleared.result()
    assert commands == ["run", "ps", "network"]
    with pytest.raises((engine.EngineError, Failed), match="being stopped"):
        runs.start("image")
