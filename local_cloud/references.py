"""
What a pipeline's definition refers to: parameters, the execution, what earlier steps became.
"""

import json
import re
from typing import Any

from local_cloud.errors import Failed
from local_cloud.records import Record
from local_cloud.store import Store

# A member, and one of a list that is picked by its name: Outputs['rows'].
PART = re.compile(r"(\w+)(?:\['([^']+)'\])?")


class References:
    """
    ``known`` has the values of references by their first words, ``files`` the property files of
    steps: the output's name and the path in it.
    """

    def __init__(self, store: Store, execution_id: str, parameters: dict[str, Any]) -> None:
        self._store = store
        self.known: dict[str, Any] = {
            "Execution": {"PipelineExecutionId": execution_id},
            "Parameters": parameters,
            "Steps": {},
        }
        self._files: dict[str, tuple[str, str, str]] = {}

    def note(self, step: Record, became: Record) -> None:
        """
        Remember what a step became, as Describe tells it.
        """
        self.known["Steps"][step["Name"]] = became
        for each in step.get("PropertyFiles", []):
            path = f"Steps.{step['Name']}.PropertyFiles.{each['PropertyFileName']}"
            self._files[path] = (step["Name"], each["OutputName"], each["FilePath"])

    def resolve(self, value: Any) -> Any:
        """
        Return a part of a definition with its references replaced; raises Failed.
        """
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Get": str(path)}:
                return self._get(path)
            case {"Std:Join": {"On": str(on), "Values": list(values)}}:
                return on.join(str(self.resolve(each)) for each in values)
            case {"Std:JsonGet": {"PropertyFile": {"Get": str(path)}, "Path": str(inside)}}:
                return self._json(path, inside)
        return {name: self.resolve(each) for name, each in value.items()}

    def _get(self, path: str) -> Any:
        found: Any = self.known
        for part in path.split("."):
            match = PART.fullmatch(part)
            if not match or not isinstance(found, dict) or match[1] not in found:
                raise Failed(f"{path} refers to nothing that is there: {part} is not known")
            found = found[match[1]]
            if match[2]:
                named = {each.get("OutputName") or each.get("InputName"): each for each in found}
                if match[2] not in named:
                    raise Failed(f"{path} refers to nothing that is there: {part} is not known")
                found = named[match[2]]
        return found

    def _json(self, path: str, inside: str) -> Any:
        if path not in self._files:
            raise Failed(f"{path} is not a property file of an earlier step")
        step, output, file = self._files[path]
        place = self._get(f"Steps.{step}.ProcessingOutputConfig.Outputs['{output}']")["S3Output"]
        found = json.loads(self._store.read(f"{place['S3Uri'].rstrip('/')}/{file}"))
        for part in inside.split("."):
            if not isinstance(found, dict) or part not in found:
                raise Failed(f"{file} of step {step} has no {inside}")
            found = found[part]
        return found
