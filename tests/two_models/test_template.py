"""The template of the API: what it grants and limits, and that AWS's own command deploys it."""

import io
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from awscli.customizations.cloudformation.yamlhelper import yaml_parse
from policy_sentry.querying.actions import get_action_data

import aws
from project import TOP

TEMPLATE = TOP / "infra/two_models/template.yaml"
PAGE = (TOP / "docs/two-models.md").read_text(encoding="utf-8")
RESOURCES: dict[str, dict[str, Any]] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]


def test_cfn_lint_finds_nothing():
    """Informational rules included; the one exception is explained beside it."""
    command = [Path(sys.executable).parent / "cfn-lint", "--include-checks", "I", "--", TEMPLATE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_function_may_ask_two_endpoints_and_write_its_log():
    """Nothing else, no managed policy, and no wildcard in place of a resource."""
    role = RESOURCES["Role"]["Properties"]
    assert set(role) == {"AssumeRolePolicyDocument", "Policies"}
    (policy,) = role["Policies"]
    ask, write = policy["PolicyDocument"]["Statement"]
    assert ask["Action"] == "sagemaker:InvokeEndpoint"
    endpoints = [each["Fn::Sub"].rpartition(":")[2] for each in ask["Resource"]]
    assert endpoints == ["endpoint/${FirstEndpoint}", "endpoint/${SecondEndpoint}"]
    assert write["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert write["Resource"] == {"Fn::GetAtt": ["Log", "Arn"]}
    for action in (ask["Action"], *write["Action"]):
        assert get_action_data(*action.split(":")), action


def test_nobody_asks_without_a_key_or_a_signature():
    """The one method wants the one or the other, and each stage has the limits."""
    methods = [each for each in RESOURCES.values() if each["Type"] == "AWS::ApiGateway::Method"]
    (method,) = (each["Properties"] for each in methods)
    assert method["AuthorizationType"] == {"Fn::If": ["WithKey", "NONE", "AWS_IAM"]}
    assert method["ApiKeyRequired"] == {"Fn::If": ["WithKey", True, False]}
    (limits,) = RESOURCES["Stage"]["Properties"]["MethodSettings"]
    assert (limits["ResourcePath"], limits["HttpMethod"]) == ("/*", "*")
    assert limits["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
    assert limits["ThrottlingBurstLimit"] == {"Ref": "Burst"}
    permission = RESOURCES["Permission"]["Properties"]
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${Api}/live/POST/predictions")


def test_the_other_authorization_is_another_deployment():
    """API Gateway serves a copy of its methods: a deployment that stays would keep the old one."""
    chosen = RESOURCES["Stage"]["Properties"]["DeploymentId"]["Fn::If"]
    assert chosen == ["WithKey", {"Ref": "DeploymentWithKey"}, {"Ref": "DeploymentWithIam"}]
    for name in ("DeploymentWithKey", "DeploymentWithIam"):
        assert RESOURCES[name]["Condition"] == name.removeprefix("Deployment")
        assert RESOURCES[name]["DependsOn"] == "Ask"


# The one type that moto only pretends to make; what it says is held to the template above.
@pytest.mark.filterwarnings("ignore:Tried to parse AWS..ApiGateway..Stage but")
def test_the_pages_commands_deploy_it(tmp_path):
    """
    Packaged and deployed as the page says. Result: the function is there with the handler's file,
    the endpoints' names and the budget.
    """
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    copied = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TEMPLATE.parent, tmp_path / "infra/two_models", ignore=copied)
    with aws.api() as api:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"aws s3 mb s3://my-bucket\n{script}"],
            cwd=tmp_path,
            env=aws.environment(
                tmp_path / "home", AWS_DEFAULT_REGION=aws.REGION, **aws.credentials(api)
            ),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        given = {"region_name": aws.REGION, "endpoint_url": api.url}
        given |= {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        functions = boto3.client("lambda", **given).list_functions()["Functions"]
        (function,) = functions
        variables = function["Environment"]["Variables"]  # moto keeps numbers as they come
        assert {name: str(value) for name, value in variables.items()} == {
            "FIRST_ENDPOINT": "fares",
            "SECOND_ENDPOINT": "durations",
            "BUDGET_MS": "800",
        }
        s3 = boto3.client("s3", **given)
        (stored,) = s3.list_objects_v2(Bucket="my-bucket")["Contents"]
        archive = s3.get_object(Bucket="my-bucket", Key=stored["Key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        file, _, name = function["Handler"].partition(".")
        assert f"def {name}(" in packed.read(f"{file}.py").decode()
