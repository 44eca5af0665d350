"""
S3 as the platform uses it: prefixes become folders, folders become archives.
"""

import io
import tarfile
from pathlib import Path
from typing import Any

import botocore.exceptions

from local_cloud.backend import Backend
from local_cloud.errors import Failed


def split(uri: str) -> tuple[str, str]:
    """
    Return bucket and key of an S3 URI.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.lstrip("/")


class Store:
    """
    Reads and writes S3.
    """

    def __init__(self, backend: Backend) -> None:
        self._s3 = backend.client("s3")

    def keys(self, uri: str) -> list[str]:
        """
        Return the keys that begin with a prefix, without the markers of folders.
        """
        bucket, prefix = split(uri)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        except botocore.exceptions.ClientError as error:
            raise Failed(f"ClientError: {error}. S3 URI: {uri}") from None
        return [key for key in found if not key.endswith("/")]

    def files(self, uri: str) -> list[tuple[str, str]]:
        """
        Return key and relative name of all below a prefix; raises Failed when there is nothing.

        A prefix is a folder, the name of an object, or the beginning of names.
        """
        _, prefix = split(uri)
        keys = self.keys(uri)
        if not keys:
            raise Failed(
                f"ClientError: Data download failed: no S3 objects found under S3 URL {uri}"
            )
        whole = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        top = whole if all(key.startswith(whole) for key in keys) else prefix.rpartition("/")[0]
        return [(key, key.removeprefix(top).lstrip("/")) for key in keys]

    def read(self, uri: str) -> bytes:
        """
        Return an object; raises Failed when it is not there.
        """
        bucket, key = split(uri)
        try:
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except botocore.exceptions.ClientError as error:
            raise Failed(f"ClientError: {error}. S3 URI: {uri}") from None
        return content

    def exists(self, uri: str) -> bool:
        """
        Tell whether an object, or something below a prefix, is there.
        """
        try:
            return bool(self.keys(uri))
        except Failed:
            return False

    def write(self, uri: str, content: bytes, **more: Any) -> None:
        """
        Put an object; raises Failed.
        """
        bucket, key = split(uri)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content, **more)
        except botocore.exceptions.ClientError as error:
            raise Failed(f"ClientError: {error}. S3 URI: {uri}") from None

    def download(self, uri: str, folder: Path) -> list[Path]:
        """
        Fetch all below a prefix into a folder; raises Failed.
        """
        made = []
        for key, name in self.files(uri):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            bucket, _ = split(uri)
            self._s3.download_file(bucket, key, str(path))
            made.append(path)
        return made

    def upload(self, folder: Path, uri: str) -> None:
        """
        Put every file of a folder below a prefix.
        """
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                self.write(f"{uri.rstrip('/')}/{name}", path.read_bytes())

    def unpack(self, uri: str, folder: Path) -> None:
        """
        Unpack an archive into a folder; raises Failed when it is none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(fileobj=io.BytesIO(self.read(uri)), mode="r:*") as tar:
                # Python 3.11 knows filters only in its later versions.
                tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                tar.extractall(folder)  # noqa: S202 - filtered, see above
        except (tarfile.TarError, OSError) as error:
            raise Failed(
                f"Failed to extract model data archive from {uri}: {error}. Please ensure that it "
                "is a tar archive compressed by gzip"
            ) from None

    def pack(self, folders: list[Path], uri: str) -> None:
        """
        Put the files of some folders into one archive.
        """
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for folder in folders:
                for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                    tar.add(path, arcname=path.name)
        self.write(uri, archive.getvalue())
