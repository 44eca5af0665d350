"""
The notebooks: executed from top to bottom in local mode and in the cloud's place, and as files.
"""

import ast
import copy
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import aws
import containers
from containers import TOP, docker
from harness import free_port
from sagemaker_platform import SageMaker, sagemaker
from sagemaker_runtime.training import metric_lines
from taxi_fare.metrics import METRICS

NOTEBOOKS = TOP / "notebooks"
TAXI = ("train_and_deploy", "train_and_deploy_sdk_v3")
PRETRAINED = "bring_your_pretrained_model"
ALL = (*TAXI, PRETRAINED)

ROUNDS = 60
# Dollars by which the model of that many rounds may be wrong on average on the trips put aside.
# Always answering the average fare is wrong by about 6.
MAE_BOUND = 2.0

BUCKET = "notebooks-of-a-test"
ROLE = f"arn:aws:iam::{aws.ACCOUNT}:role/taxi-fare-execution"
REPOSITORY = f"{aws.ACCOUNT}.dkr.ecr.{aws.REGION}.amazonaws.com/taxi-fare"
URI = f"{REPOSITORY}@sha256:{'0' * 64}"


def cells(path: Path) -> list[dict[str, Any]]:
    """
    Return a notebook's cells, the source of each in one string.
    """
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def source(name: str) -> str:
    """
    Return the code of a notebook, without lines that only IPython understands.
    """
    code = "\n".join(
        cell["source"] for cell in cells(NOTEBOOKS / f"{name}.ipynb") if cell["cell_type"] == "code"
    )
    return re.sub(r"(?m)^( *)(left = )?!.*$", r"\1pass", code)


@dataclass(frozen=True)
class Run:
    """
    What a notebook said and left just before its cell ``delete``.

    ``values`` has its variables, ``work`` is a copy of its folder, ``containers`` the state of each
    container that local mode had started.
    """

    values: dict[str, Any]
    work: Path
    containers: list[str]
    cells: list[dict[str, Any]]

    def output(self, identity: str) -> str:
        """
        Return what a cell printed.
        """
        (cell,) = (cell for cell in self.cells if cell["id"] == identity)
        return "".join("".join(output.get("text", "")) for output in cell["outputs"])

    @cached_property
    def complaints(self) -> list[str]:
        """
        What all cells printed to stderr.
        """
        outputs = [output for cell in self.cells for output in cell.get("outputs", [])]
        return ["".join(each["text"]) for each in outputs if each.get("name") == "stderr"]

    @cached_property
    def pictures(self) -> int:
        """
        The number of plots in all cells.
        """
        outputs = [output for cell in self.cells for output in cell.get("outputs", [])]
        return sum("image/png" in output.get("data", {}) for output in outputs)


# The platform is ready at once; the SDKs would look again after half a minute only.
IMPATIENCE = """
import time as _time
_sleep = _time.sleep
_time.sleep = lambda seconds: _sleep(min(seconds, 1))
"""
PROBE = """
import json as _json, shutil as _shutil, subprocess as _subprocess
_values = {{}}
for _name in {names}:
    if _name in globals():
        _values[_name] = globals()[_name]
if mode == "local":
    _command = ["docker", "ps", "--all", "--filter", "network=sagemaker-local",
                "--filter", f"ancestor={{image}}", "--format", "{{{{.Command}}}} {{{{.Status}}}}"]
    _values["_containers"] = _subprocess.check_output(_command, text=True).splitlines()
_shutil.copytree(work, {copy!r})
open({values!r}, "w").write(_json.dumps(_values))
"""
NAMES = ["run", "predicted", "batch", "fitted", "metrics", "caught", "mae"]


def execute(
    name: str, python: Path, folder: Path, environ: dict[str, str], **parameters: object
) -> Run:
    """
    Execute a notebook with an environment's Python; it may write below ``folder`` only.
    """
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    place = next(
        place
        for place, cell in enumerate(notebook["cells"])
        if "delete" in cell["metadata"].get("tags", [])
    )
    probe = PROBE.format(names=NAMES, copy=str(folder / "work"), values=str(folder / "values.json"))
    patience = IMPATIENCE if parameters["mode"] == "cloud" else ""
    for at, identity, code in ((place, "probe", probe), (0, "patience", patience)):
        cell = copy.deepcopy(notebook["cells"][place])
        cell |= {"id": identity, "metadata": {}, "source": code}
        notebook["cells"].insert(at, cell)
    (folder / "given.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (folder / "tmp").mkdir()
    settings = [f"--set={name}={value}" for name, value in parameters.items()]
    command = [python, NOTEBOOKS / "execute.py", "given.ipynb", "executed.ipynb", *settings]
    done = subprocess.run(
        command,
        cwd=folder,
        env=aws.environment(
            folder,
            TMPDIR=str(folder / "tmp"),
            **environ,
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left = [*folder.glob("tmp/taxi-fare-*"), *folder.glob("tmp/pretrained-*")]
    assert not left, "the notebook left its folder behind"
    values = json.loads((folder / "values.json").read_text())
    executed = cells(folder / "executed.ipynb")
    return Run(values, folder / "work", values.pop("_containers", []), executed)


def environment_of(sdk: str) -> Path:
    """
    Return the Python of an SDK's environment, made from the locked requirements if need be.
    """
    # Where uv is installed beside pytest, setup.sh is several times as fast.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(NOTEBOOKS / "setup.sh"), sdk]
    done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return NOTEBOOKS / f".venv-{sdk}/bin/python"


@pytest.fixture(scope="session")
def pythons() -> dict[str, Path]:
    """The Python to execute each notebook with."""
    v2, v3 = environment_of("v2"), environment_of("v3")
    return {name: v3 if name.endswith("_v3") else v2 for name in ALL}


@pytest.fixture(scope="session")
def pretrained_image() -> Iterator[str]:
    """The image with the kit for pretrained models."""
    kit = "examples/pretrained/pretrained_model"
    with containers.built(f"container-suite/pretrained:{os.getpid()}", "--algorithm", kit) as tag:
        yield tag


def execute_locally(
    name: str, pythons: dict[str, Path], folder: Path, image: str, **parameters: object
) -> Run:
    """
    Execute a notebook in local mode; fail when it leaves a container behind.
    """
    with free_port() as port:
        pass  # Docker cannot bind a port that is held
    run = execute(
        name, pythons[name], folder, {}, mode="local", image=image, port=port, **parameters
    )
    left = docker(
        "ps",
        "--all",
        "--quiet",
        "--filter",
        f"ancestor={image}",
        "--filter",
        "network=sagemaker-local",
    )
    assert not left
    assert not run.complaints
    return run


def ask(image: str, archive: Path, folder: Path, rows: bytes) -> list[float]:
    """
    Return what a container with the archive's model answers when it is asked directly.
    """
    folder.mkdir()
    containers.unpack(archive, folder)
    with containers.server(image, folder) as started:
        answer = started.predict(rows)
    assert answer.status == 200, answer.body
    return [float(line) for line in answer.body.split()]


def archived(path: Path) -> set[str]:
    """
    Return the names of an archive's files.
    """
    with tarfile.open(path) as tar:
        return {member.name.removeprefix("./") for member in tar if member.isfile()}


def the(path: Path, name: str) -> Path:
    """
    Return the one file of that name below a folder.
    """
    (found,) = path.rglob(name)
    return found


@pytest.fixture(scope="session")
def local_runs(
    pythons: dict[str, Path], image: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Run]:
    """Both taxi notebooks, executed in local mode."""
    return {
        name: execute_locally(name, pythons, tmp_path_factory.mktemp(name), image, rounds=ROUNDS)
        for name in TAXI
    }


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_local_training_is_no_false_green(local_runs, name):
    """The archive holds a whole model of the rounds asked for; all containers exited with 0."""
    run = local_runs[name]
    archive = the(run.work, "model.tar.gz")
    assert archived(archive) == {"estimator.skops", "metadata.json", "trees.npz"}
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
    """The notebook's regular expressions find in the job's log what metrics.json says."""
    run = local_runs[name]
    assert set(run.values["metrics"]) == set(METRICS)
    for defined in definitions(name):
        (caught,) = re.findall(defined["Regex"], run.output("train"))
        assert float(caught) == pytest.approx(run.values["metrics"][defined["Name"]], rel=1e-5)


@pytest.mark.docker
def test_both_sdks_train_the_same_model(local_runs):
    """From the same data, the notebooks on both SDKs come to the same answers."""
    first, second = (local_runs[name].values["predicted"] for name in TAXI)
    assert first == second


@pytest.mark.docker
def test_pretrained_model_answers_as_its_file(pythons, pretrained_image, tmp_path):
    """Deployed in either way, the kit answers what onnxruntime says of the file itself."""
    run = execute_locally(PRETRAINED, pythons, tmp_path, pretrained_image)
    session = onnxruntime.InferenceSession(TOP / "examples/pretrained/pretrained_model/model.onnx")
    rows = [[15.0, 52.0, hour] for hour in range(24)]
    (given,) = session.get_inputs()
    expected = session.run(None, {given.name: np.array(rows, np.float32)})[0].ravel()
    assert len(set(expected.tolist())) > 2
    assert run.values["predicted"] == run.values["fitted"]
    assert run.values["predicted"] == pytest.approx(expected.tolist(), rel=1e-6)
    archives = list(run.work.rglob("model.tar.gz"))
    assert [archived(archive) for archive in archives] == [{"model.onnx"}] * 2
    states = sorted(state.replace('"', "").split(maxsplit=1) for state in run.containers)
    assert [command for command, _ in states] == ["serve", "serve", "train"]
    assert sorted(status.split(" ")[0] for _, status in states) == ["Exited", "Exited", "Up"]
    assert sum("Exited (0)" in status for _, status in states) == 2
    assert run.pictures == 1


def execute_in_the_cloud(
    name: str, pythons: dict[str, Path], folder: Path, platform: SageMaker, **parameters: object
) -> Run:
    """
    Execute a notebook against the platform; hold it to what its calls may be, and to deleting all.
    """
    settings = folder / "sdk.yaml"  # in the cloud the SDKs would report their use to AWS
    settings.write_text(
        "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n"
    )
    environ = {
        "AWS_DEFAULT_REGION": aws.REGION,
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings),
    }
    run = execute(
        name,
        pythons[name],
        folder,
        aws.credentials(platform) | environ,
        mode="cloud",
        image=URI,
        role=ROLE,
        bucket=BUCKET,
        **parameters,
    )
    assert platform.keys(BUCKET) == []
    client = platform.client("sagemaker")
    assert client.list_models()["Models"] == []
    assert client.list_endpoint_configs()["EndpointConfigs"] == []
    assert client.list_endpoints()["Endpoints"] == []
    assert not platform.endpoints
    for action, asked in platform.calls:
        if action in ("CreateTrainingJob", "CreateModel"):
            assert asked.get("RoleArn", asked.get("ExecutionRoleArn")) == ROLE
    return run


def asked(platform: SageMaker, action: str) -> dict[str, Any]:
    """
    Return the arguments of the one call of an action.
    """
    (arguments,) = (arguments for each, arguments in platform.calls if each == action)
    return arguments


@pytest.mark.docker
@pytest.mark.parametrize("name", TAXI)
def test_taxi_notebook_in_the_cloud(local_runs, pythons, image, tmp_path, name):
    """With the cloud's parameters the calls are right and the answers those of local mode."""
    with sagemaker(tmp_path / "platform", {URI: image}, BUCKET) as platform:
        run = execute_in_the_cloud(name, pythons, tmp_path, platform, rounds=ROUNDS)
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
def test_pretrained_notebook_in_the_cloud(pythons, pretrained_image, tmp_path):
    """With the cloud's parameters both ways make the right calls and the same answers."""
    with sagemaker(tmp_path / "platform", {URI: pretrained_image}, BUCKET) as platform:
        run = execute_in_the_cloud(PRETRAINED, pythons, tmp_path, platform)
        assert len(run.values["predicted"]) == 24
        assert run.values["predicted"] == run.values["fitted"]
        models = [
            arguments["PrimaryContainer"]["ModelDataUrl"]
            for action, arguments in platform.calls
            if action == "CreateModel"
        ]
        store = f"s3://{BUCKET}/{run.values['run']}"
        assert models == [
            f"{store}/output/{run.values['run']}/output/model.tar.gz",
            f"{store}/archive/model.tar.gz",
        ]
        assert_permitted(platform)


def policy(name: str) -> list[dict[str, Any]]:
    """
    Return the statements of a policy file with its placeholders filled in for the tests' account.
    """
    text = (NOTEBOOKS / f"{name}.json").read_text(encoding="utf-8")
    for placeholder, value in {
        "REGION": aws.REGION,
        "ACCOUNT": aws.ACCOUNT,
        "BUCKET": BUCKET,
        "ROLE": ROLE.rpartition("/")[2],
    }.items():
        text = text.replace(f"<{placeholder}>", value)
    assert "<" not in text
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


def assert_permitted(platform: SageMaker) -> None:
    """
    Hold what a notebook asked of AWS to the policy of whoever runs it.
    """
    allowed = [
        (action, resource)
        for statement in policy("caller-policy")
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]
    for action, resource in platform.permissions:
        assert any(
            action == may and (resource == "*" or fnmatchcase(resource, on)) for may, on in allowed
        ), f"the policy does not allow {action} on {resource}"


# Actions that know no resource, by AWS's Service Authorization Reference.
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}


@pytest.mark.parametrize("name", ["role-policy", "caller-policy"])
def test_policies_name_their_resources(name):
    """No action is a pattern, and a bare * stands only where an action knows no resource."""
    for statement in policy(name):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        if statement["Resource"] == ["*"]:
            assert set(statement["Action"]) <= WITHOUT_RESOURCE
        else:
            assert all(re.fullmatch(r"arn:aws:.+:.+", each) for each in statement["Resource"])


@pytest.mark.parametrize("name", ALL)
def test_outputs_are_stripped(name):
    """In git a notebook has neither outputs, counters nor what an editor adds."""
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("name", ALL)
def test_one_cell_has_the_parameters(name):
    """One tagged cell assigns them, each with a comment on its line, and local is the default."""
    (cell,) = (
        cell
        for cell in cells(NOTEBOOKS / f"{name}.ipynb")
        if "parameters" in cell["metadata"].get("tags", [])
    )
    lines = cell["source"].splitlines()
    assert all(re.fullmatch(r"\w+ = \S+  # .+", line) for line in lines)
    names = [line.split(" = ")[0] for line in lines]
    assert {"mode", "image", "role", "bucket"} <= set(names)
    assert lines[0].startswith('mode = "local"')


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


@pytest.mark.parametrize("name", TAXI)
def test_metric_definitions_are_the_programs(name):
    """The notebooks' metric definitions are those that the program's log lines are made for."""
    expected = [metric_lines.definition(each) for each in METRICS]
    assert definitions(name) == expected


@pytest.mark.parametrize("sdk", ["notebooks", "notebooks-v3"])
def test_requirements_are_locked(sdk):
    """Each package is pinned with hashes, and the file names no host and no folder."""
    text = (TOP / f"requirements-{sdk}.txt").read_text(encoding="utf-8")
    packages = re.findall(r"(?m)^([\w.-]+(?:\[[\w,]+\])?)==(\S+)(.*)$", text)
    assert len(packages) > 50
    assert all(rest.endswith("\\") for _, _, rest in packages)
    assert not re.search(r"://|--index|--find-links|(?m:^)file:| /", text)
    pinned = {name: version.split(".") for name, version, _ in packages}["sagemaker"]
    if sdk == "notebooks":
        assert pinned[0] == "2"
        assert int(pinned[1]) >= 257
    else:
        assert pinned[0] == "3"


def test_readme_knows_every_notebook_and_the_end_of_support():
    """notebooks/README.md names each notebook, script and policy, and when SDK 2 ends."""
    text = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS.iterdir():
        if path.suffix in (".ipynb", ".sh", ".json"):
            assert path.name in text, path.name
    assert "5 July 2027" in text
    (title, *_) = cells(NOTEBOOKS / "train_and_deploy.ipynb")
    assert "5 July 2027" in title["source"]
