"""
The records: what Create was asked, what became of it since, and tags.
"""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from local_cloud.errors import AwsError, invalid
from local_cloud.kinds import KINDS

Record = dict[str, Any]
MOST_TAGS = 50


class Records:
    """
    All resources of SageMaker; hold ``lock`` to read one and then change it.
    """

    def __init__(self, region: str, account: str) -> None:
        self.lock = threading.RLock()
        self._region = region
        self._account = account
        self._kept: dict[str, dict[str, Record]] = {noun: {} for noun in KINDS}
        self._tags: dict[str, dict[str, str]] = {}

    def arn(self, noun: str, name: str) -> str:
        """
        Return the ARN of what has that name; an ARN stays as it is.
        """
        if name.startswith("arn:"):
            return name
        word = KINDS[noun].arn_word
        return f"arn:aws:sagemaker:{self._region}:{self._account}:{word}/{name}"

    def find(self, noun: str, name: str) -> Record | None:
        """
        Return a record by its name or ARN, if there is one.
        """
        key = name.partition("/")[2] if name.startswith("arn:") else name
        return self._kept[noun].get(key)

    def get(self, noun: str, name: str) -> Record:
        """
        Return a record by its name or ARN; raises AWS's refusal of what is not there.
        """
        found = self.find(noun, name)
        if found is None:
            kind = KINDS[noun]
            text = kind.missing.format(arn=self.arn(noun, name), name=name)
            raise AwsError(kind.missing_code, text)
        return found

    def all(self, noun: str) -> list[Record]:
        """
        Return the records of a kind, the oldest first.
        """
        with self.lock:
            return list(self._kept[noun].values())

    def create(self, noun: str, name: str, asked: Record) -> Record:
        """
        Keep a new record; raises AWS's refusal of a name that is taken.
        """
        kind = KINDS[noun]
        arn = self.arn(noun, name)
        now = datetime.now(UTC)
        with self.lock:
            if name in self._kept[noun]:
                raise AwsError(kind.exists_code, kind.exists.format(arn=arn, name=name))
            tags = asked.get("Tags") or []
            record = {key: value for key, value in asked.items() if key != "Tags"}
            record |= {kind.name: name, kind.arn: arn, "CreationTime": now, "LastModifiedTime": now}
            if kind.first_status:
                record[kind.status] = kind.first_status
            if kind.first_phase:
                record["SecondaryStatus"] = kind.first_phase
            self._kept[noun][name] = record
            self._tags[arn] = {}
            if tags:
                self.add_tags(arn, tags)
            return record

    def change(self, record: Record, **values: Any) -> None:
        """
        Change a record; None takes a member away.
        """
        with self.lock:
            record |= values | {"LastModifiedTime": datetime.now(UTC)}
            for name in [name for name, value in record.items() if value is None]:
                del record[name]

    def delete(self, noun: str, name: str) -> None:
        """
        Forget a record.
        """
        with self.lock:
            record = self.get(noun, name)
            self._tags.pop(record[KINDS[noun].arn], None)
            del self._kept[noun][record[KINDS[noun].arn].partition("/")[2]]

    def tags(self, arn: str) -> list[dict[str, str]]:
        """
        Return the tags of a resource; raises AWS's refusal of one that is not there.
        """
        with self.lock:
            return [{"Key": key, "Value": value} for key, value in self._of(arn).items()]

    def add_tags(self, arn: str, tags: list[dict[str, str]]) -> None:
        """
        Add tags or change their values.
        """
        with self.lock:
            merged = self._of(arn) | {each["Key"]: each["Value"] for each in tags}
            if len(merged) > MOST_TAGS:
                raise AwsError(
                    "ResourceLimitExceeded", f"{arn} would have more than {MOST_TAGS} tags"
                )
            self._tags[arn] = merged

    def delete_tags(self, arn: str, keys: list[str]) -> None:
        """
        Take tags away.
        """
        with self.lock:
            kept = self._of(arn)
            self._tags[arn] = {key: value for key, value in kept.items() if key not in keys}

    def tagged(self) -> Iterator[tuple[str, dict[str, str]]]:
        """
        Return the ARN and tags of every resource.
        """
        with self.lock:
            yield from list(self._tags.items())

    def _of(self, arn: str) -> dict[str, str]:
        if arn not in self._tags:
            raise invalid(f"Could not find a resource with the ARN {arn}")
        return self._tags[arn]
