"""
The account's choices: deploy.toml, read once.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from deploy.errors import UsageError

TOP = Path(__file__).resolve().parents[1]
FILE = TOP / "deploy.toml"


@dataclass(frozen=True)
class Network:
    subnets: Annotated[list[str], "of the containers, 1 to 16"] = field(default_factory=list)
    security_groups: Annotated[list[str], "of the containers, 1 to 5"] = field(default_factory=list)
    isolation: Annotated[bool, "no network at all for the containers"] = False
    encrypt_between_hosts: Annotated[bool, "encrypt what training hosts send each other"] = False


@dataclass(frozen=True)
class Keys:
    volume: Annotated[str, "KMS key of the disks"] = ""
    output: Annotated[str, "KMS key of what is written to S3: data, models, answers, captures"] = ""


@dataclass(frozen=True)
class Training:
    data: Annotated[dict[str, str], "channel = folder or s3://…"] = field(default_factory=dict)
    hyperparameters: Annotated[dict[str, Any], "name = value"] = field(default_factory=dict)
    metrics: Annotated[dict[str, str], "name = regular expression"] = field(default_factory=dict)
    instance_type: Annotated[str, "instance type"] = "ml.m5.xlarge"
    instance_count: Annotated[int, "how many hosts"] = 1
    volume_gb: Annotated[int, "disk of each host"] = 30
    max_hours: Annotated[float, "the job is stopped after this time"] = 24.0
    spot: Annotated[bool, "use spare capacity, with checkpoints in the bucket"] = False
    max_wait_hours: Annotated[float, "with spot: waiting and running together"] = 48.0


@dataclass(frozen=True)
class Hosting:
    instance_type: Annotated[str, "instance type"] = "ml.m5.large"
    instance_count: Annotated[int, "how many instances"] = 1
    startup_seconds: Annotated[int, "time until the first good ping, 60 to 3600"] = 480
    capture_percent: Annotated[int, "share of the requests that is captured; realtime only"] = 0


@dataclass(frozen=True)
class Serverless:
    memory_mb: Annotated[int, "1024, 2048, … 6144"] = 2048
    max_concurrency: Annotated[int, "requests at a time, 1 to 200"] = 10


@dataclass(frozen=True)
class Asynchronous:
    instance_type: Annotated[str, "instance type"] = "ml.m5.large"
    instance_count: Annotated[int, "how many instances"] = 1
    startup_seconds: Annotated[int, "time until the first good ping, 60 to 3600"] = 480
    max_concurrent: Annotated[int, "requests at a time on an instance, 1 to 1000"] = 4
    success_topic: Annotated[str, "SNS topic that is told of answers"] = ""
    error_topic: Annotated[str, "SNS topic that is told of failures"] = ""


@dataclass(frozen=True)
class Batch:
    instance_type: Annotated[str, "instance type"] = "ml.m5.xlarge"
    instance_count: Annotated[int, "how many instances share the files"] = 1
    max_concurrent: Annotated[int, "requests at a time on an instance; 0: container's choice"] = 0
    payload_mb: Annotated[int, "size of a request; times max_concurrent at most 100"] = 6
    capture: Annotated[bool, "keep requests and answers for monitoring"] = False


@dataclass(frozen=True)
class Settings:
    application: Annotated[str, "begins every name (default: the algorithm's, with dashes)"] = ""
    image: Annotated[
        str, "repository, repository:tag or address in ECR; newest image by default"
    ] = ""
    role: Annotated[str, "ARN of the execution role"] = ""
    bucket: Annotated[str, "for all that is written (default: sagemaker-REGION-ACCOUNT)"] = ""
    tags: Annotated[dict[str, str], "name = value, on all that is made"] = field(
        default_factory=dict
    )
    environment: Annotated[dict[str, str], "of the container that serves"] = field(
        default_factory=dict
    )
    network: Network = field(default_factory=Network)
    keys: Keys = field(default_factory=Keys)
    training: Training = field(default_factory=Training)
    realtime: Hosting = field(default_factory=Hosting)
    serverless: Serverless = field(default_factory=Serverless)
    asynchronous: Asynchronous = field(default_factory=Asynchronous)
    batch: Batch = field(default_factory=Batch)


def read(path: Path | None) -> Settings:
    """
    Return the settings in a file, the defaults where there is none at the usual place.

    Raises UsageError for what is not a setting, with the nearest name.
    """
    try:
        found = tomllib.loads((path or FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path:
            raise UsageError(f"{path} does not exist; leave --file out for {FILE}") from None
        found = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path or FILE} is not TOML: {error}") from None
    found.setdefault("application", _algorithm())
    settings: Settings = _build(Settings, found, "")
    return settings


def _algorithm() -> str:
    packages = {each.parent.name for each in TOP.glob("container/*/__init__.py")}
    names = [os.environ.get("ALGORITHM", ""), *sorted(packages - {"sagemaker_runtime"})]
    return next(filter(None, names), "model").replace("_", "-")


def _build(kind: Any, found: dict[str, Any], where: str) -> Any:
    wanted = get_type_hints(kind)
    for name, value in found.items():
        if name not in wanted:
            near = difflib.get_close_matches(name, wanted, 1)
            hint = f"did you mean {where}{near[0]}?" if near else f"expected {', '.join(wanted)}"
            raise UsageError(f"{where}{name} is not a setting of deploy.toml; {hint}")
        if is_dataclass(wanted[name]) and isinstance(value, dict):
            found[name] = _build(wanted[name], value, f"{where}{name}.")
        elif not _fits(value, wanted[name]):
            shown = getattr(wanted[name], "__name__", wanted[name])
            raise UsageError(f"{where}{name} is {value!r} in deploy.toml; expected {shown}")
    return kind(**found)


def _fits(value: Any, wanted: Any) -> bool:
    parts = get_args(wanted)
    if parts:  # list[str], dict[str, str]
        inside = value.values() if isinstance(value, dict) else value
        return isinstance(value, get_origin(wanted)) and all(_fits(v, parts[-1]) for v in inside)
    if wanted in (int, float):
        return isinstance(value, int | wanted) and not isinstance(value, bool)
    return wanted is Any or isinstance(value, wanted)


def markdown() -> str:
    """
    Return the table of all settings for the documentation.
    """
    return "\n".join(["| key | default | |", "|---|---|---|", *_rows(Settings, "")])


def _rows(kind: Any, where: str) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    for name, value in vars(kind()).items():
        if is_dataclass(value):
            yield from _rows(type(value), f"{where}{name}.")
        else:
            default = str(value).lower() if isinstance(value, bool) else value
            shown = f"`{default}`" if value or value is False else ""
            yield f"| `{where}{name}` | {shown} | {hints[name].__metadata__[0]} |"
