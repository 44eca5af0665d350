"""
The record of an operation of several steps, kept in the bucket: it outlives the process that
began the operation.
"""

import json
from typing import Any

from deploy import storage
from deploy.session import Session, client, home


def _place(session: Session, endpoint: str) -> str:
    return f"{home(session)}/operations/{endpoint}.json"


def begin(session: Session, endpoint: str, step: str, finish: str, **found: Any) -> None:
    """
    Note down, before the first step, what was found and the command that finishes the operation.
    """
    record = {"endpoint": endpoint, "step": step, "finish": finish, **found}
    storage.write(session, _place(session, endpoint), json.dumps(record, default=str).encode())


def interrupted(session: Session, endpoint: str) -> dict[str, Any] | None:
    """
    Return the record of an operation that has not ended, or None.
    """
    place = _place(session, endpoint)
    if not storage.head(session, place):
        return None
    found: dict[str, Any] = json.loads(storage.read(session, place))
    return found


def end(session: Session, endpoint: str) -> None:
    """
    Forget the record.
    """
    bucket, path = storage.split(_place(session, endpoint))
    client(session, "s3").delete_object(Bucket=bucket, Key=path)
