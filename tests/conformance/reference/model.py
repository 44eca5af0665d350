"""
The model: the sum of a row's numbers and a mean.
"""

import json
import os
from pathlib import Path

FAULT = os.environ.get("FAULT", "")
COLUMNS = 3


class Refused(Exception):
    """
    A request that is answered with a status.
    """

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def load(folder):
    return float(json.loads((Path(folder) / "model.json").read_text())["mean"])


def read(body, content_type):
    """Return the rows of a CSV body."""
    media_type = content_type.partition(";")[0].strip().lower()
    if FAULT == "parameters":
        media_type = content_type
    if media_type == "application/json" and FAULT != "loose":
        raise Refused(400, "this is not JSON with instances")
    if media_type != "text/csv":
        raise Refused(500 if FAULT == "unknown-type" else 415, f"{media_type} is not read")
    if len(body) > 5_000_000 and FAULT == "6-mb":
        raise Refused(413, "too large")
    if len(body) > 7_000_000 and FAULT == "25-mb":
        raise Refused(413, "too large")
    if len(body) > 30_000_000 and FAULT == "100-mb":
        raise Refused(413, "too large")
    try:
        lines = body.decode().splitlines()
    except UnicodeDecodeError:
        raise Refused(400, "the body is not text") from None
    if not lines:
        raise Refused(500 if FAULT == "bad-status" else 400, "the body is empty")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = [float(cell) for cell in line.split(",")]
            if len(row) != COLUMNS:
                raise ValueError
        except ValueError:
            if FAULT == "skip":
                continue
            text = f"row {number} is not {COLUMNS} numbers"
            if FAULT == "long":
                text += ": " + line * 1000
            if FAULT == "insides":
                text = 'Traceback (most recent call last):\n  File "serve.py", line 7\n' + text
            raise Refused(400, text) from None
        rows.append(row)
    return rows


def answer(mean, body, content_type, accept):
    """Return an answer's Content-Type and body."""
    rows = read(body, content_type)
    if FAULT == "rows-many" and len(rows) > 50_000:
        rows = rows[:-1]
    predictions = [mean + sum(row) for row in rows]
    if accept == "application/json" and FAULT != "accept":
        return "application/json", json.dumps({"predictions": predictions}).encode()
    if accept not in ("", "*/*", "text/csv") and FAULT != "accept":
        raise Refused(406, f"{accept} is not written")
    header = "prediction\n" if FAULT == "header" else ""
    text = header + "".join(f"{value}\n" for value in predictions)
    return "text/html" if FAULT == "html" else "text/csv", text.encode()
