"""
Pipelines: steps one after the other, each a job, a condition, a registered model or an end.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, Failed, invalid
from local_cloud.kinds import KINDS
from local_cloud.records import Record
from local_cloud.references import References

JOBS = {"Training": "TrainingJob", "Processing": "ProcessingJob"}
STEPS = (*JOBS, "RegisterModel", "Condition", "Fail")
LOOK_S = 0.1


def check(definition: str) -> Record:
    """
    Return a definition; raises AwsError for one that is not JSON or has steps unknown here.
    """
    try:
        content: Record = json.loads(definition)
        steps = list(_flat(content["Steps"]))
        names = [each["Name"] for each in steps]
        for step in steps:
            if step["Type"] not in STEPS:
                raise AwsError(
                    "UnknownOperationException",
                    f"the local cloud does not run steps of type {step['Type']}; it has "
                    + ", ".join(STEPS),
                )
            if step["Type"] == "Condition":
                for each in step["Arguments"]["Conditions"]:
                    if each["Type"] != "Equals":
                        text = f"the local cloud does not know the condition {each['Type']}"
                        raise AwsError("UnknownOperationException", text)
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(f"Unable to parse pipeline definition: {error!r}") from None
    if len(set(names)) < len(names):
        raise invalid(f"Step names must be unique: {', '.join(names)}")
    return content


def _flat(steps: list[Record]) -> Iterator[Record]:
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from _flat(step["Arguments"].get(branch, []))


class Pipelines:
    """
    The calls about pipelines; ``call`` is how steps ask SageMaker.
    """

    def __init__(self, cloud: Cloud, call: Callable[[str, Record], Record]) -> None:
        self._cloud = cloud
        self._call = call
        self._executions: dict[str, Record] = {}
        self._steps: dict[str, list[Record]] = {}
        self.handlers = {
            "UpdatePipeline": self._update,
            "DeletePipeline": self._delete,
            "StartPipelineExecution": self._start,
            "DescribePipelineExecution": self._describe,
            "ListPipelineExecutionSteps": self._list_steps,
        }

    def _update(self, asked: Record) -> Record:
        record = self._cloud.records.get("Pipeline", asked["PipelineName"])
        if "PipelineDefinition" in asked:
            check(asked["PipelineDefinition"])
        self._cloud.records.change(record, **asked)
        return record

    def _delete(self, asked: Record) -> Record:
        record = dict(self._cloud.records.get("Pipeline", asked["PipelineName"]))
        self._cloud.records.delete("Pipeline", asked["PipelineName"])
        return record

    def _start(self, asked: Record) -> Record:
        pipeline = self._cloud.records.get("Pipeline", asked["PipelineName"])
        definition = check(pipeline["PipelineDefinition"])
        parameters = {
            each["Name"]: each["DefaultValue"]
            for each in definition.get("Parameters", [])
            if "DefaultValue" in each
        }
        known = {each["Name"] for each in definition.get("Parameters", [])}
        for each in asked.get("PipelineParameters", []):
            if each["Name"] not in known:
                raise invalid(f"Unknown parameter: {each['Name']}")
            parameters[each["Name"]] = each["Value"]
        if missing := known - set(parameters):
            raise invalid(f"No value is given for the parameter {', '.join(sorted(missing))}")
        identity = uuid.uuid4().hex[:12]
        now = self._cloud.clock.now()
        arn = f"{pipeline['PipelineArn']}/execution/{identity}"
        execution = self._executions[arn] = {
            "PipelineArn": pipeline["PipelineArn"],
            "PipelineExecutionArn": arn,
            "PipelineExecutionStatus": "Executing",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        self._steps[arn] = []
        references = References(self._cloud.store, identity, parameters)
        self._cloud.clock.background(self._run, execution, definition["Steps"], references)
        return execution

    def _describe(self, asked: Record) -> Record:
        return dict(self._execution(asked))

    def _list_steps(self, asked: Record) -> Record:
        arn = self._execution(asked)["PipelineExecutionArn"]
        steps = [dict(each) for each in self._steps[arn]]
        is_rising = asked.get("SortOrder") == "Ascending"
        return {"PipelineExecutionSteps": steps if is_rising else steps[::-1]}

    def _execution(self, asked: Record) -> Record:
        arn = asked["PipelineExecutionArn"]
        if arn not in self._executions:
            raise AwsError("ResourceNotFound", f"PipelineExecution {arn} does not exist.")
        return self._executions[arn]

    def _run(self, execution: Record, steps: list[Record], references: References) -> None:
        ended: Record = {"PipelineExecutionStatus": "Succeeded"}
        try:
            self._walk(execution["PipelineExecutionArn"], steps, references)
        except Failed as error:
            ended = {"PipelineExecutionStatus": "Failed", "FailureReason": str(error)}
        execution |= ended | {"LastModifiedTime": self._cloud.clock.now()}

    def _walk(self, arn: str, steps: list[Record], references: References) -> None:
        for step in steps:
            noted: Record = {
                "StepName": step["Name"],
                "StartTime": self._cloud.clock.now(),
                "StepStatus": "Executing",
                "AttemptCount": 1,
            }
            self._steps[arn].append(noted)
            branch: list[Record] = []
            try:
                noted["Metadata"], branch = self._do(arn, step, references)
                noted["StepStatus"] = "Succeeded"
            except (Failed, AwsError) as error:
                noted |= {"StepStatus": "Failed", "FailureReason": str(error)}
                raise Failed("Step failure: One or multiple steps failed.") from None
            finally:
                noted["EndTime"] = self._cloud.clock.now()
            self._walk(arn, branch, references)

    def _do(
        self, arn: str, step: Record, references: References
    ) -> tuple[dict[str, Any], list[Record]]:
        """
        Carry out a step; return what is noted of it and the steps that follow from it.
        """
        if step["Type"] == "Condition":
            return self._choose(step["Arguments"], references)
        arguments = references.resolve(step["Arguments"])
        if step["Type"] == "Fail":
            raise Failed(arguments.get("ErrorMessage", ""))
        if step["Type"] == "RegisterModel":
            registered = self._call("CreateModelPackage", arguments)
            references.note(step, registered)
            return {"RegisterModel": {"Arn": registered["ModelPackageArn"]}}, []
        noun = JOBS[step["Type"]]
        kind = KINDS[noun]
        name = f"pipelines-{arn.rpartition('/')[2]}-{step['Name']}"[:52] + f"-{uuid.uuid4().hex}"
        named = {kind.name: name[:63]}
        created = self._call(f"Create{noun}", {**arguments, **named})
        found = self._call(f"Describe{noun}", named)
        while found[kind.status] in ("InProgress", "Stopping"):
            self._cloud.clock.pause(LOOK_S)
            found = self._call(f"Describe{noun}", named)
        if found[kind.status] != "Completed":
            raise Failed(f"{found[kind.status]}: {found.get('FailureReason', '')}")
        references.note(step, found)
        return {noun: {"Arn": created[kind.arn]}}, []

    def _choose(
        self, arguments: Record, references: References
    ) -> tuple[dict[str, Any], list[Record]]:
        holds = all(
            references.resolve(each["LeftValue"]) == references.resolve(each["RightValue"])
            for each in arguments["Conditions"]
        )
        branch: list[Record] = arguments.get("IfSteps" if holds else "ElseSteps", [])
        return {"Condition": {"Outcome": str(holds)}}, branch
