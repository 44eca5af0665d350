"""
The template that runs the retraining pipeline on a schedule and tells of it.
"""

from typing import Any

import boto3
from deploy import definition
from deploy.challengers import Challenge
from deploy.session import Session
from deploy.settings import Settings
from infra.policies import filled, template

import aws

FILLED = {
    "Application": "toys",
    "AWS::Partition": "aws",
    "AWS::Region": aws.REGION,
    "AWS::AccountId": aws.ACCOUNT,
}
PIPELINE = f"arn:aws:sagemaker:{aws.REGION}:{aws.ACCOUNT}:pipeline/toys-retrain"


def properties(name: str) -> dict[str, Any]:
    """Return a resource's properties."""
    found: dict[str, Any] = template("retraining")["Resources"][name]["Properties"]
    return found


def matches(rule: str, event: dict[str, Any]) -> bool:
    """Tell whether a rule tells of an event: each listed field has one of the values."""

    def fits(pattern: Any, value: Any) -> bool:
        if isinstance(pattern, dict):
            return all(fits(each, value.get(name, {})) for name, each in pattern.items())
        return value in [filled(each, FILLED) for each in pattern]

    return fits(properties(rule)["EventPattern"], event)


def test_the_schedule_starts_the_pipeline_with_parameters_that_it_has():
    """A model that it registers waits for approval."""
    target = properties("Start")["Target"]
    assert filled(target["Arn"], FILLED) == PIPELINE
    given = target["SageMakerPipelineParameters"]["PipelineParameterList"]
    assert given == [{"Name": "Approval", "Value": "PendingManualApproval"}]
    challenge = Challenge("image", "s3://b/m", {"training": "s3://b/d"}, "s3://b/n", {})
    settings = Settings(application="toys", bucket="b", role="arn:aws:iam::123456789012:role/w")
    made = definition.make(Session(settings, boto3.Session(region_name=aws.REGION)), challenge)
    assert {each["Name"] for each in given} <= {each["Name"] for each in made["Parameters"]}


def test_the_role_may_start_this_pipeline_only():
    """Nothing else, and only the scheduler takes it on."""
    role = properties("Starter")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sagemaker:StartPipelineExecution"
    assert filled(statement["Resource"], FILLED) == PIPELINE


def test_news_are_the_pipelines_ends_and_the_states_of_its_models():
    """As EventBridge sends them; not beginnings, other pipelines and other groups."""

    def execution(status: str, arn: str = PIPELINE) -> dict[str, Any]:
        return {
            "source": "aws.sagemaker",
            "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
            "detail": {"pipelineArn": arn, "currentPipelineExecutionStatus": status},
        }

    def model(group: str) -> dict[str, Any]:
        return {
            "source": "aws.sagemaker",
            "detail-type": "SageMaker Model Package State Change",
            "detail": {"ModelPackageGroupName": group, "ModelApprovalStatus": "Approved"},
        }

    assert matches("ExecutionEnded", execution("Failed"))
    assert matches("ExecutionEnded", execution("Succeeded"))
    assert not matches("ExecutionEnded", execution("Executing"))
    assert not matches("ExecutionEnded", execution("Failed", f"{PIPELINE}-2"))
    assert not matches("ExecutionEnded", model("toys"))
    assert matches("ModelChanged", model("toys"))
    assert not matches("ModelChanged", model("others"))


def test_only_the_two_rules_write_to_the_topic():
    """The topic's policy names them."""
    (statement,) = properties("NewsPolicy")["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert [each["Fn::GetAtt"][0] for each in sources] == ["ExecutionEnded", "ModelChanged"]
    for rule in ("ExecutionEnded", "ModelChanged"):
        assert [each["Arn"] for each in properties(rule)["Targets"]] == [{"Ref": "News"}]
