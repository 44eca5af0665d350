"""
Endpoints whose instances are real containers: requests, variants, updates and their ends.
"""

import json
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from callers import Callers
from clouds import BUCKET

pytestmark = pytest.mark.docker

CANARY = {"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
LINEAR = {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50}}


def guarded(routing, wait_s, *alarms):
    """
    Return a DeploymentConfig.
    """
    config = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {**routing, "WaitIntervalInSeconds": wait_s}
        }
    }
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": each} for each in alarms]}
    return config


@pytest.fixture(scope="module")
def pair(cloud, stand_in):
    """An endpoint on two instances, and configurations to update it to."""
    for name, environment in (
        ("first", {}),
        ("second", {}),
        ("failing", {"ANSWER": "500"}),
        ("silent", {"PING": "503"}),
    ):
        cloud.model(name, stand_in, **environment)
        cloud.config(name, {"ModelName": name, "InitialInstanceCount": 2})
    described = cloud.endpoint("pair", "first")
    assert described["EndpointStatus"] == "InService"
    yield "pair"
    cloud.delete("pair")


def deployed(cloud, config):
    """
    Bring the endpoint to a configuration, if it has another one.
    """
    if cloud.settled("pair")["EndpointConfigName"] != config:
        cloud.client().update_endpoint(EndpointName="pair", EndpointConfigName=config)
        assert cloud.settled("pair")["EndpointConfigName"] == config


def test_a_request_reaches_the_container_as_it_was_sent(cloud, pair):
    """Body, content type and SageMaker's headers arrive, and the archive is read-only."""
    deployed(cloud, "first")
    answer = json.loads(
        cloud.ask(
            pair,
            b"what?",
            ContentType="text/csv; charset=utf-8",
            Accept="application/json",
            InferenceId="trip-1",
            CustomAttributes="a=b",
        )
    )
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["accept"] == "application/json"
    assert headers["x-amzn-sagemaker-inference-id"] == "trip-1"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "a=b"
    assert answer["files"] == ["name"]
    assert "/opt/ml/model" not in answer["writable"]
    runtime = cloud.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=pair, Body=b"parts")
    body = b"".join(each["PayloadPart"]["Bytes"] for each in answer["Body"])
    assert body == b"first:parts"


def test_what_does_not_answer_is_refused(cloud, pair):
    """No endpoint, no variant, no model that works: each is the runtime's own error."""
    for arguments, code in (
        ({"EndpointName": "nowhere"}, "ValidationError"),
        ({"EndpointName": pair, "TargetVariant": "nowhere"}, "ValidationError"),
    ):
        with pytest.raises(ClientError) as caught:
            cloud.client("sagemaker-runtime").invoke_endpoint(Body=b"1", **arguments)
        assert caught.value.response["Error"]["Code"] == code


def test_logs_and_metrics_are_in_cloudwatch(cloud, pair):
    """What a container prints is in its log stream, and requests are counted by variant."""
    deployed(cloud, "first")
    cloud.ask(pair, b"logged")
    logs = cloud.client("logs")
    group = f"/aws/sagemaker/Endpoints/{pair}"

    def messages():
        found = logs.filter_log_events(logGroupName=group)["events"]
        return {each["message"]: each["logStreamName"] for each in found}

    said = cloud.until(messages, lambda found: "asked for 6 bytes" in found)
    assert said["asked for 6 bytes"].startswith("AllTraffic/i-")
    dimensions = [
        {"Name": "EndpointName", "Value": pair},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    listed = cloud.until(
        lambda: cloud.client("cloudwatch").list_metrics(
            Namespace="AWS/SageMaker", Dimensions=dimensions
        )["Metrics"],
        bool,
    )
    assert {each["MetricName"] for each in listed} >= {
        "Invocations",
        "InvocationsPerInstance",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "ModelLatency",
        "OverheadLatency",
    }


@pytest.mark.parametrize(
    "deployment",
    [None, guarded(CANARY, 600), guarded(LINEAR, 300), "rolling"],
    ids=["at once", "canary", "linear", "rolling"],
)
def test_a_good_update_fails_no_request(cloud, pair, deployment):
    """In each of the ways, four clients get answers all the while, and in the end the new ones."""
    deployed(cloud, "first")
    if deployment == "rolling":
        half = {"Type": "CAPACITY_PERCENT", "Value": 50}
        deployment = {
            "RollingUpdatePolicy": {"MaximumBatchSize": half, "WaitIntervalInSeconds": 300}
        }
    more = {"DeploymentConfig": deployment} if deployment else {}
    with Callers(cloud, pair) as answers:
        cloud.client().update_endpoint(EndpointName=pair, EndpointConfigName="second", **more)
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            cloud.client().update_endpoint(EndpointName=pair, EndpointConfigName="second")
        described = cloud.client().describe_endpoint(EndpointName=pair)
        assert described["EndpointStatus"] == "Updating"
        assert described["EndpointConfigName"] == "first"
        pending = described.get("PendingDeploymentSummary", {})
        assert pending.get("EndpointConfigName", "second") == "second"
        described = cloud.settled(pair)
    assert described["EndpointConfigName"] == "second"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert cloud.ask(pair) == b"second:1"
    assert set(answers) == {"first:1", "second:1"}


def test_an_alarm_rolls_back_without_a_word(cloud, pair):
    """
    1. a canary answers 500 2. its alarm goes off. Result: the old configuration is in service,
    FailureReason is empty, and the other instance has answered all the while.
    """
    deployed(cloud, "first")
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": pair},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    with Callers(cloud, pair) as answers:
        cloud.client().update_endpoint(
            EndpointName=pair,
            EndpointConfigName="failing",
            DeploymentConfig=guarded(CANARY, 3600, "errors"),
        )
        described = cloud.settled(pair)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "first"
    assert "FailureReason" not in described
    assert set(answers) == {"first:1", "ModelError"}
    assert answers["first:1"] >= answers["ModelError"] > 0


def test_an_image_that_never_pings_is_rolled_back(cloud, pair):
    """An update whose containers do not get healthy ends as it began, with the reason."""
    deployed(cloud, "first")
    with Callers(cloud, pair) as answers:
        cloud.client().update_endpoint(EndpointName=pair, EndpointConfigName="silent")
        described = cloud.settled(pair)
    assert described["EndpointConfigName"] == "first"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert set(answers) == {"first:1"}


def test_capacity_and_its_loss(cloud, pair):
    """An update resets instances and weights to the configuration's unless it retains them."""
    deployed(cloud, "first")
    client = cloud.client()
    client.update_endpoint_weights_and_capacities(
        EndpointName=pair,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}],
    )
    assert cloud.settled(pair)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    with pytest.raises(ClientError, match="CanarySize"):
        client.update_endpoint(
            EndpointName=pair,
            EndpointConfigName="second",
            RetainAllVariantProperties=True,
            DeploymentConfig=guarded(CANARY, 60),
        )
    with pytest.raises(ClientError, match="Alarms that do not exist: nobody"):
        client.update_endpoint(
            EndpointName=pair,
            EndpointConfigName="second",
            DeploymentConfig=guarded({"Type": "ALL_AT_ONCE"}, 60, "nobody"),
        )
    for retain, count in ((True, 1), (False, 2)):
        other = "second" if retain else "first"
        client.update_endpoint(
            EndpointName=pair, EndpointConfigName=other, RetainAllVariantProperties=retain
        )
        assert cloud.settled(pair)["ProductionVariants"][0]["CurrentInstanceCount"] == count


def test_an_instance_that_ends_is_replaced(cloud, pair):
    """After a container has died, there are as many as before, and they answer."""
    deployed(cloud, "first")
    with pytest.raises(ClientError, match="ModelError"):
        cloud.ask(pair, b"exit")
    cloud.until(
        lambda: [cloud.started.endpoints.answering(pair).fleet.variants[0].count],
        lambda found: found == [2],
    )
    assert {cloud.ask(pair) for _ in range(4)} == {b"first:1"}


def test_an_endpoint_that_fails_can_only_be_deleted(cloud, stand_in):
    """Without a ping CreateEndpoint ends as Failed, with its reason, and frees the name."""
    cloud.model("mute", stand_in, PING="503")
    cloud.config("mute", {"ModelName": "mute"})
    described = cloud.endpoint("mute", "mute")
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
    with pytest.raises(ClientError, match="Cannot update"):
        cloud.client().update_endpoint(EndpointName="mute", EndpointConfigName="mute")
    cloud.delete("mute")


def test_weights_targets_shadow_and_capture(cloud, stand_in):
    """
    Requests are shared by weight or sent to the variant that is named, and captured in AWS's form.
    """
    for name in ("light", "heavy"):
        cloud.model(name, stand_in)
    variants = [
        {"VariantName": "light", "ModelName": "light", "InitialVariantWeight": 1},
        {"VariantName": "heavy", "ModelName": "heavy", "InitialVariantWeight": 3},
    ]
    cloud.config(
        "weighted",
        *variants,
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 50,
            "DestinationS3Uri": f"s3://{BUCKET}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        },
    )
    cloud.endpoint("weighted", "weighted")
    answers = Counter(cloud.ask("weighted", InferenceId=f"id-{n}") for n in range(8))
    assert answers == {b"light:1": 2, b"heavy:1": 6}
    assert cloud.ask("weighted", TargetVariant="light", ContentType="image/png") == b"light:1"
    cloud.client().update_endpoint_weights_and_capacities(
        EndpointName="weighted",
        DesiredWeightsAndCapacities=[{"VariantName": "light", "DesiredWeight": 0}],
    )
    described = cloud.settled("weighted")
    assert [each["CurrentWeight"] for each in described["ProductionVariants"]] == [0, 3]
    assert {cloud.ask("weighted") for _ in range(4)} == {b"heavy:1"}

    def events():
        keys = cloud.keys("capture/weighted/heavy/")
        lines = [line for key in keys for line in cloud.read(f"s3://{BUCKET}/{key}").splitlines()]
        return [json.loads(line) for line in lines]

    event = cloud.until(events, lambda found: len(found) == 5)[0]
    assert event["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": "1",
        "encoding": "CSV",
    }
    assert event["captureData"]["endpointOutput"]["data"] == "heavy:1"
    assert event["eventMetadata"]["inferenceId"].startswith("id-")
    assert event["eventVersion"] == "0"
    cloud.delete("weighted")


def test_a_shadow_gets_copies(cloud, stand_in):
    """A shadow variant is asked the same, and its failures are nobody's."""
    cloud.model("real", stand_in)
    cloud.model("shade", stand_in, ANSWER="500")
    shadow = [
        {
            "VariantName": "shade",
            "ModelName": "shade",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1,
        }
    ]
    cloud.config("shadowed", {"ModelName": "real"}, ShadowProductionVariants=shadow)
    cloud.endpoint("shadowed", "shadowed")
    assert {cloud.ask("shadowed") for _ in range(3)} == {b"real:1"}
    metrics = cloud.started.cloud.metrics
    place = {"EndpointName": "shadowed", "VariantName": "shade"}
    seen = cloud.until(
        lambda: metrics.within("Invocation5XXErrors", place, 0, float("inf")),
        lambda found: len(found) == 3,
    )
    assert seen == [1, 1, 1]
    cloud.delete("shadowed")


def test_asynchronous_requests_leave_results_in_s3(cloud, stand_in):
    """Answers and failures become objects, a topic hears of both; no instance is not a failure."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="results")["TopicArn"]
    queue = sqs.create_queue(QueueName="results")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    cloud.model("later", stand_in)
    output = {
        "S3OutputPath": f"s3://{BUCKET}/later",
        "S3FailurePath": f"s3://{BUCKET}/later-failed",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
    }
    cloud.config("later", {"ModelName": "later"}, AsyncInferenceConfig={"OutputConfig": output})
    cloud.endpoint("later", "later")
    with pytest.raises(ClientError, match="asynchronous"):
        cloud.ask("later")
    runtime = cloud.client("sagemaker-runtime")
    cloud.client("s3").put_object(Bucket=BUCKET, Key="asked", Body=b"rows")

    def ask(**given):
        return runtime.invoke_endpoint_async(EndpointName="later", ContentType="text/csv", **given)

    accepted = ask(InputLocation=f"s3://{BUCKET}/asked", InferenceId="mine")
    assert accepted["InferenceId"] == "mine"
    assert cloud.until(lambda: cloud.keys("later/"), bool)
    assert cloud.read(accepted["OutputLocation"]) == b"later:rows"
    lost = ask(InputLocation=f"s3://{BUCKET}/nothing")
    assert cloud.until(lambda: cloud.keys("later-failed/"), bool)
    assert b"NoSuchKey" in cloud.read(lost["FailureLocation"])
    told = []
    while len(told) < 2:
        received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        told += [json.loads(json.loads(each["Body"])["Message"]) for each in received]
    states = {each["inferenceId"]: each["invocationStatus"] for each in told}
    assert states == {"mine": "Completed", lost["InferenceId"]: "Failed"}

    def scale(count):
        cloud.client().update_endpoint_weights_and_capacities(
            EndpointName="later",
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
            ],
        )
        assert cloud.settled("later")["ProductionVariants"][0]["CurrentInstanceCount"] == count

    scale(0)
    update = {"EndpointName": "later", "EndpointConfigName": "later"}
    update["RetainAllVariantProperties"] = True
    with pytest.raises(ClientError, match="which is 0 instance"):
        cloud.client().update_endpoint(**update, DeploymentConfig=guarded(CANARY, 0))
    cloud.client().update_endpoint(**update)
    assert cloud.settled("later")["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    waiting = ask(Body=b"inline")
    scale(1)
    cloud.until(lambda: cloud.keys("later/"), lambda found: len(found) == 2)
    assert cloud.read(waiting["OutputLocation"]) == b"later:inline"
    cloud.delete("later")


def test_serverless_has_its_limits(cloud, stand_in):
    """Memory, a read-only root with /tmp, no /dev/shm, as many requests at once as are allowed."""
    cloud.model("less", stand_in, SLEEP="0.5")
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    cloud.config("less", {"ModelName": "less", "ServerlessConfig": serverless})
    assert cloud.endpoint("less", "less")["EndpointStatus"] == "InService"
    with Callers(cloud, "less") as answers:
        cloud.until(lambda: dict(answers), lambda found: len(found) == 2)
    assert set(answers) == {"less:1", "ThrottlingException"}
    known = json.loads(cloud.ask("less", b"what?"))
    assert known["writable"] == ["/tmp"]
    assert known["shm"] is False
    variant = cloud.started.endpoints.answering("less").fleet.variants[0]
    cloud.until(lambda: variant.count, lambda count: count == 0)
    assert cloud.ask("less") == b"less:1"
    cloud.delete("less")
