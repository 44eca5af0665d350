"""The templates: clean, and each with what it promises."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from infra.policies import template
from moto import mock_aws

import aws
from project import TOP

TEMPLATES = sorted((TOP / "infra").glob("*.yaml"))
# What moto makes as CloudFormation does; of all else it says CREATE_COMPLETE and has nothing.
IN_MOTO = {
    "AWS::EC2::SecurityGroup",
    "AWS::ECR::Repository",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
}
GIVEN = {
    "Application": "toys",
    "Bucket": "toys-files",
    "InVpc": "yes",
    "GitHubSubjects": "repo:owner/toys:environment:production",
    "GitHubProvider": f"arn:aws:iam::{aws.ACCOUNT}:oidc-provider/github",
    "Endpoint": "toys",
    "RouteTables": "rtb-1",
    "S3PrefixList": "pl-1",
}
ACCOUNT_ROOT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}


def resources(name: str, kind: str = "") -> dict[str, dict[str, Any]]:
    """Properties of a template's resources of a kind, by their logical names."""
    return {
        logical: each["Properties"]
        for logical, each in template(name)["Resources"].items()
        if kind in ("", each["Type"])
    }


def test_cfn_lint_finds_nothing():
    """Neither errors nor warnings nor what it only informs of."""
    command = [Path(sys.executable).with_name("cfn-lint"), "-c", "I", "-t", *TEMPLATES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account in moto; what it only warns of fails the test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.Session(region_name=aws.REGION)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_reference_resolves(account, caplog, path):
    """A stack of what moto really has is made, with its outputs."""
    whole = template(path.stem)
    made = {name: r for name, r in whole["Resources"].items() if r["Type"] in IN_MOTO}
    lost = {f'"{name}"' for name in whole["Resources"].keys() - made.keys()}
    outputs = {
        name: each
        for name, each in whole["Outputs"].items()
        if not any(word in json.dumps(each) for word in lost)
    }
    # A role with the provider that moto lacks has the one that is given.
    text = json.dumps(whole | {"Resources": made, "Outputs": outputs})
    text = text.replace('{"Ref": "GitHub"}', '{"Ref": "GitHubProvider"}')
    vpc = account.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    given = {**GIVEN, "Vpc": vpc, "Subnets": "subnet-1"}
    with caplog.at_level(logging.WARNING, "moto"):
        account.client("cloudformation").create_stack(
            StackName="toys",
            TemplateBody=text,
            Parameters=[
                {"ParameterKey": name, "ParameterValue": given[name]}
                for name in whole["Parameters"]
                if name in given
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
    (stack,) = account.client("cloudformation").describe_stacks()["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {each["OutputKey"] for each in stack.get("Outputs", [])} == outputs.keys()
    assert not [record for record in caplog.records if record.name.startswith("moto")]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_can_be_sent(path):
    """CloudFormation takes 51,200 bytes without a detour over S3."""
    assert path.stat().st_size < 51_200


@pytest.mark.parametrize("name", ["storage", "audit"])
def test_buckets_are_closed(name):
    """Encrypted by a key of the account, TLS only, not public, versioned, kept for good."""
    ((logical, bucket),) = resources(name, "AWS::S3::Bucket").items()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]["Fn::GetAtt"][1] == "Arn"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert template(name)["Resources"][logical]["DeletionPolicy"] == "Retain"
    (policy,) = resources(name, "AWS::S3::BucketPolicy").values()
    tls = next(
        each
        for each in policy["PolicyDocument"]["Statement"]
        if each["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
    )
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")
    assert tls["Resource"] == [
        {"Fn::GetAtt": [logical, "Arn"]},
        {"Fn::Sub": f"${{{logical}.Arn}}/*"},
    ]


def test_captured_data_end():
    """Captures of endpoints and of batches, and queued requests, are deleted after CaptureDays."""
    (bucket,) = resources("storage", "AWS::S3::Bucket").values()
    ending = {
        rule["Prefix"]["Fn::Sub"]
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if rule.get("ExpirationInDays") == {"Ref": "CaptureDays"}
    }
    assert ending == {"${Application}/captured", "${Application}/async/"}


def test_keys_rotate():
    """Each key of each template rotates, stays when the stack goes, and the account governs it."""
    found = [
        (each, key)
        for name in ("storage", "audit")
        for each in template(name)["Resources"].values()
        if each["Type"] == "AWS::KMS::Key"
        for key in [each["Properties"]]
    ]
    assert len(found) == 3
    for each, key in found:
        assert key["EnableKeyRotation"]
        assert each["DeletionPolicy"] == "Retain"
        assert key["KeyPolicy"]["Statement"][0]["Principal"] == ACCOUNT_ROOT
        services = [s["Principal"].get("Service") for s in key["KeyPolicy"]["Statement"][1:]]
        assert set(services) <= {"cloudwatch.amazonaws.com", "cloudtrail.amazonaws.com"}
        assert all("Condition" in s for s in key["KeyPolicy"]["Statement"][1:])


def test_the_repository_is_as_the_script_makes_it():
    """Tags never move, images are scanned, and what is untagged ends, by the same rule."""
    (images,) = resources("storage", "AWS::ECR::Repository").values()
    assert images["ImageTagMutability"] == "IMMUTABLE"
    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}
    rules = json.loads(images["LifecyclePolicy"]["LifecyclePolicyText"])
    script = (TOP / "build_and_push.sh").read_text(encoding="utf-8")
    written = script.partition("--lifecycle-policy-text '")[2].partition("'")[0]
    assert rules == json.loads(written)
    assert images["EncryptionConfiguration"]["KmsKey"] == {"Fn::GetAtt": ["FilesKey", "Arn"]}


def test_who_may_take_on_a_role():
    """SageMaker for this account, people by IAM, and GitHub's jobs of the subjects named."""
    trusted = {
        name: role["AssumeRolePolicyDocument"]["Statement"]
        for name, role in resources("policies", "AWS::IAM::Role").items()
    }
    ((execution,), (caller,), (release,)) = (
        trusted[each] for each in ("ExecutionRole", "CallerRole", "ReleaseRole")
    )
    assert execution["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert execution["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }
    assert caller["Principal"]["AWS"]["Fn::If"][1:] == [{"Ref": "Callers"}, ACCOUNT_ROOT["AWS"]]
    assert release["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert release["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Ref": "GitHubSubjects"},
        }
    }
    assert template("policies")["Resources"]["ReleaseRole"]["Condition"] == "ReleasesFromGitHub"


def test_private_operation_has_every_service():
    """An interface for each service that is asked, for credentials of this account only."""
    endpoints = resources("network", "AWS::EC2::VPCEndpoint")
    interfaces = {
        each["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}."): each
        for each in endpoints.values()
        if each["VpcEndpointType"] == "Interface"
    }
    assert set(interfaces) == {
        "application-autoscaling",
        "ecr.api",
        "ecr.dkr",
        "kms",
        "logs",
        "monitoring",
        "sagemaker.api",
        "sagemaker.runtime",
        "sts",
    }
    own = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
    for each in interfaces.values():
        assert each["PrivateDnsEnabled"]
        (statement,) = each["PolicyDocument"]["Statement"]
        assert statement["Condition"] == own
    files, layers = endpoints["S3"]["PolicyDocument"]["Statement"]
    assert files["Condition"] == own
    assert all("${Bucket}" in each["Fn::Sub"] for each in files["Resource"])
    assert "starport-layer-bucket" in layers["Resource"]["Fn::Sub"]
    assert layers["Action"] == "s3:GetObject"


def test_containers_reach_aws_and_each_other_only():
    """No rule of their security group leads to an address; hosts may encrypt by IKE and ESP."""
    network = resources("network")
    assert "CidrIp" not in json.dumps(network["Containers"])
    ways = [
        (kind, rule["IpProtocol"], rule.get("FromPort"))
        for kind in ("Ingress", "Egress")
        for rule in resources("network", f"AWS::EC2::SecurityGroup{kind}").values()
        if "Services.GroupId" not in json.dumps(rule)
        and rule["GroupId"] == {"Fn::GetAtt": ["Containers", "GroupId"]}
        and {"Fn::GetAtt": ["Containers", "GroupId"]}
        in (rule.get("SourceSecurityGroupId"), rule.get("DestinationSecurityGroupId"))
    ]
    both = [("tcp", 0), ("udp", 500), ("50", None)]
    assert sorted(map(str, ways)) == sorted(
        str((kind, *each)) for kind in ("Ingress", "Egress") for each in both
    )


def test_alarms_do_not_ring_without_traffic():
    """Missing data are no alarm, each alarm is told, and latency is compared in milliseconds."""
    alarms = resources("watching", "AWS::CloudWatch::Alarm")
    assert len(alarms) == 6
    for each in alarms.values():
        assert each["TreatMissingData"] == "notBreaching"
        assert each["AlarmActions"] == each["OKActions"] == [{"Ref": "Alarms"}]
        assert each["AlarmName"]["Fn::Sub"].startswith("${Endpoint}-watching-")
    first, second = alarms["Slow"]["Metrics"]
    assert first["Expression"] == "latency / 1000"
    assert second["MetricStat"]["Metric"]["MetricName"] == "ModelLatency"
    (topic,) = resources("watching", "AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == {"Fn::Sub": "alias/${Application}-files"}


def test_the_dashboard_is_json():
    """Its body is read by CloudWatch; each picture names metrics."""
    (dashboard,) = resources("watching", "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    assert [bool(each["properties"]["metrics"]) for each in widgets] == [True] * 4


def test_the_trail_watches_calls_and_objects():
    """All regions, validated files, all calls but data, and the objects of the bucket."""
    (trail,) = resources("audit", "AWS::CloudTrail::Trail").values()
    assert trail["IsLogging"]
    assert trail["IsMultiRegionTrail"]
    assert trail["EnableLogFileValidation"]
    calls, objects = trail["AdvancedEventSelectors"]
    assert calls["FieldSelectors"] == [{"Field": "eventCategory", "Equals": ["Management"]}]
    assert {"Field": "resources.type", "Equals": ["AWS::S3::Object"]} in objects["FieldSelectors"]
