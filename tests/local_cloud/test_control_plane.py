"""
Records and refusals: SageMaker's calls are held to its model, without a container.
"""

import ast
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from local_cloud.server import local_cloud
from local_cloud.service_model import compiled

from clouds import BUCKET, ROLE, Rehearsal, instances
from project import TOP, packages


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A separate cloud for tests of what is listed."""
    with local_cloud(tmp_path_factory.mktemp("records")) as started:
        rehearsal = Rehearsal(started)
        rehearsal.bucket()
        started.cloud.engine.image = lambda uri: uri if "image" in uri else None
        yield rehearsal


def model(records, name, **more):
    given = {"Image": "image", "ModelDataUrl": records.archive(f"{name}.tar.gz", name=name)}
    return records.client().create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=given, **more
    )


def refused(call, **arguments):
    """
    Return code and message of a refusal.
    """
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("with_underscore", "regular expression pattern"),
        ("ends-with-", "regular expression pattern"),
        ("n" * 64, "length less than or equal to 63"),
    ],
)
def test_names_are_held_to_the_model(records, name, complaint):
    """What botocore lets pass, the service refuses: characters and length of names."""
    code, message = refused(
        records.client().create_model,
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "image"},
    )
    assert code == "ValidationException"
    assert f"Value '{name}' at 'modelName' failed to satisfy constraint" in message
    assert complaint in message


VARIANT = "productionVariants.1.member"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"InstanceType": "ml.m5.huge"}, "instanceType"),
        ({"VolumeSizeInGB": 513}, "volumeSizeInGB"),
        ({"VolumeSizeInGB": 0}, "volumeSizeInGB"),
        ({"ModelName": None}, None),
        (
            {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 500}},
            "serverlessConfig.maxConcurrency",
        ),
    ],
)
def test_enums_and_ranges_are_held_to_the_model(records, change, place):
    """Values outside of the model's enums and ranges are refused, by the place where they stand."""
    code, message = refused(
        records.client().create_endpoint_config,
        EndpointConfigName="ranges",
        ProductionVariants=[instances(ModelName="any") | change],
    )
    assert code == "ValidationException"
    if place:
        assert f"at '{VARIANT}.{place}' failed to satisfy constraint" in message
    else:
        assert "ModelName is required" in message


def test_what_the_model_does_not_know_is_refused(records):
    """A member that is unknown, or of another type, is never swallowed."""
    target = {"X-Amz-Target": "SageMaker.DescribeModel"}
    for asked, told in (
        ({"ModelName": "x", "Colour": "red"}, "has no member Colour"),
        ({"ModelName": 5}, "expected string"),
        ({}, "Member must not be null"),
    ):
        request = urllib.request.Request(f"{records.url}/", json.dumps(asked).encode(), target)
        request.add_header(
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/sagemaker/aws4_request",
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        answer = json.load(caught.value)
        assert caught.value.code == 400
        assert told in answer["message"]


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("sagemaker", "list_domains", {}),
        ("sagemaker", "create_inference_component", {"InferenceComponentName": "x"}),
        ("service-quotas", "list_service_quotas", {"ServiceCode": "sagemaker"}),
        ("pricing", "describe_services", {}),
    ],
)
def test_an_unknown_call_is_refused_by_its_name(records, service, call, arguments):
    """Whatever is not imitated is an error of the client's protocol that names the call."""
    code, message = refused(getattr(records.client(service), call), **arguments)
    assert code == "UnknownOperationException"
    assert call.replace("_", "") in message.lower()


def test_a_record_is_what_was_asked(records):
    """Describe answers all that Create was asked, and nothing after Delete."""
    client = records.client()
    model(records, "kept", EnableNetworkIsolation=True)
    described = client.describe_model(ModelName="kept")
    assert described["EnableNetworkIsolation"] is True
    assert described["PrimaryContainer"]["Image"] == "image"
    assert described["ModelArn"].endswith(":model/kept")
    variants = [instances(ModelName="kept")]
    shadow = [instances(ModelName="kept", VariantName="shadow")]
    client.create_endpoint_config(
        EndpointConfigName="kept", ProductionVariants=variants, ShadowProductionVariants=shadow
    )
    described = client.describe_endpoint_config(EndpointConfigName="kept")
    assert described["ProductionVariants"] == variants
    assert described["ShadowProductionVariants"] == shadow
    client.delete_endpoint_config(EndpointConfigName="kept")
    client.delete_model(ModelName="kept")
    for call, name in (("model", "ModelName"), ("endpoint_config", "EndpointConfigName")):
        code, message = refused(getattr(client, f"describe_{call}"), **{name: "kept"})
        assert (code, message[:15]) == ("ValidationException", "Could not find ")


def test_names_are_unique(records):
    """A second Create of the same name is refused, and leaves the first as it was."""
    model(records, "unique")
    code, message = refused(
        records.client().create_model,
        ModelName="unique",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "image:other"},
    )
    assert code == "ValidationException"
    assert message.startswith("Cannot create already existing model")
    described = records.client().describe_model(ModelName="unique")
    assert described["PrimaryContainer"]["Image"] == "image"
    records.client().delete_model(ModelName="unique")


def test_models_need_their_image_and_archive(records):
    """CreateModel looks for the image in the engine and for the archive in S3."""
    for container, told in (
        ({"Image": "nowhere"}, "Requested image nowhere not found"),
        ({"Image": "image", "ModelDataUrl": f"s3://{BUCKET}/no"}, "Could not access model data"),
    ):
        code, message = refused(
            records.client().create_model,
            ModelName="needs",
            ExecutionRoleArn=ROLE,
            PrimaryContainer=container,
        )
        assert code == "ValidationException"
        assert message.startswith(told)


@pytest.mark.parametrize(
    ("change", "more", "told"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, {}, "1024, 2048"),
        (
            {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://b/c",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig",
        ),
        ({"ModelName": "missing"}, {}, "Could not find model"),
        ({"ManagedInstanceScaling": {"Status": "ENABLED"}}, {}, "inference components"),
        (
            {},
            {
                "ShadowProductionVariants": [
                    instances(ModelName="ruled", VariantName=n) for n in "ab"
                ]
            },
            "exactly one",
        ),
    ],
)
def test_rules_beyond_the_model(records, change, more, told):
    """What the service refuses although the model allows it is refused here too."""
    if "ruled" not in [each["ModelName"] for each in records.client().list_models()["Models"]]:
        model(records, "ruled")
    variant = {"VariantName": "AllTraffic", "ModelName": "ruled", **change}
    if "ServerlessConfig" not in change:
        variant = instances(**variant)
    code, message = refused(
        records.client().create_endpoint_config,
        EndpointConfigName="rules",
        ProductionVariants=[variant],
        **more,
    )
    assert code == "ValidationException"
    assert told in message


def test_lists_have_pages_filters_and_order(records):
    """List calls answer by pages of ten, and filter by name and time in either order."""
    client = records.client()
    names = [f"page-{number:02}" for number in range(12)]
    for name in names:
        model(records, name)
    first = client.list_models(NameContains="page", SortBy="Name", SortOrder="Ascending")
    assert [each["ModelName"] for each in first["Models"]] == names[:10]
    assert set(first["Models"][0]) == {"ModelName", "ModelArn", "CreationTime"}
    pages = client.get_paginator("list_models").paginate(NameContains="page")
    found = [each["ModelName"] for page in pages for each in page["Models"]]
    assert found == names[::-1]
    later = client.list_models(CreationTimeAfter=first["Models"][9]["CreationTime"])
    assert {each["ModelName"] for each in later["Models"]} >= set(names[10:])
    assert names[3] not in {each["ModelName"] for each in later["Models"]}


def test_tags_are_kept_apart(records):
    """Tags are added, listed, deleted, and found by tag:GetResources beside those of moto."""
    client = records.client()
    tagged = model(records, "tagged", Tags=[{"Key": "team", "Value": "a"}])["ModelArn"]
    client.add_tags(ResourceArn=tagged, Tags=[{"Key": "stage", "Value": "test"}])
    tags = client.list_tags(ResourceArn=tagged)["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": "test"}]
    assert "Tags" not in client.describe_model(ModelName="tagged")
    records.client("s3").put_bucket_tagging(
        Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "a"}]}
    )
    tagging = records.client("resourcegroupstaggingapi")

    def found(**more):
        filters = [{"Key": "team", "Values": ["a"]}]
        listed = tagging.get_resources(TagFilters=filters, **more)["ResourceTagMappingList"]
        return {each["ResourceARN"] for each in listed}

    assert found() == {tagged, f"arn:aws:s3:::{BUCKET}"}
    assert found(ResourceTypeFilters=["sagemaker:model"]) == {tagged}
    client.delete_tags(ResourceArn=tagged, TagKeys=["team"])
    assert found() == {f"arn:aws:s3:::{BUCKET}"}
    code, _ = refused(client.add_tags, ResourceArn=tagged, Tags=[{"Key": "a;b", "Value": ""}])
    assert code == "ValidationException"


def test_the_journal_has_what_permissions_are_judged_by(records):
    """Calls are noted with IAM's actions and resources, for tags and passed roles too."""
    arn = model(records, "noted", Tags=[{"Key": "a", "Value": "b"}])["ModelArn"]
    call = [each for each in records.admin("GET", "journal") if each["action"] == "CreateModel"][-1]
    assert call["status"] == 200
    assert call["permissions"] == [
        ["sagemaker:CreateModel", arn],
        ["sagemaker:AddTags", arn],
        ["iam:PassRole", ROLE],
    ]
    put = next(each for each in records.admin("GET", "journal") if each["action"] == "PutObject")
    assert put["permissions"][0][0] == "s3:PutObject"
    assert put["permissions"][0][1].startswith(f"arn:aws:s3:::{BUCKET}/")
    refused(records.client().describe_model, ModelName="none")
    assert records.admin("GET", "journal")[-1]["error"] == "ValidationException"


def test_alarms_without_names_are_judged_as_all(records):
    """By names each is a resource; by the action that they set off, all alarms are."""
    cloudwatch = records.client("cloudwatch")
    cloudwatch.describe_alarms(AlarmNames=["toys-a", "toys-b"])
    cloudwatch.describe_alarms(ActionPrefix="arn:aws:autoscaling")
    named, all_of_them = (each["permissions"] for each in records.admin("GET", "journal")[-2:])
    assert [on.rpartition(":")[2] for _, on in named] == ["toys-a", "toys-b"]
    ((action, on),) = all_of_them
    assert (action, on.split(":", 5)[5]) == ("cloudwatch:DescribeAlarms", "alarm:*")


@pytest.mark.parametrize(
    ("days", "period", "said"),
    [
        (1, 60, None),
        (1.01, 60, "1,455 datapoints, which exceeds the limit of 1,440"),
        (14, 300, "4,032 datapoints"),
        (20, 60, "must be a multiple of 300"),
        (100, 300, "must be a multiple of 3600"),
        (60, 3600, None),
    ],
)
def test_metrics_are_asked_for_by_cloudwatchs_limits(records, days, period, said):
    """1,440 values at a time, and of long ago only for long periods."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    asked = {"Namespace": "Toys", "MetricName": "Busy", "Statistics": ["Sum"], "Period": period}
    asked |= {"StartTime": end - timedelta(days=days), "EndTime": end}
    call = records.client("cloudwatch").get_metric_statistics
    assert call(**asked)["Datapoints"] == [] if said is None else said in refused(call, **asked)[1]


def test_faults_meet_the_call_that_they_wait_for(records):
    """The second DescribeModel answers what was ordered, the first and the third what is true."""
    model(records, "faulty")
    records.admin("POST", "faults", action="DescribeModel", call=2, code="ThrottlingException")
    client = records.client()
    client.describe_model(ModelName="faulty")
    assert refused(client.describe_model, ModelName="faulty")[0] == "ThrottlingException"
    client.describe_model(ModelName="faulty")


def test_a_cut_lasts_until_it_is_cleared(records):
    """Cut after a call, the call has been carried out, and nobody gets an answer any more."""
    client = records.client()
    records.admin("POST", "faults", action="DeleteModel", way="cut-after")
    model(records, "cut")
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        client.delete_model(ModelName="cut")
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        client.list_models()
    records.admin("DELETE", "faults")
    assert refused(client.describe_model, ModelName="cut")[0] == "ValidationException"


@pytest.mark.parametrize(("way", "left"), [("kill-before", False), ("kill-after", True)])
def test_the_process_that_asks_is_killed(records, way, left):
    """Before its call is carried out, or after it, the caller ends as by kill -9."""
    name = f"caller-{way}"
    uri = records.archive(f"{name}.tar.gz", name=name)
    records.admin("POST", "faults", action="CreateModel", way=way)
    code = f"""
import boto3
client = boto3.client("sagemaker", region_name="eu-west-1", endpoint_url={records.url!r},
                      aws_access_key_id="a", aws_secret_access_key="b")
client.create_model(ModelName={name!r}, ExecutionRoleArn={ROLE!r},
                    PrimaryContainer={{"Image": "image", "ModelDataUrl": {uri!r}}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    listed = records.client().list_models(NameContains=name)["Models"]
    assert bool(listed) is left


def test_nearly_all_patterns_of_the_model_are_understood():
    """Of the patterns in botocore's model at most a handful are written in another dialect."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    shapes = [model.shape_for(name).metadata for name in model.shape_names]
    patterns = {shape["pattern"] for shape in shapes if "pattern" in shape}
    unknown = [each for each in patterns if compiled(each) is None]
    assert len(patterns) > 200
    assert len(unknown) <= 6


def test_the_local_cloud_meets_the_project_at_the_api_only():
    """Nothing in local_cloud/ imports the program or the deployment's commands, nor names them."""
    own = {"container", "deploy", "conformance", "sagemaker_runtime", "predictor"} | set(packages())
    for path in (TOP / "local_cloud").rglob("*.py"):
        if ".venv" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in own, path
            elif isinstance(node, ast.Import):
                assert not {each.name.split(".")[0] for each in node.names} & own, path
