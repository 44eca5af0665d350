"""
What every failed answer must look like, asserted in one place.
"""

import json
import re
from typing import Any

from werkzeug.test import TestResponse

from harness import Answer


def assert_error(
    response: TestResponse | Answer,
    status: int,
    code: str,
    contains: str = "",
    row: int | None = None,
    column: str | None = None,
) -> dict[str, Any]:
    """
    Assert status, code and the one JSON shape, and return what stands under "error"; ``contains``
    must be part of the message.
    """
    if isinstance(response, Answer):
        got, body = response.status, response.body
    else:
        got, body = response.status_code, response.get_data()
    assert got == status, body
    assert response.headers["Content-Type"] == "application/json"
    assert len(body) <= 2048
    content = json.loads(body)
    assert content.keys() == {"error"}
    error: dict[str, Any] = content["error"]
    where = {name: v for name, v in {"row": row, "column": column}.items() if v is not None}
    assert error.get("where", {}) == where, error
    assert error.keys() == {"code", "message", "request_id"} | ({"where"} if where else set())
    assert error["code"] == code
    assert error["message"]
    assert contains in error["message"], error
    assert "Traceback" not in error["message"]
    assert re.fullmatch("[ -~]{1,64}", error["request_id"])
    assert error["request_id"] == response.headers["X-Request-Id"]
    return error
