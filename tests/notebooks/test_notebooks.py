"""
The notebooks: executed from top to bottom in local mode and in the cloud's place, and as files.
"""

import json
import os
import re
from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
from local_cloud import backend

import containers
import deserializers
import guards
from clouds import watched
from granted import SDKS
from notebooks import (
    BUCKET,
    NOTEBOOKS,
    URI,
    archived,
    asked,
    assert_permitted,
    cells,
    environment_of,
    execute_in_the_cloud,
    execute_locally,
    policy,
    source,
)
from project import TOP, own_algorithm

PRETRAINED = "bring_your_pretrained_model"
ALL = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
AWS = re.compile(r"(?m)^(import|from) (boto3|sagemaker)\b")
CALLING = [name for name in ALL if AWS.search(source(name))]


@pytest.fixture(scope="session")
def pretrained_image() -> Iterator[str]:
    """The image with the kit for pretrained models."""
    kit = "examples/pretrained/pretrained_model"
    with containers.built(f"container-suite/pretrained:{os.getpid()}", "--algorithm", kit) as tag:
        yield tag


@pytest.mark.docker
def test_pretrained_model_answers_as_its_file(pretrained_image, tmp_path):
    """Deployed in either way, the kit answers what onnxruntime says of the file itself."""
    run = execute_locally(PRETRAINED, tmp_path, pretrained_image)
    session = onnxruntime.InferenceSession(TOP / "examples/pretrained/pretrained_model/model.onnx")
    rows = [[15.0, 52.0, hour] for hour in range(24)]
    (given,) = session.get_inputs()
    expected = session.run(None, {given.name: np.array(rows, np.float32)})[0].ravel()
    assert len(set(expected.tolist())) > 2
    assert run.values["predicted"] == run.values["fitted"]
    assert run.values["predicted"] == pytest.approx(expected.tolist(), rel=1e-6)
    archives = list(run.work.rglob("model.tar.gz"))
    trained_and_packed = [["model.onnx"], ["model.onnx", "openapi.json"]]
    assert sorted(sorted(archived(archive)) for archive in archives) == trained_and_packed
    states = sorted(state.replace('"', "").split(maxsplit=1) for state in run.containers)
    assert [command for command, _ in states] == ["serve", "serve", "train"]
    assert sorted(status.split(" ")[0] for _, status in states) == ["Exited", "Exited", "Up"]
    assert sum("Exited (0)" in status for _, status in states) == 2
    assert run.pictures == 1


@pytest.mark.docker
def test_pretrained_notebook_in_the_cloud(pretrained_image, tmp_path):
    """With the cloud's parameters both ways make the right calls and the same answers."""
    with watched(tmp_path / "platform", {URI: pretrained_image}, BUCKET) as platform:
        run = execute_in_the_cloud(PRETRAINED, tmp_path, platform)
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
        assert {action for action, _ in platform.permissions} >= SDKS


@pytest.mark.docker
def test_three_ways_of_serving_answer_the_same(image, trained, tmp_path):
    """
    1. the notebook deploys the project's model serverless and asynchronous 2. asks both 3. has a
    folder answered. Result: one answer, the reason of a request that fails, and permitted calls.
    """
    content_type, example = own_algorithm().input.example()
    (tmp_path / "question").write_bytes(example)
    given = {
        "model": trained.root / "model",
        "question": tmp_path / "question",
        "content_type": content_type,
    }
    with watched(tmp_path / "platform", {URI: image}, BUCKET) as platform:
        run = execute_in_the_cloud("batch_async_serverless", tmp_path, platform, **given)
        answers = run.values["answers"]
        assert set(answers) == {"serverless", "asynchronous", "batch"}
        assert len(set(answers.values())) == 1
        assert answers["batch"]
        assert len(run.values["batch"]) == 3
        assert "All ways answer the same: True" in run.output("compare")
        assert "unsupported_media_type" in run.values["failure"]
        assert asked(platform, "CreateTransformJob")["TransformResources"]["InstanceCount"] == 2
        assert_permitted(platform)


@pytest.mark.parametrize("name", ["batch_async_serverless", "tune_and_register"])
def test_local_mode_leads_to_the_local_cloud(tmp_path, monkeypatch, name):
    """What cloud.sh prints is taken over, and the role and the bucket that the cloud has."""
    script = tmp_path / "local_test/cloud.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho \"export A_MARK=$1 B_MARK='b c'\"; echo unset AWS_PROFILE\n")
    script.chmod(0o755)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "mine"})
    (cell,) = (each for each in cells(NOTEBOOKS / f"{name}.ipynb") if each["id"] == "cloud")
    variables = {"mode": "local"}
    exec(cell["source"], variables)
    assert os.environ == {"A_MARK": "start", "B_MARK": "b c"}
    assert variables["role"].endswith(f":role/{backend.ROLE}")
    assert variables["bucket"] == backend.BUCKET


@pytest.mark.docker  # with the notebooks, whose environment it takes
def test_every_deserializer_of_the_sdk_reads_answers():
    """Version 2 of the SDK reads answers in every form that it knows and that is offered."""
    deserializers.check(environment_of(PRETRAINED), "sagemaker.deserializers")


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
    """
    One tagged cell assigns them, each with a comment on its line. Where AWS is called, local is the
    default.
    """
    (cell,) = (
        cell
        for cell in cells(NOTEBOOKS / f"{name}.ipynb")
        if "parameters" in cell["metadata"].get("tags", [])
    )
    lines = cell["source"].splitlines()
    assert all(re.fullmatch(r"\w+ = \S+  # .+", line) for line in lines)
    names = [line.split(" = ")[0] for line in lines]
    if name in CALLING:
        assert {"mode", "image", "role", "bucket"} <= set(names)
        assert lines[0].startswith('mode = "local"')


@pytest.mark.parametrize("name", [each for each in CALLING if each != "variants_and_updates"])
def test_network_and_keys_are_parameters(name):
    """Each can be chosen; the tests in the cloud's place see that every call says so."""
    (given,) = (c for c in cells(NOTEBOOKS / f"{name}.ipynb") if c["id"] == "parameters")
    left_out = {"encrypt_between_hosts"} if name == "batch_async_serverless" else set()
    assert set(guards.parameters(given["source"])) == set(guards.PARAMETERS) - left_out


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
