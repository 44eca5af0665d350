"""
The channels of a job: which there are, what is told of them, and which of them nobody reads.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from sagemaker_runtime.errors import ConfigurationError, DataError
from sagemaker_runtime.training import configuration
from sagemaker_runtime.training.channel import Channel
from sagemaker_runtime.training.failure import listed, printable
from sagemaker_runtime.training.pipes import Waiting

EXAMPLE = '{"training": {"TrainingInputMode": "File"}}'
MODES = {mode.lower(): mode for mode in ("File", "FastFile", "Pipe")}
KEYS = ("TrainingInputMode", "ContentType", "RecordWrapperType", "S3DistributionType")
PIPE_NAME = re.compile(r"(.+)_\d+")


class NoChannel(DataError, KeyError):
    """
    The job lacks a channel that the algorithm cannot do without.
    """

    __str__ = Exception.__str__  # a KeyError's is in quotes


class Channels(Mapping[str, Channel]):
    """
    Each channel by its name; remembers which were looked for.
    """

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = dict(channels)
        self._looked_for: dict[str, None] = {}  # in order
        self._read: dict[str, None] = {}

    def __getitem__(self, name: str) -> Channel:
        self._looked_for[name] = None
        if name not in self._channels:
            raise NoChannel(
                f"the job has no channel {name!r}; it has: {', '.join(self._channels) or 'none'}. "
                f'Give it one: fit({{"{name}": "s3://bucket/folder/"}}).'
            )
        self._read[name] = None
        return self._channels[name]

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._looked_for[name] = None
        return name in self._channels

    def __iter__(self) -> Iterator[str]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)

    def fingerprint(self) -> str:
        """
        Return the SHA-256 of the channels that were asked for, their names and contents.
        """
        total = sha256()
        for name in sorted(self._read):
            total.update(f"{name} ".encode() + self._channels[name].fingerprint())
        return total.hexdigest()

    def unread(self) -> str | None:
        """
        Return the line on channels that nobody asked for, None when there is none.
        """
        names = [name for name in self._channels if name not in self._read]
        if not names:
            return None
        several = len(names) > 1
        return (
            f"channel{'s' * several} {listed(names)} {'were' if several else 'was'} not read: "
            f"train looks for {listed(list(self._looked_for)) or 'no channel'}"
        )


def find(folder: Path, config: Path, waiting: Waiting) -> Channels:
    """
    Return each channel below ``folder``, of which inputdataconfig.json (``config``) may say more.

    Raises ConfigurationError for such a file in another form.
    """
    told = {
        name: _told(config, name, channel)
        for name, channel in configuration.read(config, EXAMPLE).items()
    }
    # A "<channel>-manifest" file may stand beside a channel's folder.
    present = sorted(folder.glob("*"))
    modes = {name: keys["mode"] for name, keys in told.items() if keys["mode"] == "Pipe"}
    for name, keys in told.items():
        if keys["distribution"] == "ShardedByS3Key":  # maybe no file, and no folder, on this host
            modes[name] = keys["mode"]
    for path in present:
        if path.is_dir():
            modes.setdefault(path.name, told.get(path.name, {}).get("mode", "File"))
    for path in present:
        if path.is_fifo() and (pipe := PIPE_NAME.fullmatch(path.name)) and pipe[1] not in modes:
            modes[pipe[1]] = "Pipe"
    return Channels(
        {
            name: Channel(
                folder / name, **{**told.get(name, {}), "mode": modes[name]}, waiting=waiting
            )
            for name in sorted(modes)
        }
    )


def _told(config: Path, name: str, channel: object) -> dict[str, Any]:
    """
    Return what the configuration says of a channel, as Channel's arguments.
    """

    def refuse(value: object, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"{config.name} has {printable(repr(value))} for the channel {printable(name)!r}; "
            f"expected {what}, as in {EXAMPLE}. Correct the file."
        )

    if not isinstance(channel, dict):
        raise refuse(channel, "an object")
    values = {}
    for key in KEYS:
        values[key] = channel.get(key) or ""
        if not isinstance(values[key], str):
            raise refuse(channel[key], f"a text as {key}")
    mode = MODES.get((values["TrainingInputMode"] or "File").lower())
    if mode is None:
        raise refuse(values["TrainingInputMode"], "the input mode File, FastFile or Pipe")
    wrapper = values["RecordWrapperType"].lower()
    if wrapper not in ("", "none", "recordio"):
        raise refuse(values["RecordWrapperType"], "the record wrapper None or RecordIO")
    return {
        "mode": mode,
        "content_type": values["ContentType"],
        "distribution": values["S3DistributionType"] or "FullyReplicated",
        "is_wrapped": wrapper == "recordio",
    }
