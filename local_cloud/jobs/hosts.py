"""
The hosts of a training job: a folder for each, and what the platform writes into it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.jobs import inputs
from local_cloud.records import Record

CONFIG = "input/config"
DATA = "input/data"


@dataclass
class Host:
    """
    One host; ``pipes`` has the files of each channel in Pipe mode.
    """

    name: str
    root: Path
    pipes: dict[str, list[Path]]


def prepare(cloud: Cloud, record: Record, folder: Path) -> list[Host]:
    """
    Make the folders of all hosts with configuration and data; raises Failed.
    """
    count = record["ResourceConfig"].get("InstanceCount", 1)
    names = [f"algo-{number}" for number in range(1, count + 1)]
    channels = record.get("InputDataConfig", [])
    found = {each["ChannelName"]: inputs.objects(cloud.store, _source(each)) for each in channels}
    hosts = []
    for place, name in enumerate(names):
        root = folder / name
        for part in ("model", "output/data", CONFIG, DATA, "checkpoints"):
            (root / part).mkdir(parents=True)
            (root / part).chmod(0o777)
        (root / "output").chmod(0o777)
        root.chmod(0o777)
        for part, content in _configuration(record, name, names).items():
            (root / CONFIG / f"{part}.json").write_text(json.dumps(content), encoding="utf-8")
        pipes = {}
        for channel in channels:
            called = channel["ChannelName"]
            wanted = found[called]
            if _source(channel).get("S3DataDistributionType") == "ShardedByS3Key":
                wanted = inputs.shard(wanted, place, count)
            if _mode(record, channel) == "Pipe":
                aside = folder / f"{name}-{called}"
                inputs.fetch(cloud.store, wanted, aside)
                pipes[called] = [aside / each for _, each in wanted]
            else:
                (root / DATA / called).mkdir()
                inputs.fetch(cloud.store, wanted, root / DATA / called)
        hosts.append(Host(name, root, pipes))
    return hosts


def _source(channel: Record) -> dict[str, Any]:
    source: dict[str, Any] = channel["DataSource"]["S3DataSource"]
    return source


def _mode(record: Record, channel: Record) -> str:
    default = record["AlgorithmSpecification"].get("TrainingInputMode", "File")
    return str(channel.get("InputMode", default))


def _configuration(record: Record, name: str, names: list[str]) -> dict[str, Any]:
    kind = record["ResourceConfig"].get("InstanceType", "")
    written: dict[str, Any] = {
        "hyperparameters": record.get("HyperParameters", {}),
        "inputdataconfig": {
            each["ChannelName"]: {
                "TrainingInputMode": _mode(record, each),
                "S3DistributionType": _source(each).get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": each.get("RecordWrapperType", "None"),
            }
            | ({"ContentType": each["ContentType"]} if "ContentType" in each else {})
            for each in record.get("InputDataConfig", [])
        },
        "resourceconfig": {
            "current_host": name,
            "current_instance_type": kind,
            "current_group_name": "homogeneousCluster",
            "hosts": names,
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": kind,
                    "hosts": names,
                }
            ],
            "network_interface_name": "eth0",
        },
    }
    if checkpoints := record.get("CheckpointConfig"):
        written["checkpointconfig"] = checkpoints
    return written
