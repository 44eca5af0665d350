"""
The files of a channel.
"""

from pathlib import Path

from sagemaker_runtime.errors import DataError

NAMED = 5  # files that a message names before it says how many more there are


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
            f"{allowed}. Take other files out of the channel's S3 prefix."
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
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
