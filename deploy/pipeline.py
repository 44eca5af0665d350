"""
The retraining as a pipeline: put into the account, started, waited for.
"""

import json
from typing import Any

from deploy import definition, definition_check, waiting
from deploy.challengers import Challenge
from deploy.errors import Failed, Kept, UsageError
from deploy.session import Session, client, create, describe, ensure, role, say, send


def run(session: Session, challenge: Challenge, report: str) -> str:
    """
    Put the pipeline, run it, and return the ARN of the model that it has registered; empty in a dry
    run, and where nobody waits.

    Raises Kept when the challenger is not better.
    """
    name = f"{session.settings.application}-retrain"
    put(session, name, definition.make(session, challenge, report))
    request = {
        "PipelineName": name,
        "PipelineParameters": [{"Name": "Approval", "Value": "Approved"}],
    }
    started = send(session, "sagemaker", "start_pipeline_execution", request)
    if session.dry_run:
        return ""
    arn = started["PipelineExecutionArn"]
    say(f"started {arn}")
    return _ended(session, name, arn) if session.wait else ""


def put(session: Session, name: str, wanted: dict[str, Any]) -> None:
    """
    Create or update the pipeline, and the group in which it registers.

    Raises UsageError for a definition that would fail.
    """
    if faults := definition_check.faults(wanted):
        raise UsageError("the pipeline would fail:\n" + "\n".join(faults))
    group = session.settings.application
    ensure(session, "model_package_group", group, {})
    text = json.dumps(wanted)
    request = {"PipelineDefinition": text, "RoleArn": role(session)}
    existing = describe(session, "pipeline", name)
    if not existing:
        create(session, "pipeline", name, request)
    elif {key: existing.get(key) for key in request} == request:
        say(f"reuse pipeline {name}")
    else:
        say(f"update pipeline {name}")
        send(session, "sagemaker", "update_pipeline", {"PipelineName": name, **request})


def _ended(session: Session, name: str, arn: str) -> str:
    sagemaker = client(session, "sagemaker")
    found: dict[str, Any] = {}

    def steps() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = sagemaker.list_pipeline_execution_steps(
            PipelineExecutionArn=arn, SortOrder="Ascending"
        )["PipelineExecutionSteps"]
        return listed

    def look() -> tuple[str, bool]:
        found.update(sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn))
        status = found["PipelineExecutionStatus"]
        running = [each["StepName"] for each in steps() if each["StepStatus"] == "Executing"]
        return " ".join([status, *running]), status not in ("Executing", "Stopping")

    waiting.until(
        session, name, look, f"aws sagemaker stop-pipeline-execution --pipeline-execution-arn {arn}"
    )
    ended = {each["StepName"]: each for each in steps()}
    if kept := ended.get(definition.KEEP):
        raise Kept(kept.get("FailureReason", "the challenger is not better"))
    if found["PipelineExecutionStatus"] != "Succeeded":
        failed = [
            f"{each['StepName']}: {each.get('FailureReason', '')}"
            for each in ended.values()
            if each["StepStatus"] == "Failed"
        ]
        raise Failed(
            f"{name} is {found['PipelineExecutionStatus']}: {'; '.join(failed)}\nmore: aws "
            f"sagemaker list-pipeline-execution-steps --pipeline-execution-arn {arn}"
        )
    registered: str = ended[definition.REGISTER]["Metadata"]["RegisterModel"]["Arn"]
    return registered
