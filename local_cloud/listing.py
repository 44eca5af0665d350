"""
List calls: filters, order and pages.
"""

from datetime import UTC, datetime
from typing import Any

from local_cloud.errors import invalid
from local_cloud.kinds import Kind
from local_cloud.records import Record

PAGE = 10  # AWS's default of MaxResults
TIMES = ("CreationTime", "LastModifiedTime")


def page(kind: Kind, records: list[Record], asked: dict[str, Any]) -> tuple[list[Record], str]:
    """
    Return the records of a page, and the token of the next one.
    """
    found = [record for record in records if _wanted(kind, record, asked)]
    by = asked.get("SortBy", "CreationTime")
    key = {"Name": kind.name, "Status": kind.status}.get(by, by)
    # Python's order is stable: what was made in the same instant stays in the order of making.
    found.sort(key=lambda record: str(record.get(key, "")))
    if asked.get("SortOrder", "Descending") == "Descending":
        found.reverse()
    try:
        start = int(asked.get("NextToken") or 0)
    except ValueError:
        raise invalid("Invalid NextToken") from None
    end = start + int(asked.get("MaxResults") or PAGE)
    return found[start:end], str(end) if end < len(found) else ""


def _wanted(kind: Kind, record: Record, asked: dict[str, Any]) -> bool:
    if asked.get("NameContains", "").lower() not in record[kind.name].lower():
        return False
    for member in TIMES:
        if (after := asked.get(f"{member}After")) and record[member] < _time(after):
            return False
        if (before := asked.get(f"{member}Before")) and record[member] > _time(before):
            return False
    for member in ("ModelPackageGroupName", "ModelApprovalStatus"):
        if member in asked and kind.noun == "ModelPackage":
            name = asked[member].rpartition("/")[2]
            if record.get(member) != name:
                return False
    return "StatusEquals" not in asked or record[kind.status] == asked["StatusEquals"]


def _time(value: float | str) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value, UTC)
