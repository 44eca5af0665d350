"""
Pipelines of the local cloud: what is refused, what references become, how executions end.

tests/deploy/test_retraining_loop.py runs one whose steps are containers.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clouds import BUCKET, ROLE, Rehearsal

COPY = {"Std:Join": {"On": "/", "Values": [f"s3://{BUCKET}", {"Get": "Parameters.Key"}]}}


def step(name: str, kind: str, **arguments: Any) -> dict[str, Any]:
    """Return a step."""
    return {"Name": name, "Type": kind, "Arguments": arguments}


def choice(value: Any, **branches: Any) -> dict[str, Any]:
    """Return a step that asks whether a value is "yes"."""
    condition = {"Type": "Equals", "LeftValue": value, "RightValue": "yes"}
    return step("Choose", "Condition", Conditions=[condition], **branches)


def create(cloud: Rehearsal, name: str, steps: list[dict[str, Any]], *parameters: str) -> str:
    """Create a pipeline and return its ARN."""
    listed = [{"Name": each, "Type": "String"} for each in parameters]
    content = {"Version": "2020-12-01", "Parameters": listed, "Steps": steps}
    created = cloud.client().create_pipeline(
        PipelineName=name,
        PipelineDefinition=json.dumps(content),
        ClientRequestToken="a" * 32,
        RoleArn=ROLE,
    )
    arn: str = created["PipelineArn"]
    return arn


def run(cloud: Rehearsal, name: str, **parameters: str) -> tuple[dict[str, Any], list[Any]]:
    """Return how an execution has ended, and its steps in their order."""
    client = cloud.client()
    arn = client.start_pipeline_execution(
        PipelineName=name,
        ClientRequestToken="b" * 32,
        PipelineParameters=[{"Name": key, "Value": value} for key, value in parameters.items()],
    )["PipelineExecutionArn"]
    ended = cloud.until(
        lambda: client.describe_pipeline_execution(PipelineExecutionArn=arn),
        lambda found: found["PipelineExecutionStatus"] != "Executing",
    )
    steps = client.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
    return ended, steps["PipelineExecutionSteps"]


def refusal(call: Any, *arguments: Any, **named: Any) -> str:
    """Return the code and message of what is refused."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def test_a_condition_leads_to_a_registered_model_or_to_a_failure(cloud):
    """The branch that holds is taken, with references resolved; the other one is not."""
    group = "registered-by-steps"
    cloud.client().create_model_package_group(ModelPackageGroupName=group)
    register = step(
        "Register",
        "RegisterModel",
        ModelPackageGroupName=group,
        ModelPackageDescription=COPY,
        CustomerMetadataProperties={"run": {"Get": "Execution.PipelineExecutionId"}},
    )
    keep = step("Keep", "Fail", ErrorMessage={"Std:Join": {"On": " ", "Values": ["no:", COPY]}})
    better = choice({"Get": "Parameters.Answer"}, IfSteps=[register], ElseSteps=[keep])
    create(cloud, "choosing", [better], "Answer", "Key")

    ended, steps = run(cloud, "choosing", Answer="yes", Key="some/key")
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    assert [each["StepName"] for each in steps] == ["Choose", "Register"]
    assert steps[0]["Metadata"]["Condition"]["Outcome"] == "True"
    arn = steps[1]["Metadata"]["RegisterModel"]["Arn"]
    found = cloud.client().describe_model_package(ModelPackageName=arn)
    assert found["ModelPackageDescription"] == f"s3://{BUCKET}/some/key"
    execution = ended["PipelineExecutionArn"].rpartition("/")[2]
    assert found["CustomerMetadataProperties"] == {"run": execution}

    cloud.client().delete_model_package(ModelPackageName=arn)
    cloud.client().delete_model_package_group(ModelPackageGroupName=group)

    ended, steps = run(cloud, "choosing", Answer="no", Key="k")
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert steps[-1]["StepName"] == "Keep"
    assert steps[-1]["FailureReason"] == f"no: s3://{BUCKET}/k"


@pytest.mark.parametrize(
    "path", ["Steps.Nobody.Status", "Parameters.Other", "Steps.Choose.PropertyFiles.File"]
)
def test_a_reference_to_nothing_ends_the_execution(cloud, path):
    """The step says which, and the steps behind it are not begun."""
    name = f"lost-{path.replace('.', '-')}"
    after = step("After", "Fail", ErrorMessage="never")
    create(cloud, name, [step("Lost", "Fail", ErrorMessage={"Get": path}), after])
    ended, steps = run(cloud, name)
    assert ended["PipelineExecutionStatus"] == "Failed"
    (only,) = steps
    assert f"{path} refers to nothing that is there" in only["FailureReason"]


def test_what_a_step_asks_is_held_to_the_model(cloud):
    """A value that SageMaker's call does not take is the step's failure."""
    create(cloud, "unheld", [step("Register", "RegisterModel", ModelPackageGroupName=5)])
    _, (only,) = run(cloud, "unheld")
    assert only["StepStatus"] == "Failed"
    assert (
        "ModelPackageGroupName" in only["FailureReason"]
        or "expected string" in only["FailureReason"]
    )


def test_what_is_not_run_here_is_refused_when_it_is_made(cloud):
    """Other kinds of steps and conditions, two of a name, and what is no definition."""
    assert "steps of type Lambda" in refusal(create, cloud, "a", [step("L", "Lambda")])
    odd = choice("yes", IfSteps=[])
    odd["Arguments"]["Conditions"][0]["Type"] = "In"
    assert "the condition In" in refusal(create, cloud, "a", [odd])
    end = step("End", "Fail", ErrorMessage="")
    assert "must be unique" in refusal(create, cloud, "a", [end, end])
    assert "Unable to parse" in refusal(create, cloud, "a", [{"Name": "x"}])


def test_pipelines_are_made_once_updated_and_deleted(cloud):
    """As other resources; parameters must be known and given."""
    end = step("End", "Fail", ErrorMessage="")
    client = cloud.client()
    arn = create(cloud, "kept", [end], "Key")
    assert "already exists" in refusal(create, cloud, "kept", [end])
    assert "No value is given for the parameter Key" in refusal(run, cloud, "kept")
    assert "Unknown parameter: Other" in refusal(run, cloud, "kept", Key="k", Other="o")
    changed = json.dumps({"Version": "2020-12-01", "Steps": []})
    client.update_pipeline(PipelineName="kept", PipelineDefinition=changed)
    found = client.describe_pipeline(PipelineName="kept")
    assert (found["PipelineArn"], found["PipelineDefinition"]) == (arn, changed)
    assert run(cloud, "kept")[0]["PipelineExecutionStatus"] == "Succeeded"
    client.delete_pipeline(PipelineName="kept", ClientRequestToken="c" * 32)
    assert "does not exist" in refusal(client.describe_pipeline, PipelineName="kept")
    lost = f"{arn}/execution/000000000000"
    assert "does not exist" in refusal(
        client.describe_pipeline_execution, PipelineExecutionArn=lost
    )
