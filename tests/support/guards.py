"""
The notebooks' parameters for network and keys, and what the calls say that take them.
"""

import re
from typing import Any

PARAMETERS = {
    "subnets": "subnet-1,subnet-2",
    "security_groups": "sg-1",
    "isolation": True,
    "encrypt_between_hosts": True,
    "volume_key": "alias/disks",
    "output_key": "alias/files",
}

VPC = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
OUTPUT = {"KmsKeyId": "alias/files"}
DISKS = {"VolumeKmsKeyId": "alias/disks"}
TRAINING = {
    "VpcConfig": VPC,
    "EnableNetworkIsolation": True,
    "EnableInterContainerTrafficEncryption": True,
    "OutputDataConfig": OUTPUT,
}
SAID: dict[str, dict[str, Any]] = {
    "CreateTrainingJob": {**TRAINING, "ResourceConfig": DISKS},
    "CreateHyperParameterTuningJob": {
        "TrainingJobDefinition": {**TRAINING, "HyperParameterTuningResourceConfig": DISKS}
    },
    "CreateModel": {"VpcConfig": VPC, "EnableNetworkIsolation": True},
    "CreateEndpointConfig": {"KmsKeyId": "alias/disks"},
    "CreateTransformJob": {"TransformOutput": OUTPUT, "TransformResources": DISKS},
}

Call = tuple[str, dict[str, Any]]


def parameters(source: str) -> dict[str, Any]:
    """
    Return a value for each of these parameters that a notebook has.
    """
    return {
        name: value for name, value in PARAMETERS.items() if re.search(rf"(?m)^{name} = ", source)
    }


def check(calls: list[Call]) -> None:
    """
    Hold calls to network and keys; a serverless endpoint has no disks, and its model no network.
    """
    serverless = {
        variant["ModelName"]
        for _, asked in calls
        for variant in asked.get("ProductionVariants", [])
        if "ServerlessConfig" in variant
    }
    for action, asked in calls:
        names = {asked.get("ModelName")}
        names |= {each["ModelName"] for each in asked.get("ProductionVariants", [])}
        if action in ("CreateModel", "CreateEndpointConfig") and names & serverless:
            assert "VpcConfig" not in asked
            continue
        said = dict(SAID.get(action, {}))
        if "AsyncInferenceConfig" in asked:
            said["AsyncInferenceConfig"] = {"OutputConfig": OUTPUT}
        _check(action, said, asked)


def _check(where: str, said: dict[str, Any], asked: dict[str, Any]) -> None:
    for name, value in said.items():
        assert name in asked, f"{where} has no {name}"
        if isinstance(value, dict):
            _check(f"{where}.{name}", value, asked[name])
        else:
            assert asked[name] == value, f"{where}.{name}"
