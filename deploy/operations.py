"""
The record of an operation of several steps, kept in the bucket: it outlives the process that
began the operation.
"""

import json
from typing import Any

from deploy import storage
from deploy.session import Session, home


def _place(session: Session, endpoint: str) -> str:
    return f"{home(session)}/operations/{endpoint}.json"


def interrupted(session: Session, endpoint: str) -> dict[str, Any] | None:
    """
    Return the record of an operation that has not ended, or None.
    """
    place = _place(session, endpoint)
    if not storage.head(session, place):
        return None
    found: dict[str, Any] = json.loads(storage.read(session, place))
    return found
