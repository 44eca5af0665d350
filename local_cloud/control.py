"""
SageMaker's control plane: Create, Describe, List, Delete by the model, all else by its own handler.
"""

from collections.abc import Callable
from typing import Any

from local_cloud import listing, rules
from local_cloud.cloud import Cloud
from local_cloud.errors import invalid, unknown
from local_cloud.kinds import KINDS, Kind
from local_cloud.records import Record

Handler = Callable[[Record], Record]


class ControlPlane:
    """
    Answers SageMaker's calls.

    ``handlers`` has the calls that are not kept by the model alone; ``created`` is told of a new
    record and ``described`` completes one, both by the kind's noun.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.created: dict[str, Callable[[Record], None]] = {}
        self.described: dict[str, Callable[[Record], Record]] = {}
        self.handlers: dict[str, Handler] = {
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }
        for kind in KINDS.values():
            self._keep(kind)

    def call(self, action: str, asked: Record) -> Record:
        """
        Return the answer, in JSON's types; raises AwsError.
        """
        model = self._cloud.model
        handler = self.handlers.get(action)
        if handler is None or action not in model.actions:
            raise unknown("sagemaker", action)
        asked = _without_nulls(asked)
        model.check(action, asked)
        answer: Record = model.cut(action, handler(asked))
        return answer

    def _keep(self, kind: Kind) -> None:
        noun = kind.noun
        self.handlers |= {
            f"Create{noun}": lambda asked: self._create(kind, asked),
            f"Describe{noun}": lambda asked: self._describe(kind, asked[kind.name]),
            f"List{kind.plural}": lambda asked: self._list(kind, asked),
        }
        # Jobs are never deleted; endpoints and packages have their own handlers.
        if noun in ("Model", "EndpointConfig"):
            self.handlers[f"Delete{noun}"] = lambda asked: self._delete(kind, asked)

    def _create(self, kind: Kind, asked: Record) -> Record:
        if check := rules.CREATE.get(kind.noun):
            check(self._cloud, asked)
        record = self._cloud.records.create(kind.noun, asked[kind.name], asked)
        if started := self.created.get(kind.noun):
            started(record)
        return record

    def _describe(self, kind: Kind, name: str) -> Record:
        with self._cloud.records.lock:
            record = dict(self._cloud.records.get(kind.noun, name))
        complete = self.described.get(kind.noun)
        return complete(record) if complete else record

    def _list(self, kind: Kind, asked: Record) -> Record:
        action = f"List{kind.plural}"
        found, token = listing.page(kind, self._cloud.records.all(kind.noun), asked)
        answer: dict[str, Any] = {self._cloud.model.listed(action): found}
        if token:
            answer["NextToken"] = token
        return answer

    def _delete(self, kind: Kind, asked: Record) -> Record:
        self._cloud.records.delete(kind.noun, asked[kind.name])
        return {}

    def _add_tags(self, asked: Record) -> Record:
        self._cloud.records.add_tags(asked["ResourceArn"], asked["Tags"])
        return {"Tags": self._cloud.records.tags(asked["ResourceArn"])}

    def _list_tags(self, asked: Record) -> Record:
        if "NextToken" in asked:
            raise invalid("Invalid NextToken")  # at most 50 tags fit into one page
        return {"Tags": self._cloud.records.tags(asked["ResourceArn"])}

    def _delete_tags(self, asked: Record) -> Record:
        self._cloud.records.delete_tags(asked["ResourceArn"], asked["TagKeys"])
        return {}


def _without_nulls(value: Any) -> Any:
    """
    Return a request without members that are null: they count as absent.
    """
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
