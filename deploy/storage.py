"""
Files in S3 that go in and come out.
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import UsageError
from deploy.session import Session, client, home, key, plan, say


def split(address: str) -> tuple[str, str]:
    """
    Return bucket and key of an s3:// address.
    """
    scheme, _, rest = address.partition("://")
    name, _, path = rest.partition("/")
    if scheme != "s3" or not name:
        raise UsageError(
            f"'{address}' is not an address in S3; expected such as s3://bucket/folder/"
        )
    return name, path


def head(session: Session, address: str) -> dict[str, Any] | None:
    """
    Return what S3 knows of an object, or None when there is none.
    """
    name, path = split(address)
    try:
        found: dict[str, Any] = client(session, "s3").head_object(Bucket=name, Key=path)
        return found
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return None
        raise


def read(session: Session, address: str) -> bytes:
    """
    Return an object's content.
    """
    name, path = split(address)
    content: bytes = client(session, "s3").get_object(Bucket=name, Key=path)["Body"].read()
    return content


def write(session: Session, address: str, content: bytes) -> None:
    """
    Put a small object there.
    """
    name, path = split(address)
    if session.dry_run:
        plan(session, f"aws s3 cp - {address}")
        return
    client(session, "s3").put_object(Bucket=name, Key=path, Body=content, **encryption(session))


def objects(session: Session, address: str) -> Iterator[dict[str, Any]]:
    """
    Yield what lies below an address, in the order of the keys; markers of folders left out.
    """
    name, path = split(address)
    pages = client(session, "s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=name, Prefix=path):
        for each in page.get("Contents", []):
            if not each["Key"].endswith("/"):
                yield each


def version(session: Session, address: str, whole: bool = False) -> str:
    """
    Return a hash that changes with what lies below an address; raises UsageError if nothing does.

    ``whole``: the address is that of one object, not the beginning of several.
    """
    found = objects(session, address)
    key_ = split(address)[1]
    listed = [(each["Key"], each["ETag"]) for each in found if not whole or each["Key"] == key_]
    if not listed:
        raise UsageError(f"nothing lies at {address}; upload data, or correct the address")
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def encryption(session: Session) -> dict[str, str]:
    """
    Return what an upload says of its KMS key, empty without one.
    """
    named = key(session, "output", "SSEKMSKeyId")
    return {"ServerSideEncryption": "aws:kms", **named} if named else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(folder: Path) -> list[Path]:
    """
    Return the files of a folder and its folders.
    """
    return sorted(each for each in folder.rglob("*") if each.is_file())


def content(path: Path) -> str:
    """
    Return a hash of a file, or of a folder's names and files; raises UsageError for neither.
    """
    if path.is_file():
        return _digest(path)[:16]
    listed = [(str(each.relative_to(path)), _digest(each)) for each in files(path)]
    if not listed:
        raise UsageError(f"'{path}' is neither a file nor a folder with files")
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def upload(session: Session, path: Path, address: str) -> None:
    """
    Upload a file, in parts if it is large, unless it is there.
    """
    if head(session, address):
        return
    if session.dry_run:
        named = session.settings.keys.output
        encrypted = f" --sse aws:kms --sse-kms-key-id {named}" if named else ""
        plan(session, f"aws s3 cp {path} {address}{encrypted}")
        return
    say(f"upload {path} to {address}")
    client(session, "s3").upload_file(str(path), *split(address), ExtraArgs=encryption(session))


def upload_data(session: Session, path: Path, room: str) -> str:
    """
    Upload a file or folder below the application's and return the address, named by content.
    """
    if not path.exists():
        raise UsageError(f"'{path}' does not exist; expected a folder, a file or an s3:// address")
    target = f"{home(session)}/{room}/{content(path)}/"
    for each in files(path) if path.is_dir() else [path]:
        inside = each.relative_to(path) if path.is_dir() else each.name
        upload(session, each, f"{target}{inside}")
    return target


def upload_model(session: Session, path: Path) -> str:
    """
    Upload an archive, or a folder as one, and return the address, named by content.
    """
    if not path.exists():
        raise UsageError(f"'{path}' does not exist; expected a model's folder or its model.tar.gz")
    address = f"{home(session)}/models/{content(path)}/model.tar.gz"
    if path.is_file() or session.dry_run:
        upload(session, path, address)
    elif not head(session, address):
        with tempfile.TemporaryDirectory() as scratch:
            upload(session, _packed(path, Path(scratch) / "model.tar.gz"), address)
    return address


def _packed(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz", dereference=True) as tar:
        for each in files(folder):
            tar.add(each, arcname=str(each.relative_to(folder)))
    return archive
