"""
What every failed answer must look like, asserted in one place.
"""

from werkzeug.test import TestResponse


def assert_error(
    response: TestResponse,
    status: int,
    code: str,
    contains: str = "",
    row: int | None = None,
    column: str | None = None,
) -> None:
    """
    Assert status, code and the one JSON shape; ``contains`` must be part of the message.
    """
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/json"
    assert len(response.get_data()) <= 2048
    assert response.is_json
    assert response.get_json().keys() == {"error"}
    error = response.get_json()["error"]
    where = {name: v for name, v in {"row": row, "column": column}.items() if v is not None}
    assert error.get("where", {}) == where, error
    assert error.keys() == {"code", "message", "request_id"} | ({"where"} if where else set())
    assert error["code"] == code
    assert contains in error["message"]
    assert "Traceback" not in error["message"]
    assert error["request_id"] == response.headers["X-Request-Id"]
