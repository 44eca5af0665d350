"""
The channels of a job: their folders, the files in them, and which of them nobody reads.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from sagemaker_runtime.errors import ConfigurationError, DataError
from sagemaker_runtime.training import configuration
from sagemaker_runtime.training.failure import printable

EXAMPLE = '{"training": {"TrainingInputMode": "File"}}'
NAMED = 5  # files that a message names before it says how many more there are
# What the first bytes of a file tell of its ending; text without NUL is taken for CSV.
MAGIC = {b"\x1f\x8b": ".csv.gz", b"PAR1": ".parquet"}
SNIFFED = 512  # bytes


class Channels(Mapping[str, Path]):
    """
    The folder of each channel by its name; remembers which were looked for.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._looked_for: dict[str, None] = {}  # in order
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> Path:
        self._looked_for[name] = None
        folder = self._folders[name]
        self._read.add(name)
        return folder

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._looked_for[name] = None
        return name in self._folders

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    def unread(self) -> str | None:
        """
        Return the line on channels whose folder nobody asked for, None when there is none.
        """
        names = [name for name in self._folders if name not in self._read]
        if not names:
            return None
        several = len(names) > 1
        return (
            f"channel{'s' * several} {_listed(names)} {'were' if several else 'was'} not read: "
            f"train looks for {_listed(list(self._looked_for)) or 'no channel'}"
        )


def find(folder: Path, config: Path) -> Channels:
    """
    Return the folder of each channel below ``folder``.

    Raises DataError for a channel that inputdataconfig.json (``config``) says is a pipe,
    ConfigurationError for such a file in another form.
    """
    for name, channel in configuration.read(config, EXAMPLE).items():
        mode = channel.get("TrainingInputMode") if isinstance(channel, dict) else channel
        if not isinstance(channel, dict) or not isinstance(mode, str | None):
            raise ConfigurationError(
                f"{config.name} has {printable(repr(mode))} for the channel {printable(name)!r}; "
                f"expected an object, as in {EXAMPLE}. Correct the file."
            )
        if mode and mode.lower() == "pipe":
            raise DataError(
                f"channel {printable(name)!r} has the input mode Pipe, which is not read; expected "
                f'File or FastFile: Estimator(..., input_mode="FastFile").'
            )
    # A "<channel>-manifest" file may stand beside a channel's folder.
    return Channels({p.name: p for p in sorted(folder.glob("*")) if p.is_dir()})


def data_files(channel: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """
    List every data file below a channel's folder, sorted by path.

    Left out: names that begin with a dot or an underscore (``_SUCCESS``, ``.DS_Store``, and all
    below such a folder), manifests, and empty files that are not data files, which some tools write
    as folder markers. Raises DataError when another file has none of ``suffixes`` or when there is
    no data file.
    """
    files, ignored, unexpected = [], [], []
    for path in sorted(path for path in channel.rglob("*") if path.is_file()):
        name = path.relative_to(channel)
        if _hidden(name):
            ignored.append(str(name))
        elif path.name.lower().endswith(suffixes):
            files.append(path)
        elif path.stat().st_size == 0:
            ignored.append(str(name))
        else:
            unexpected.append(str(name))
    allowed = ", ".join(suffixes)
    if unexpected:
        raise DataError(
            f"Channel {channel.name} holds {_listed(unexpected)}; expected only files that end in "
            f"{allowed}. {_renaming(channel / unexpected[0], suffixes)}"
            "Take other files out of the channel's S3 prefix."
        )
    if not files:
        found = f"only {_listed(ignored)}" if ignored else "no file"
        raise DataError(
            f"Channel {channel.name} holds {found}; expected at least one file that ends in "
            f"{allowed}. Check the S3 prefix that the channel names."
        )
    return files


def _hidden(name: Path) -> bool:
    return name.name.endswith("-manifest") or any(part[0] in "._" for part in name.parts)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(map(printable, names[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _renaming(path: Path, suffixes: tuple[str, ...]) -> str:
    """
    Say which ending a file should have if it holds rows; nothing when it looks like no such file.
    """
    with path.open("rb") as file:
        start = file.read(SNIFFED)
    known = [ending for magic, ending in MAGIC.items() if start.startswith(magic)]
    ending = known[0] if known else "" if b"\0" in start else ".csv"
    if ending not in suffixes:
        return ""
    return f"If {printable(path.name)} holds rows give it a name that ends in {ending}. "
