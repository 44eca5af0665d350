"""
The notebooks about fares: executed in local mode and in the cloud's place.
"""

import ast
import json
import re
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

import deserializers
from clouds import watched
from harness import free_port
from notebooks import (
    BUCKET,
    URI,
    Run,
    archived,
    ask,
    asked,
    assert_permitted,
    environment_of,
    execute,
    execute_in_the_cloud,
    execute_locally,
    source,
    the,
)
from project import TOP
from sagemaker_runtime.training import metric_lines
from taxi_fare.hyperparameters import HYPERPARAMETERS
from taxi_fare.metrics import METRICS

TAXI = ("train_and_deploy", "train_and_deploy_sdk_v3")
ROUNDS = 60
# Dollars by which the model of that many rounds may be wrong on average on the trips put aside.
# Always answering the average fare is wrong by about 6.
MAE_BOUND = 2.0


@pytest.fixture(scope="session")
def local_runs(image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Both taxi notebooks, executed in local mode."""
    return {
        name: execute_locally(name, tmp_path_factory.mktemp(name), image, rounds=ROUNDS)
        for name in TAXI
    }


@pytest.mark.docker  # with the notebooks, whose environment it takes
def test_every_deserializer_of_the_other_sdk_reads_answers():
    """Version 3 of the SDK reads answers in every form that it knows and that is offered."""
    deserializers.check(environment_of("train_and_deploy_sdk_v3"), "sagemaker.core.deserializers")


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_local_training_is_no_false_green(local_runs, name):
    """The archive holds a whole model of the rounds asked for; all containers exited with 0."""
    run = local_runs[name]
    archive = the(run.work, "model.tar.gz")
    assert archived(archive) == {
        "estimator.skops",
        "metadata.json",
        "openapi.json",
        "baseline.json",
        "trees.npz",
    }
    with tarfile.open(archive) as tar:
        (member,) = (each for each in tar if each.name.endswith("metadata.json"))
        metadata = json.load(tar.extractfile(member))
    assert metadata["hyperparameters"]["rounds"] == ROUNDS
    outputs = archived(the(run.work, "output.tar.gz"))
    assert {Path(name).name for name in outputs} == {"evaluation.html", "metrics.json"}
    commands = sorted(state.split()[0].strip('"') for state in run.containers)
    assert commands == ["serve", "serve", "train"]
    assert all("Exited (0)" in state for state in run.containers), run.containers


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_local_answers_are_the_containers(local_runs, image, tmp_path, name):
    """Endpoint and batch transform answer what the same container answers when asked directly."""
    run = local_runs[name]
    rows = (run.work / "questions/unseen.csv").read_bytes()
    direct = ask(image, the(run.work, "model.tar.gz"), tmp_path / "model", rows)
    assert len(direct) == 1_000
    assert len(set(direct)) > 500
    assert run.values["predicted"] == direct
    assert run.values["batch"] == direct


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_local_figures_are_good_and_shown(local_runs, name):
    """The error on unseen trips is below the bound, plots and evaluation page are in the output."""
    run = local_runs[name]
    assert 0.5 < run.values["mae"] < MAE_BOUND
    assert f"{run.values['mae']:.2f} dollars" in run.output("predict")
    assert run.pictures == 2
    (page,) = (cell for cell in run.cells if cell["id"] == "page")
    assert "<iframe" in "".join(page["outputs"][0]["data"]["text/html"])


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_metrics_are_caught_in_the_log(local_runs, name):
    """What the notebook's regular expressions find last in the job's log is in metrics.json."""
    run = local_runs[name]
    assert set(run.values["metrics"]) == set(METRICS)
    for defined in definitions(name):
        *_, caught = re.findall(defined["Regex"], run.output("train"))
        assert float(caught) == pytest.approx(run.values["metrics"][defined["Name"]], rel=1e-5)


@pytest.mark.docker
def test_both_sdks_train_the_same_model(local_runs):
    """From the same data, the notebooks on both SDKs come to the same answers."""
    first, second = (local_runs[name].values["predicted"] for name in TAXI)
    assert first == second


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_taxi_notebook_in_the_cloud(local_runs, image, tmp_path, name):
    """With the cloud's parameters the calls are right and the answers those of local mode."""
    with watched(tmp_path / "platform", {URI: image}, BUCKET) as platform:
        run = execute_in_the_cloud(name, tmp_path, platform, rounds=ROUNDS)
        assert run.values["predicted"] == local_runs[name].values["predicted"]
        assert run.values["batch"] == run.values["predicted"]
        assert run.values["caught"] == pytest.approx(run.values["metrics"], rel=1e-5)

        training = asked(platform, "CreateTrainingJob")
        store = f"s3://{BUCKET}/{run.values['run']}"
        assert training["AlgorithmSpecification"]["TrainingImage"] == URI
        assert training["AlgorithmSpecification"]["MetricDefinitions"] == definitions(name)
        assert training["ResourceConfig"]["InstanceType"] == "ml.m5.large"
        assert training["ResourceConfig"]["InstanceCount"] == 1
        assert training["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
        assert training["OutputDataConfig"]["S3OutputPath"] == f"{store}/output"
        (channel,) = training["InputDataConfig"]
        assert channel["ChannelName"] == "training"
        assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"{store}/training"
        assert asked(platform, "CreateModel")["PrimaryContainer"]["Image"] == URI
        (variant,) = asked(platform, "CreateEndpointConfig")["ProductionVariants"]
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
        transform = asked(platform, "CreateTransformJob")
        assert transform["BatchStrategy"] == "MultiRecord"
        assert transform["TransformInput"]["SplitType"] == "Line"
        assert transform["TransformOutput"]["AssembleWith"] == "Line"
        assert_permitted(platform)


@pytest.mark.docker
def test_tuning_registers_the_best_model(image, tmp_path):
    """
    1. two trainings with other hyperparameters 2. the best is registered with its metrics,
    approved, deployed and asked. Result: its answer, its version deleted, permitted calls.
    """
    few = {"rounds": 5, "jobs": 2}
    with watched(tmp_path / "platform", {URI: image}, BUCKET) as platform:
        run = execute_in_the_cloud("tune_and_register", tmp_path, platform, **few)
        tuning = asked(platform, "CreateHyperParameterTuningJob")
        definition = tuning["TrainingJobDefinition"]["AlgorithmSpecification"]
        assert definition["MetricDefinitions"] == definitions("tune_and_register")
        package = asked(platform, "CreateModelPackage")
        metrics = {name: f"{value:.4f}" for name, value in run.values["metrics"].items()}
        assert set(metrics) == set(METRICS)
        assert package["CustomerMetadataProperties"] == metrics
        (container,) = package["InferenceSpecification"]["Containers"]
        assert f"/output/{run.values['run']}-00" in container["ModelDataUrl"]
        (served,) = asked(platform, "CreateModel")["Containers"]
        assert served == {"ModelPackageName": run.values["registered"]}
        assert all(float(fare) > 2 for fare in run.values["answer"].split())
        assert platform.client().list_model_package_groups()["ModelPackageGroupSummaryList"] == []
        assert_permitted(platform)


@pytest.mark.docker  # with the notebooks, whose environment it takes
def test_watching_ends_in_a_better_model():
    """
    1. a model is trained, asked and reported on 2. fares rise and passengers are left out 3. it is
    reported on again and trained again. Result: quiet at first, then an alarm that names both, also
    in the server's metrics; a challenger that is better.
    """
    with free_port() as port:
        pass  # the server takes it
    name = "watch_a_model"
    few = {
        "trips": 7_000,
        "rounds": 40,
        "project": TOP,
        "interpreter": sys.executable,
        "port": port,
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server's account may not enter pytest's own
        # A second thread beside busy processes makes a fit many times as long.
        one = {"OMP_NUM_THREADS": "1"}
        run = execute(name, environment_of(name), Path(folder), one, **few)
    assert run.output("monitor").startswith("quiet: Nothing changed that matters")
    told = run.output("change")
    (index,) = re.findall(r'psi{column="passenger_count"} (\S+)', told)
    assert float(index) > 1
    assert "errors changed: Predictions are too low" in told
    assert "the requests changed too: passenger_count (missing: 0% before, 100% now)" in told
    assert "the challenger is better" in run.output("retrain")
    assert run.pictures == 3
    (page,) = (cell for cell in run.cells if cell["id"] == "page")
    assert "the requests changed too" in "".join(page["outputs"][0]["data"]["text/html"])


def test_the_tuned_ranges_lie_within_the_table():
    """Each name is a hyperparameter of the program, and each range within what it allows."""
    (ranges,) = (
        node.value
        for node in ast.walk(ast.parse(source("tune_and_register")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ranges"
    )
    assert isinstance(ranges, ast.Dict)
    table = {each.name: each for each in HYPERPARAMETERS}
    for name, call in zip(ranges.keys, ranges.values, strict=True):
        known = table[ast.literal_eval(name)]
        least, most = (ast.literal_eval(each) for each in call.args)
        assert known.minimum <= least < known.default < most <= known.maximum
        kind = "IntegerParameter" if isinstance(known.default, int) else "ContinuousParameter"
        assert call.func.id == kind


def definitions(name: str) -> list[dict[str, str]]:
    """
    Return the metric definitions that stand in a notebook, in the API's form.
    """
    (value,) = (
        node.value
        for node in ast.walk(ast.parse(source(name)))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "metric_definitions"
    )
    assert isinstance(value, ast.List)
    if isinstance(value.elts[0], ast.Dict):
        found: list[dict[str, str]] = ast.literal_eval(value)
        return found
    return [
        {str(word.arg).capitalize(): ast.literal_eval(word.value) for word in call.keywords}
        for call in value.elts
        if isinstance(call, ast.Call)
    ]


@pytest.mark.parametrize("name", [*TAXI, "tune_and_register"])
def test_metric_definitions_are_the_programs(name):
    """The notebooks' metric definitions are those that the program's log lines are made for."""
    expected = [metric_lines.definition(each) for each in METRICS]
    assert definitions(name) == expected
