"""
The project's own image in the local cloud, from data to answers, and broken on purpose.
"""

import os

import pytest
from botocore.exceptions import ClientError

import containers
from clouds import BUCKET, ROLE, watched
from project import SAMPLE, TOP, own_algorithm, quick

pytestmark = pytest.mark.docker

CONTENT_TYPE, EXAMPLE = own_algorithm().input.example()


# Real models need real seconds: a minute of them on a clock that runs 60 times as fast.
PATIENT = {"ContainerStartupHealthCheckTimeoutInSeconds": 3600}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A cloud of its own, since a real server takes longer to start than the stand-in."""
    with watched(tmp_path_factory.mktemp("real"), {}, BUCKET, startup_s=1) as started:
        yield started


@pytest.fixture(scope="module")
def archive(cloud, image):
    """Where the archive of a model lies that the image has trained in the cloud."""
    for path in SAMPLE.rglob("*"):
        if path.is_file():
            key = f"sample/{path.relative_to(SAMPLE).as_posix()}"
            cloud.client("s3").upload_file(str(path), BUCKET, key)
    cloud.client().create_training_job(
        TrainingJobName="real",
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters=quick(),
        InputDataConfig=[
            {
                "ChannelName": "training",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/sample"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/real"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    job = cloud.until(
        lambda: cloud.client().describe_training_job(TrainingJobName="real"),
        lambda found: found["TrainingJobStatus"] != "InProgress",
    )
    assert job["TrainingJobStatus"] == "Completed", job
    return job["ModelArtifacts"]["S3ModelArtifacts"]


def test_a_trained_model_answers_alone_and_among_many(cloud, image, archive):
    """An endpoint answers the algorithm's example; a multi-model endpoint answers the same."""
    cloud.client().create_model(
        ModelName="real",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": image, "ModelDataUrl": archive},
    )
    cloud.config("real", {"ModelName": "real", **PATIENT})
    assert cloud.endpoint("real", "real")["EndpointStatus"] == "InService"
    alone = cloud.ask("real", EXAMPLE, ContentType=CONTENT_TYPE)
    assert alone
    cloud.delete("real")
    cloud.client().create_model(
        ModelName="many",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": image,
            "ModelDataUrl": archive.removesuffix("model.tar.gz"),
            "Mode": "MultiModel",
        },
    )
    cloud.config("many", {"ModelName": "many", **PATIENT})
    assert cloud.endpoint("many", "many")["EndpointStatus"] == "InService"
    for _ in range(2):
        answer = cloud.ask("many", EXAMPLE, ContentType=CONTENT_TYPE, TargetModel="model.tar.gz")
        assert answer == alone
    with pytest.raises(ClientError, match="Failed to download"):
        cloud.ask("many", EXAMPLE, ContentType=CONTENT_TYPE, TargetModel="other.tar.gz")
    cloud.delete("many")


@pytest.mark.parametrize("fault", ["never-pings", "answers-500"])
def test_an_image_is_broken_on_purpose(cloud, image, fault):
    """Either the endpoint fails by its health check, or it is in service and fails requests."""
    tag = f"container-suite/{fault}:{os.getpid()}"
    arguments = (f"--build-arg=IMAGE={image}", f"--build-arg=FAULT={fault}")
    containers.docker("build", "--tag", tag, *arguments, str(TOP / "local_cloud/broken"))
    try:
        cloud.model(fault, tag)
        patience = {} if fault == "never-pings" else PATIENT
        cloud.config(fault, {"ModelName": fault, **patience})
        described = cloud.endpoint(fault, fault)
        if fault == "never-pings":
            assert described["EndpointStatus"] == "Failed"
            assert "did not pass the ping health check" in described["FailureReason"]
        else:
            with pytest.raises(ClientError, match=r"server error \(500\)"):
                cloud.ask(fault)
        cloud.delete(fault)
    finally:
        containers.docker("image", "rm", "--force", "--no-prune", tag)
