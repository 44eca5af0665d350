"""
What is wrong with a pipeline's definition, found without AWS: each step is held to botocore's model
of its call, each reference to what the steps before it become.
"""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

CALLS = {
    "Training": ("CreateTrainingJob", "DescribeTrainingJob", "TrainingJobName"),
    "Processing": ("CreateProcessingJob", "DescribeProcessingJob", "ProcessingJobName"),
    "RegisterModel": ("CreateModelPackage", "DescribeModelPackage", ""),
}
FUNCTIONS = ("Get", "Std:Join", "Std:JsonGet")
PART = re.compile(r"(\w+)(?:\['([^']+)'\])?")
EXECUTION = ("PipelineExecutionId", "PipelineName", "StartDateTime")

Definition = dict[str, Any]


def faults(definition: Definition) -> list[str]:
    """
    Return all that is wrong, each with the step in which it is.
    """
    return list(_Walk(definition).steps(definition["Steps"]))


class _Walk:
    """
    Goes through the steps in their order.
    """

    def __init__(self, definition: Definition) -> None:
        self._model = botocore.session.get_session().get_service_model("sagemaker")
        self._parameters = {each["Name"] for each in definition.get("Parameters", [])}
        self._before: dict[str, Definition] = {}

    def steps(self, steps: list[Definition]) -> Iterator[str]:
        for step in steps:
            where = f"step {step['Name']}"
            if step["Name"] in self._before:
                yield f"{where}: there are two of this name"
            arguments = step["Arguments"]
            branches = {n: arguments[n] for n in ("IfSteps", "ElseSteps") if n in arguments}
            own = {n: v for n, v in arguments.items() if n not in branches}
            for reference in _references(own):
                if fault := self._wrong(reference):
                    yield f"{where}: {reference} {fault}"
            yield from (f"{where}: {fault}" for fault in self._call(step, own))
            self._before[step["Name"]] = step
            for branch in branches.values():
                yield from self.steps(branch)

    def _call(self, step: Definition, arguments: Definition) -> Iterator[str]:
        if step["Type"] not in CALLS:
            if step["Type"] not in ("Condition", "Fail"):
                yield f"there is no type {step['Type']} here"
            return
        call, _, name = CALLS[step["Type"]]
        shape = self._model.operation_model(call).input_shape
        given = _plain(arguments) | ({name: "name"} if name else {})
        report = ParamValidator().validate(given, shape)
        if report.has_errors():
            yield report.generate_report().replace("\n", "; ")
        outputs = [
            each["OutputName"]
            for each in given.get("ProcessingOutputConfig", {}).get("Outputs", [])
        ]
        for each in step.get("PropertyFiles", []):
            if each["OutputName"] not in outputs:
                yield f"{each['PropertyFileName']} lies in {each['OutputName']}, not an output"

    def _wrong(self, reference: str) -> str:
        """
        Return what is wrong with a reference, empty when it will be there.
        """
        first, _, rest = reference.partition(".")
        if first == "Parameters":
            return "" if rest in self._parameters else "is not a parameter"
        if first == "Execution":
            return "" if rest in EXECUTION else "is not known of an execution"
        name, _, path = rest.partition(".")
        if first != "Steps" or name not in self._before:
            return "is neither a parameter nor of an earlier step"
        step = self._before[name]
        if path.startswith("PropertyFiles."):
            files = {each["PropertyFileName"] for each in step.get("PropertyFiles", [])}
            return "" if path.partition(".")[2] in files else "is not a property file of that step"
        if step["Type"] not in CALLS:
            return f"is of a step of type {step['Type']}, which becomes nothing"
        shape: Any = self._model.operation_model(CALLS[step["Type"]][1]).output_shape
        given: Any = _plain(step["Arguments"])
        for part in path.split("."):
            match = PART.fullmatch(part)
            if not match or match[1] not in getattr(shape, "members", {}):
                return f"has no {part}"
            shape = shape.members[match[1]]
            given = given.get(match[1], {}) if isinstance(given, dict) else {}
            if match[2]:
                shape = shape.member
                named = {value: each for each in given for value in each.values() if str(value)
                         == match[2]}  # fmt: skip
                if match[2] not in named:
                    return f"has no {part}"
                given = named[match[2]]
        return ""


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            yield value["Get"]
        else:
            for each in value.values():
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _plain(value: Any) -> Any:
    """
    Return arguments with a text in the place of each reference.
    """
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in FUNCTIONS:
            return "reference"
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
