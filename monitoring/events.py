"""
Lines of captured requests, as events: what SageMaker's data capture and the server itself write.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

# What a line of a log may be that is not a captured request.
MARK = b'"captureData"'


class Side(NamedTuple):
    """
    A body as bytes, with its media type in lower case and without parameters.
    """

    media_type: str
    body: bytes


class Event(NamedTuple):
    """
    A captured request: the caller's id or else the platform's, the time in UTC as it was written,
    and what was sent and answered, as far as it was captured.
    """

    id: str
    time: str
    given: Side | None
    answered: Side | None


_MEDIA_TYPES = {"CSV": "text/csv", "JSON": "application/json"}


def read(lines: Iterable[bytes], counts: Counter[str]) -> Iterator[Event]:
    """
    Yield the events of lines; those that are not read are counted as "unreadable", lines of a log
    that stand between them as "other lines".
    """
    for line in lines:
        if MARK not in line:
            if line.strip():
                counts["other lines"] += 1
            continue
        try:
            content = orjson.loads(line[line.index(b"{") :])
            data, about = content["captureData"], content["eventMetadata"]
            event = Event(
                about.get("inferenceId") or about["eventId"],
                about["inferenceTime"],
                _side(data.get("endpointInput")),
                _side(data.get("endpointOutput")),
            )
            if type(event.id) is not str or type(event.time) is not str:
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            counts["unreadable events"] += 1
            continue
        counts["events"] += 1
        yield event


def _side(found: dict[str, Any] | None) -> Side | None:
    if not found:
        return None
    encoding, data = found["encoding"], found["data"]
    body = base64.b64decode(data, validate=True) if encoding == "BASE64" else data.encode()
    observed = found.get("observedContentType") or _MEDIA_TYPES.get(encoding, "")
    return Side(observed.partition(";")[0].strip().lower(), body)
