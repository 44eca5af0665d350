"""
The data files below a channel's folder, and what else may stand there.
"""

from pathlib import Path

from sagemaker_runtime.errors import DataError
from sagemaker_runtime.training.failure import listed

# What the first bytes of a file tell of its ending; text without NUL is taken for CSV.
MAGIC = {b"\x1f\x8b": ".csv.gz", b"PAR1": ".parquet"}
SNIFFED = 512  # bytes


def data_files(channel: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """
    List every data file below a channel's folder, sorted by path; without ``suffixes`` a file of
    any name is one.

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
        elif suffixes and path.name.lower().endswith(suffixes):
            files.append(path)
        elif path.stat().st_size == 0:
            ignored.append(str(name))
        elif suffixes:
            unexpected.append(str(name))
        else:
            files.append(path)
    allowed = ", ".join(suffixes)
    if unexpected:
        raise DataError(
            f"Channel {channel.name} holds {listed(unexpected)}; expected only files that end in "
            f"{allowed}. {_renaming(channel / unexpected[0], suffixes)}"
            "Take other files out of the channel's S3 prefix."
        )
    if not files:
        found = f"only {listed(ignored)}" if ignored else "no file"
        ending = f" that ends in {allowed}" if allowed else ""
        raise DataError(
            f"Channel {channel.name} holds {found}; expected at least one file{ending}. "
            "Check the S3 prefix that the channel names."
        )
    return files


def has_data(channel: Path) -> bool:
    """
    Tell whether there is anything but markers and manifests below a channel's folder.
    """
    return any(
        path.is_file() and path.stat().st_size and not _hidden(path.relative_to(channel))
        for path in channel.rglob("*")
    )


def _hidden(name: Path) -> bool:
    return name.name.endswith("-manifest") or any(part[0] in "._" for part in name.parts)


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
    return f"If {listed([path.name])} holds rows give it a name that ends in {ending}. "
