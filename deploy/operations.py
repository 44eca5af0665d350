"""
The record of an operation of several steps, kept in the bucket: it outlives the process that
began the operation, and says afterwards which configuration served before.
"""

import json
from datetime import UTC, datetime
from typing import Any

from deploy import storage
from deploy.session import Session, client, home, send

SHOWN = ("step", "finish", "endpoint")


def _place(session: Session, endpoint: str) -> str:
    return f"{home(session)}/operations/{endpoint}.json"


def read(session: Session, endpoint: str) -> dict[str, Any] | None:
    """
    Return the record of an endpoint's last operation, or None.
    """
    place = _place(session, endpoint)
    if not storage.head(session, place):
        return None
    found: dict[str, Any] = json.loads(storage.read(session, place))
    return found


def interrupted(session: Session, endpoint: str) -> dict[str, Any] | None:
    """
    Return what is to be said of an operation that has not ended, or None.
    """
    found = read(session, endpoint)
    if not found or found.get("ended"):
        return None
    return {name: found[name] for name in SHOWN}


def served_since(record: dict[str, Any] | None, configuration: dict[str, Any]) -> datetime:
    """
    Return when the models of a configuration came into service: by the record of an endpoint's last
    operation, or else when the configuration was made.
    """
    if record and record.get("since"):
        served = record["new" if record.get("outcome") == "updated" else "old"]
        if served == configuration["EndpointConfigName"]:
            return datetime.fromisoformat(record["since"])
    made: datetime = configuration["CreationTime"]
    return made


def write(session: Session, record: dict[str, Any]) -> None:
    """
    Keep a record, in the place of the endpoint's last one.
    """
    content = json.dumps(record, indent=2, default=_text)
    storage.write(session, _place(session, record["endpoint"]), content.encode())


def end(session: Session, record: dict[str, Any], outcome: str) -> None:
    """
    Note down that nothing is left to be done.
    """
    record |= {"ended": datetime.now(UTC).isoformat(), "outcome": outcome}
    write(session, record)


def forget(session: Session, endpoint: str) -> None:
    """
    Delete the record of an endpoint that goes.
    """
    if storage.head(session, place := _place(session, endpoint)):
        name, key = storage.split(place)
        send(session, "s3", "delete_object", {"Bucket": name, "Key": key})


def accepted(session: Session, service: str, action: str, described: dict[str, Any]) -> Any:
    """
    Return those parts of a description that a call takes, such as PutScalingPolicy.
    """
    model = client(session, service).meta.service_model.operation_model(action)
    return {name: described[name] for name in model.input_shape.members if name in described}


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
