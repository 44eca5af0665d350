"""
The hosts of a job as the platform names them: resourceconfig.json.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_runtime.errors import ConfigurationError
from sagemaker_runtime.training import configuration
from sagemaker_runtime.training.failure import printable

EXAMPLE = '{"current_host": "algo-1", "hosts": ["algo-1"]}'


@dataclass(frozen=True)
class Resources:
    """
    The hosts of a job and which of them this is.

    The defaults are those of a job on one host, where the platform does not say.
    """

    hosts: tuple[str, ...] = ("algo-1",)
    current_host: str = "algo-1"
    network_interface: str = "eth0"
    instance_type: str = ""
    group: str = ""

    @classmethod
    def read(cls, path: Path) -> "Resources":
        """
        Read resourceconfig.json, which may be absent, empty or lack keys.

        Raises ConfigurationError for a file in another form.
        """
        given = configuration.read(path, EXAMPLE)
        hosts = given.get("hosts") or list(cls.hosts)
        if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
            raise _refused(path, "hosts", hosts, "a list of names")
        if len(set(hosts)) < len(hosts):
            raise _refused(path, "hosts", hosts, "each name once")
        here = _text(path, given, "current_host", hosts[0])
        if len(hosts) > 1 and here not in hosts:
            raise _refused(path, "current_host", here, "one of the hosts")
        return cls(
            hosts=tuple(hosts),
            current_host=here,
            network_interface=_text(path, given, "network_interface_name", cls.network_interface),
            instance_type=_text(path, given, "current_instance_type", ""),
            group=_text(path, given, "current_group_name", ""),
        )


def _text(path: Path, given: dict[str, Any], key: str, default: str) -> str:
    value = given.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _refused(path, key, value, "a text")
    return value


def _refused(path: Path, key: str, value: object, rule: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path.name} has {printable(repr(value))} for {key}; expected {rule}, "
        f"as in {EXAMPLE}. Correct the file."
    )
