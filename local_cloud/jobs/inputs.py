"""
Which objects of S3 a job reads: those below a prefix, or those that a manifest names.
"""

import json
from pathlib import Path
from typing import Any

from local_cloud.errors import Failed
from local_cloud.store import Store, split


def objects(store: Store, source: dict[str, Any]) -> list[tuple[str, str]]:
    """
    Return address and relative name of each object of an S3DataSource; raises Failed.
    """
    uri = source["S3Uri"]
    kind = source.get("S3DataType", "S3Prefix")
    if kind == "S3Prefix":
        bucket, _ = split(uri)
        return [(f"s3://{bucket}/{key}", name) for key, name in store.files(uri)]
    if kind != "ManifestFile":
        raise Failed(f"the local cloud does not read {kind}")
    entries = json.loads(store.read(uri))
    prefix = entries[0]["prefix"]
    return [(f"{prefix.rstrip('/')}/{name}", name) for name in entries[1:]]


def shard(found: list[tuple[str, str]], place: int, hosts: int) -> list[tuple[str, str]]:
    """
    Return the part of the objects that one of several hosts gets by ShardedByS3Key.
    """
    return found[place::hosts]


def fetch(store: Store, found: list[tuple[str, str]], folder: Path) -> None:
    """
    Write objects below a folder.
    """
    for uri, name in found:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.read(uri))
