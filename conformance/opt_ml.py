"""
The folder that SageMaker mounts at /opt/ml for a training job.
"""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPT_ML = "/opt/ml"
CHANNEL = "training"

# Real jobs have these beside the documented ones.
UNDOCUMENTED = {
    "init-config.json": {"inputMode": "FILE", "channels": {}, "checkpointChannel": {}},
    "metric-definition-regex.json": {},
    "profilerconfig.json": {"DisableProfiler": False, "ProfilingIntervalInMilliseconds": 500},
    "debughookconfig.json": {"S3OutputPath": "s3://bucket/debug", "LocalPath": "/opt/ml/output"},
    "trainingjobconfig.json": {"TrainingJobName": "job", "HyperParameters": {}},
    "upstreamoutputdataconfig.json": [],
}


@dataclass
class TrainingData:
    """
    What a person gave to train on.
    """

    channels: dict[str, Path]
    hyperparameters: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # inputdataconfig.json

    @classmethod
    def read(cls, folder: Path) -> "TrainingData":
        """
        Take a tree as below /opt/ml, or a folder of data for the channel ``training``.

        Raises ValueError for a folder that is neither.
        """
        if not (folder / "input/data").is_dir():
            if not folder.is_dir() or not any(folder.iterdir()):
                raise ValueError(
                    f"'{folder}' has no data; expected a folder with data files, or a tree as "
                    "below /opt/ml with input/config/hyperparameters.json and input/data/training/"
                )
            return cls({CHANNEL: folder})
        channels = {path.name: path for path in (folder / "input/data").iterdir() if path.is_dir()}
        if not channels:
            raise ValueError(f"'{folder}/input/data' has no folder; expected one such as training/")
        config = folder / "input/config"
        hyperparameters = _json(config / "hyperparameters.json")
        strings = {name: _string(value) for name, value in hyperparameters.items()}
        return cls(channels, strings, _json(config / "inputdataconfig.json"))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError:
        return {}
    except ValueError:
        raise ValueError(f"'{path}' is not JSON; correct it") from None
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Tree:
    """
    One job's /opt/ml, made of what a person gave; a check changes it before the job is run.
    """

    def __init__(self, root: Path, data: TrainingData | None) -> None:
        self.root = root
        self.config = root / "input/config"
        self.data = root / "input/data"
        self.model = root / "model"
        self.output = root / "output"
        self.checkpoints = root / "checkpoints"
        for folder in (self.config, self.data, self.model, self.output / "data", self.checkpoints):
            folder.mkdir(parents=True)
        for folder in (root, self.model, self.output, self.output / "data", self.checkpoints):
            folder.chmod(0o777)
        given = data or TrainingData({})
        self.channels: dict[str, Path | None] = {**given.channels} or {CHANNEL: None}
        self.hyperparameters(given.hyperparameters)
        self.inputs(given)
        self.hosts(["algo-1"], "algo-1")
        for name, source in self.channels.items():
            (self.data / name).mkdir()
            if source:
                copy(source, self.data / name)

    def write(self, name: str, content: Any) -> None:
        """
        Write one file of input/config, as JSON unless it is a text.
        """
        text = content if isinstance(content, str) else json.dumps(content)
        (self.config / name).write_text(text, encoding="utf-8")

    def hyperparameters(self, values: dict[str, str]) -> None:
        self.write("hyperparameters.json", values)

    def inputs(self, given: TrainingData, **changes: str) -> None:
        """
        Write inputdataconfig.json; ``changes`` hold for every channel.
        """
        usual = {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        self.write(
            "inputdataconfig.json",
            {name: usual | given.inputs.get(name, {}) | changes for name in self.channels},
        )

    def hosts(self, hosts: list[str], current: str) -> None:
        """
        Write resourceconfig.json as local mode does.
        """
        self.write(
            "resourceconfig.json",
            {"current_host": current, "hosts": hosts, "network_interface_name": "eth0"},
        )

    def real_hosts(self, hosts: list[str], current: str) -> None:
        """
        Write resourceconfig.json as a real job has it.
        """
        group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.xlarge"}
        self.write(
            "resourceconfig.json",
            {
                "current_host": current,
                "current_instance_type": "ml.m5.xlarge",
                "current_group_name": "homogeneousCluster",
                "hosts": hosts,
                "instance_groups": [group | {"hosts": hosts}],
                "network_interface_name": "eth0",
            },
        )

    def files(self, folder: Path) -> list[str]:
        """
        Return the names of the files below one of its folders.
        """
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def failure(self) -> str | None:
        """
        Return the text of output/failure, or None when there is no such file.
        """
        path = self.output / "failure"
        return path.read_text("utf-8", "replace") if path.is_file() else None

    def mounts(self) -> list[str]:
        """
        Return docker's options that mount it, the inputs read-only.
        """
        whole = f"type=bind,source={self.root},target={OPT_ML}"
        inputs = f"type=bind,source={self.root}/input,target={OPT_ML}/input,readonly"
        return ["--mount", whole, "--mount", inputs]


def copy(source: Path, target: Path) -> None:
    """
    Copy a folder's content, as hard links where the disk allows.
    """
    shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
