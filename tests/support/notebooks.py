"""
Runs the notebooks: in local mode, and in the cloud's place.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import aws
import containers
import guards
from clouds import Watched
from containers import docker
from harness import free_port
from project import TOP

NOTEBOOKS = TOP / "notebooks"
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
if globals().get("mode") == "local":
    _command = ["docker", "ps", "--all", "--filter", "network=sagemaker-local",
                "--filter", f"ancestor={{image}}", "--format", "{{{{.Command}}}} {{{{.Status}}}}"]
    _values["_containers"] = _subprocess.check_output(_command, text=True).splitlines()
_shutil.copytree(work, {copy!r})
open({values!r}, "w").write(_json.dumps(_values, default=str))
"""
NAMES = ["run", "predicted", "batch", "fitted", "metrics", "caught", "mae"]
NAMES += ["answers", "failure", "tuned", "registered", "answer"]


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
    patience = IMPATIENCE if parameters.get("mode") == "cloud" else ""
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


@cache
def environment_of(notebook: str) -> Path:
    """
    Return the Python of a notebook's environment, made from the locked requirements if need be.
    """
    sdk = "v3" if notebook.endswith("_v3") else "v2"
    # Where uv is installed beside pytest, setup.sh is several times as fast.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(NOTEBOOKS / "setup.sh"), sdk]
    done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return NOTEBOOKS / f".venv-{sdk}/bin/python"


def execute_locally(name: str, folder: Path, image: str, **parameters: object) -> Run:
    """
    Execute a notebook in local mode; fail when it leaves a container behind.
    """
    with free_port() as port:
        pass  # Docker cannot bind a port that is held
    run = execute(
        name, environment_of(name), folder, {}, mode="local", image=image, port=port, **parameters
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


def execute_in_the_cloud(name: str, folder: Path, platform: Watched, **parameters: object) -> Run:
    """
    Execute a notebook against the platform; hold it to the network and the keys that it is given in
    every call that takes them, and to deleting all.
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
        environment_of(name),
        folder,
        aws.credentials(platform) | environ,
        mode="cloud",
        image=URI,
        role=ROLE,
        bucket=BUCKET,
        **guards.parameters(source(name)),
        **parameters,
    )
    assert platform.keys("", BUCKET) == []
    guards.check(platform.calls)
    client = platform.client("sagemaker")
    assert client.list_models()["Models"] == []
    assert client.list_endpoint_configs()["EndpointConfigs"] == []
    # Deleting takes a moment: the containers are given time for their last answers.
    platform.until(client.list_endpoints, lambda listed: listed["Endpoints"] == [])
    for action, asked in platform.calls:
        if action in ("CreateTrainingJob", "CreateModel"):
            assert asked.get("RoleArn", asked.get("ExecutionRoleArn")) == ROLE
    return run


def asked(platform: Watched, action: str) -> dict[str, Any]:
    """
    Return the arguments of the one call of an action.
    """
    (arguments,) = (arguments for each, arguments in platform.calls if each == action)
    return arguments


def policy(name: str) -> list[dict[str, Any]]:
    """
    Return the statements of a policy file with its placeholders filled in for the tests' account,
    once for each name that begins what the notebooks make.
    """
    text = (NOTEBOOKS / f"{name}.json").read_text(encoding="utf-8")
    for placeholder, value in {
        "REGION": aws.REGION,
        "ACCOUNT": aws.ACCOUNT,
        "BUCKET": BUCKET,
        "ROLE": ROLE.rpartition("/")[2],
    }.items():
        text = text.replace(f"<{placeholder}>", value)
    statements: list[dict[str, Any]] = []
    for application in ("taxi-fare", "pretrained"):
        statements += json.loads(text.replace("<APPLICATION>", application))["Statement"]
    assert "<" not in str(statements)
    return statements


def assert_permitted(platform: Watched) -> None:
    """
    Hold what a notebook asked of AWS to the policy of the person who runs it.
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
