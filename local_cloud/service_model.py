"""
botocore's model of SageMaker's calls: requests are held to it, answers are cut to it.

botocore itself checks types, required members and minima before it sends; maxima, patterns and
enums stand in the same model.
"""

from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
import regex

from local_cloud.errors import AwsError, invalid

# The types that JSON has for those of the model.
TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "blob": str,
}


class ServiceModel:
    """
    The calls of one service.
    """

    def __init__(self, service: str = "sagemaker") -> None:
        self._model = botocore.session.get_session().get_service_model(service)
        self.actions = frozenset(self._model.operation_names)

    def check(self, action: str, asked: dict[str, Any]) -> None:
        """
        Hold a request to the model; raises AwsError that names all that is wrong.
        """
        wrong: list[str] = []
        if shape := self._model.operation_model(action).input_shape:
            _walk(shape, asked, "", wrong)
        if wrong:
            noun = "error" if len(wrong) == 1 else "errors"
            raise invalid(f"{len(wrong)} validation {noun} detected: {'; '.join(wrong)}")

    def cut(self, action: str, record: dict[str, Any]) -> dict[str, Any]:
        """
        Return what a call's answer has of a record.
        """
        shape = self._model.operation_model(action).output_shape
        return _cut(shape, record) if shape else {}

    def listed(self, action: str) -> str:
        """
        Return the name of the member that has the list.
        """
        members = self._model.operation_model(action).output_shape.members
        return next(name for name, shape in members.items() if shape.type_name == "list")

    def members(self, action: str) -> set[str]:
        """
        Return the members of a request.
        """
        shape = self._model.operation_model(action).input_shape
        return set(shape.members) if shape else set()


def _walk(shape: Any, value: Any, path: str, wrong: list[str]) -> None:
    expected = TYPES[shape.type_name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = isinstance(value, expected) and not (isinstance(value, bool) and expected is not bool)
    if not fits:
        raise AwsError(
            "SerializationException",
            f"{path or 'the request'} is {str(value)[:100]!r}; expected {shape.type_name}",
        )
    match shape.type_name:
        case "structure":
            _structure(shape, value, path, wrong)
        case "list":
            for place, each in enumerate(value, 1):
                _walk(shape.member, each, f"{path}.{place}.member", wrong)
        case "map":
            for key, each in value.items():
                _walk(shape.key, key, f"{path}.{key}.key", wrong)
                _walk(shape.value, each, f"{path}.{key}.member", wrong)
    size = value if is_number else len(value) if hasattr(value, "__len__") else 0
    for complaint in _constraints(shape.metadata, size, value, is_number):
        shown = value if is_number or isinstance(value, str) else str(value)
        wrong.append(
            f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {complaint}"
        )


def _structure(shape: Any, value: dict[str, Any], path: str, wrong: list[str]) -> None:
    for name in value:
        if name not in shape.members:
            where = f"{path}.{name}" if path else name
            raise AwsError(
                "SerializationException",
                f"{where} is unknown: botocore's model of {shape.name} has no member {name}",
            )
    for name in shape.required_members:
        if value.get(name) is None:
            where = f"{path}.{_camel(name)}" if path else _camel(name)
            wrong.append(
                f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
            )
    for name, each in value.items():
        if each is not None:
            where = f"{path}.{_camel(name)}" if path else _camel(name)
            _walk(shape.members[name], each, where, wrong)


def _constraints(metadata: dict[str, Any], size: float, value: Any, is_number: bool) -> list[str]:
    found = []
    what = "value" if is_number else "length"
    if "min" in metadata and size < metadata["min"]:
        found.append(f"have {what} greater than or equal to {metadata['min']}")
    if "max" in metadata and size > metadata["max"]:
        found.append(f"have {what} less than or equal to {metadata['max']}")
    if metadata.get("enum") and value not in metadata["enum"]:
        found.append(f"satisfy enum value set: [{', '.join(metadata['enum'])}]")
    if isinstance(value, str) and (pattern := metadata.get("pattern")):
        expression = compiled(pattern)
        if expression is not None and not expression.fullmatch(value):
            found.append(f"satisfy regular expression pattern: {pattern}")
    return found


@cache
def compiled(pattern: str) -> Any:
    """
    Return the pattern, or None for the few that are written in another dialect.
    """
    try:
        return regex.compile(pattern)
    except regex.error:
        return None


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _cut(shape: Any, value: Any) -> Any:
    if value is None:
        return None
    match shape.type_name:
        case "structure":
            return {
                name: _cut(member, value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            return [_cut(shape.member, each) for each in value]
        case "map":
            return {key: _cut(shape.value, each) for key, each in value.items()}
        case "timestamp":
            return value.timestamp() if isinstance(value, datetime) else value
    return value
