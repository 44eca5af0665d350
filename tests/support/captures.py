"""
Captured requests as SageMaker's data capture writes them, for a small table.
"""

import base64
import json

from sagemaker_runtime.algorithm import Column, Table

TABLE = Table(
    Column("size", "number", "84.5"),
    Column("kind", "text", "flat", optional=True),
    label=Column("price", "number", "310"),
    ignored=(Column("key", "text", "k1"),),
)
JSON, LINES = "application/json", "application/jsonlines"


def side(body: str, media_type: str = "text/csv", encoding: str = "") -> dict[str, str]:
    """
    Return what was sent or answered.
    """
    encoding = encoding or {"text/csv": "CSV"}.get(media_type, "JSON")
    data = base64.b64encode(body.encode()).decode() if encoding == "BASE64" else body
    return {"observedContentType": media_type, "mode": "INPUT", "data": data, "encoding": encoding}


def event(
    given: dict[str, str] | None, answered: dict[str, str] | None, name: str = "", at: int = 0
) -> bytes:
    """
    Return a line; ``name`` is the id that the caller gave, ``at`` the second of the request.
    """
    data = {"endpointInput": given, "endpointOutput": answered}
    about = {
        "eventId": f"event-{at}",
        "inferenceTime": f"2012-09-04T12:{at // 60:02}:{at % 60:02}Z",
    }
    if name:
        about["inferenceId"] = name
    data = {part: value for part, value in data.items() if value}
    content = {"captureData": data, "eventMetadata": about, "eventVersion": "0"}
    return json.dumps(content).encode() + b"\n"
