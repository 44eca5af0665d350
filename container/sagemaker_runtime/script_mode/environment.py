"""
What AWS's training toolkit tells a script: its arguments and the variables that begin with SM_.

The names are those of ``Environment.to_env_vars`` in
https://github.com/aws/sagemaker-training-toolkit/blob/master/src/sagemaker_training/environment.py
"""

import json
import logging
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_runtime import resources
from sagemaker_runtime.errors import HyperparameterError
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.training import channels, configuration, hyperparameters, resource_config
from sagemaker_runtime.training.hyperparameters import PLATFORM_PREFIXES
from sagemaker_runtime.training.job import TrainingJob

# What the toolkit has in SM_TRAINING_ENV only, or in variables of other names.
UNTOLD = {
    "additional_framework_parameters",
    "channel_input_dirs",
    "hyperparameters",
    "is_master",
    "job_name",
    "master_hostname",
}
# The toolkits' own port for what the script's library opens on the first host.
MASTER_PORT = 7777


@dataclass(frozen=True)
class Given:
    """
    What the job was given: hyperparameters of the user and of the platform (``sagemaker_…``),
    decoded from JSON as the toolkit does, and the two configurations.
    """

    hyperparameters: dict[str, Any] = field(default_factory=dict)
    platform: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Paths) -> "Given":
        """
        Read the configuration files, each of which may be absent or empty.

        Raises HyperparameterError when several processes per host are asked for.
        """
        given = hyperparameters.read(paths.hyperparameters)
        values = {name: _decoded(raw) for name, raw in given.items()}
        platform = {n: value for n, value in values.items() if n.startswith(PLATFORM_PREFIXES)}
        for name, value in platform.items():
            if name.endswith("_enabled") and value is True:
                raise HyperparameterError(
                    f"{name} is true, which a distribution=… of the estimator sets; script mode "
                    "starts one process on one host. Leave distribution out."
                )
        user = {name: value for name, value in values.items() if name not in platform}
        return cls(
            user,
            platform,
            configuration.read(paths.resource_config, resource_config.EXAMPLE),
            configuration.read(paths.input_data_config, channels.EXAMPLE),
        )

    @property
    def arguments(self) -> list[str]:
        """
        The user's hyperparameters as ``--name value``, sorted by name.
        """
        return [text for name in sorted(self.hyperparameters) for text in self._argument(name)]

    def _argument(self, name: str) -> tuple[str, str]:
        value = self.hyperparameters[name]
        if isinstance(value, dict):
            value = ",".join(f"{key}={value[key]}" for key in sorted(value))
        return f"{'--' if len(name) > 1 else '-'}{name}", "" if value is None else str(value)


def variables(
    given: Given, job: TrainingJob, paths: Paths, program: str, code: Path | str
) -> dict[str, str]:
    """
    Return the SM_ variables for ``program``, whose code came from ``code``.
    """
    environment = _environment(given, job, paths, program, str(code))
    values = {name: value for name, value in environment.items() if name not in UNTOLD}
    values |= {
        "hps": given.hyperparameters,
        "framework_params": environment["additional_framework_parameters"],
        "channels": sorted(environment["channel_input_dirs"]),
        "user_args": given.arguments,
        "training_env": environment,
        # What torchrun takes, by the names in version 3 of
        # https://github.com/aws/sagemaker-python-sdk
        "host_count": len(job.cluster.hosts),
        "current_host_rank": job.cluster.rank,
        "master_addr": job.cluster.hosts[0],
        "master_port": MASTER_PORT,
        **{f"channel_{name}": path for name, path in environment["channel_input_dirs"].items()},
        **{f"hp_{name}": value for name, value in given.hyperparameters.items()},
    }
    return {f"SM_{name.upper()}": _text(value) for name, value in values.items()}


def _environment(
    given: Given, job: TrainingJob, paths: Paths, program: str, code: str
) -> dict[str, Any]:
    """
    Return what the toolkit's ``Environment`` holds, by its names.
    """
    hosts, host, machine = list(job.cluster.hosts), job.cluster.here, job.cluster.resources
    groups = given.resources.get("instance_groups", [])
    group = machine.group or "homogeneousCluster"
    members = [each.get("hosts", []) for each in groups if each["instance_group_name"] == group]
    folders = {name: str(paths.channels / name) for name in given.inputs}
    folders |= {name: str(channel.path) for name, channel in job.channels.items()}
    return {
        "additional_framework_parameters": given.platform,
        "channel_input_dirs": folders,
        "current_host": host,
        "current_instance_group": group,
        "current_instance_group_hosts": members[0] if members else [],
        "current_instance_type": machine.instance_type or "local",
        "distribution_instance_groups": [],
        "framework_module": None,
        "hosts": hosts,
        "hyperparameters": given.hyperparameters,
        "input_config_dir": str(paths.hyperparameters.parent),
        "input_data_config": given.inputs,
        "input_dir": str(paths.channels.parent),
        "instance_groups": [each["instance_group_name"] for each in groups],
        "instance_groups_dict": {each["instance_group_name"]: each for each in groups},
        "is_hetero": len(groups) > 1,
        "is_master": host == hosts[0],
        "job_name": os.environ.get("TRAINING_JOB_NAME"),
        "log_level": given.platform.get("sagemaker_container_log_level", logging.INFO),
        "master_hostname": hosts[0],
        "model_dir": str(job.model_dir),
        "module_dir": code,
        "module_name": program.removesuffix(".py"),
        "network_interface_name": machine.network_interface,
        "num_cpus": max(1, round(resources.cpus())),
        "num_gpus": _gpus(),
        "num_neurons": 0,
        "output_data_dir": str(job.output_dir),
        "output_dir": str(paths.failure.parent),
        "output_intermediate_dir": str(paths.failure.parent / "intermediate"),
        "resource_config": given.resources,
        "user_entry_point": program,
    }


def _decoded(raw: Any) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, TypeError, RecursionError):
        return raw


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _gpus() -> int:
    """
    Count the graphics processors that the driver's program lists; 0 without it.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listed = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)  # noqa: S603
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
