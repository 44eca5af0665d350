"""The policies grant what the project's calls need, and nothing else."""

import json
import re

import pytest
from infra.policies import FILES, NOTEBOOKS, document, policies

import called
from granted import PEOPLE, SDKS, allowed, statements

PUSHING = ("build_and_push.sh", ".github/release/findings.sh")
# infra is for whoever may make roles and keys.
NOT_FOR_PEOPLE = ("infra",)
# What no table says: alarms are made with tags, and the first scalable target with a role for AWS.
ALSO = {"cloudwatch:TagResource", "iam:CreateServiceLinkedRole"}
# DescribeAlarms by a scaling policy's ARN is judged on alarm:*, which no narrower pattern matches.
NAMING_NONE = {"cloudwatch:DescribeAlarms"}
# The calls of tune_and_register.ipynb.
TUNING = {
    f"sagemaker:{action}"
    for action in (
        "CreateHyperParameterTuningJob",
        "CreateModelPackage",
        "CreateModelPackageGroup",
        "DeleteModelPackage",
        "DeleteModelPackageGroup",
        "DescribeHyperParameterTuningJob",
        "ListTrainingJobsForHyperParameterTuningJob",
        "UpdateModelPackage",
    )
}
# AWS's table counts the first for other services than SageMaker's, the second where there are tags.
NEVER = called.dependent("servicequotas:ListServiceQuotas") | {"ecr:TagResource"}
# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html says what the role of jobs
# and endpoints needs, deployment-guardrails about alarms, async-inference-create-endpoint about
# topics, build-and-manage-access about pipelines; KMS by the pages of the settings that name keys.
EXECUTION = {
    "ExecutionPolicy": {
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricData",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sns:Publish",
    },
    "KeysPolicy": {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    },
    "PipelinePolicy": {
        "iam:PassRole",
        "sagemaker:AddTags",
        "sagemaker:CreateModelPackage",
        "sagemaker:CreateProcessingJob",
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeModelPackage",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopProcessingJob",
        "sagemaker:StopTrainingJob",
    },
    "VpcPolicy": {
        "ec2:CreateNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
    },
}


@pytest.fixture(scope="module")
def calls() -> dict[str, set[str]]:
    """The actions of deploy.sh's calls, with the modules that make them."""
    return called.of_package("deploy", NOT_FOR_PEOPLE)


@pytest.fixture(scope="module")
def needed(calls: dict[str, set[str]]) -> set[str]:
    """The actions of all calls that people make, with those that they depend on."""
    own = set(calls).union(SDKS, ALSO, TUNING, *map(called.of_script, PUSHING))
    return own.union(*map(called.dependent, own)) - NEVER


def test_nothing_lacks(calls, needed):
    """Each call is granted on each kind of resource that AWS judges it on."""
    may = allowed(statements(PEOPLE, "toys", "toys-bucket"))
    for action in sorted(needed):
        on = [resource for name, resource in may if name == action]
        assert on, f"{action}: {calls.get(action)}; grant it in infra/policies.yaml"
        for kind, arn in called.resources(action):
            beginning = arn.split(":", 5)[5].split("$")[0]
            ends = [each.split(":", 5)[-1] for each in on]
            fitting = [each for each in ends if each == "*" or each.startswith(beginning)]
            assert fitting, f"{action} is not granted on any {kind}"


@pytest.mark.parametrize("policy", [each for each in PEOPLE if each not in EXECUTION])
def test_nothing_is_granted_that_no_call_needs(needed, policy):
    """Each action of a policy for people stands in the source, or a call depends on it."""
    granted = {action for action, _ in allowed(statements([policy], "toys", "toys-bucket"))}
    assert granted - needed == set()


def test_pushing_is_granted_what_the_script_calls():
    """Not less and not more."""
    needed = set().union(*map(called.of_script, PUSHING))
    granted = {action for action, _ in allowed(statements(["PushPolicy"], "toys", "toys-bucket"))}
    assert granted == needed


@pytest.mark.parametrize("policy", EXECUTION)
def test_the_execution_role_may_what_aws_says_that_it_needs(policy):
    """Its actions are those of AWS's pages."""
    granted = {action for action, _ in allowed(statements([policy], "toys", "toys-bucket"))}
    assert granted == EXECUTION[policy]


@pytest.mark.parametrize("policy", policies())
def test_resources_are_named(policy):
    """No action is a pattern; * stands where AWS knows no resource, or a call names none."""
    for each in statements([policy], "toys", "toys-bucket"):
        assert each["Effect"] == "Allow"
        for action in each["Action"]:
            assert called.privilege(action), action
            if each["Resource"] == ["*"]:
                assert called.resources(action) == [] or action in NAMING_NONE, action
        assert each["Resource"] == ["*"] or "*" not in each["Resource"]


@pytest.mark.parametrize("policy", policies())
def test_conditions_ask_for_what_the_calls_carry(policy):
    """A key that a call lacks would deny it, whatever its value."""
    for each in statements([policy], "toys", "toys-bucket"):
        wanted = {key for keys in each.get("Condition", {}).values() for key in keys}
        for action in each["Action"]:
            assert wanted <= called.condition_keys(action), action


@pytest.mark.parametrize("policy", policies())
def test_policies_fit(policy):
    """IAM takes 6144 characters without white space, also with the longest names."""
    longest = json.dumps(statements([policy], "a" * 30, "b" * 63))
    assert len(re.sub(r"\s", "", longest)) < 6144 - len('{"Version":"2012-10-17","Statement":}')


@pytest.mark.parametrize("file", FILES)
def test_the_notebooks_policies_are_the_templates(file):
    """After an edit of the template: .venv/bin/python -m infra.policies."""
    assert (NOTEBOOKS / f"{file}.json").read_text(encoding="utf-8") == document(FILES[file])
