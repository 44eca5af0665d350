"""
Jobs as real containers: training, batch, processing, tuning, and the registry beside them.
"""

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

from clouds import BUCKET, ROLE

pytestmark = pytest.mark.docker

ENDED = ("Completed", "Failed", "Stopped")
ROWS = b"1,2\n3,4\n5,6\n"


@pytest.fixture(scope="module")
def data(cloud):
    """Three files in a folder of the bucket."""
    for number in range(3):
        key = f"data/sub/part-{number}.csv"
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=ROWS)
    return f"s3://{BUCKET}/data"


def training(image, data, *, hosts=1, channel=None, **hyperparameters):
    """
    Return what CreateTrainingJob is asked, but for the name.
    """
    source = {"S3DataType": "S3Prefix", "S3Uri": data, **(channel or {})}
    return {
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        "HyperParameters": hyperparameters,
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/trained"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": hosts,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def ended(cloud, kind, name):
    """
    Return the description of a job that has come to its end.
    """
    describe = getattr(cloud.client(), f"describe_{kind}")
    noun = "".join(part.capitalize() for part in kind.split("_"))
    return cloud.until(
        lambda: describe(**{f"{noun}Name": name}), lambda found: found[f"{noun}Status"] in ENDED
    )


def unpacked(cloud, uri):
    """
    Return the files of an archive in S3.
    """
    with tarfile.open(fileobj=io.BytesIO(cloud.read(uri))) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar if each.isfile()}


def test_a_training_job_from_data_to_archives(cloud, stand_in, data):
    """States, configuration, data, metrics, logs, archives: as the contract says."""
    asked = training(stand_in, data, loss="0.25", name="mine")
    cloud.client().create_training_job(TrainingJobName="whole", **asked)
    with pytest.raises(ClientError) as caught:
        cloud.client().create_training_job(TrainingJobName="whole", **asked)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    job = ended(cloud, "training_job", "whole")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    phases = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert phases == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)
    files = unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert files["name"] == b"mine"
    told = json.loads(files["algo-1"])
    assert told["given"] == {"loss": "0.25", "name": "mine"}
    assert told["files"] == [f"input/data/training/sub/part-{n}.csv" for n in range(3)]
    assert told["channels"]["training"]["TrainingInputMode"] == "File"
    output = unpacked(cloud, f"s3://{BUCKET}/trained/whole/output/output.tar.gz")
    assert output == {"algo-1": b"more"}
    events = cloud.client("logs").filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs")
    said = [
        each["message"]
        for each in events["events"]  # moto takes no notice of a prefix of streams
        if each["logStreamName"].startswith("whole/algo-1-")
    ]
    assert said == ["loss=0.25;"]


def test_hosts_share_the_work_and_find_each_other(cloud, stand_in, data):
    """Two hosts know their names, have a part of the files each, and one archive together."""
    asked = training(stand_in, data, hosts=2, channel={"S3DataDistributionType": "ShardedByS3Key"})
    cloud.client().create_training_job(TrainingJobName="two", **asked)
    job = ended(cloud, "training_job", "two")
    files = unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"])
    hosts = [json.loads(files[name]) for name in ("algo-1", "algo-2")]
    assert [each["hosts"] for each in hosts] == [["algo-1", "algo-2"]] * 2
    assert sorted(len(each["files"]) for each in hosts) == [1, 2]


def test_pipe_mode_gives_all_files_once_an_epoch(cloud, stand_in, data):
    """A channel in Pipe mode is a named pipe for each pass, with all files one after the other."""
    asked = training(stand_in, data, epochs="2")
    asked["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    cloud.client().create_training_job(TrainingJobName="pipes", **asked)
    job = ended(cloud, "training_job", "pipes")
    files = unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert json.loads(files["algo-1"])["files"] == [ROWS.decode() * 3] * 2


def test_failures_have_their_reason(cloud, stand_in, data):
    """The failure file is the reason; without data there is AWS's own."""
    asked = training(stand_in, data, fail="column fare_amount is missing")
    cloud.client().create_training_job(TrainingJobName="failing", **asked)
    asked = training(stand_in, f"s3://{BUCKET}/nothing")
    cloud.client().create_training_job(TrainingJobName="empty", **asked)
    job = ended(cloud, "training_job", "failing")
    assert job["FailureReason"] == "AlgorithmError: column fare_amount is missing, exit code: 1"
    assert job["SecondaryStatus"] == "Failed"
    assert "ModelArtifacts" not in job
    job = ended(cloud, "training_job", "empty")
    assert f"no S3 objects found under S3 URL s3://{BUCKET}/nothing" in job["FailureReason"]


def test_a_job_is_stopped_and_goes_on_from_its_checkpoint(cloud, stand_in, data):
    """
    1. a spot job writes a checkpoint 2. its instance is taken away 3. it starts again 4. it is
    stopped. Result: the second start has the checkpoint, and the archive what SIGTERM left.
    """
    asked = training(stand_in, data, seconds="60") | {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/spot"},
    }
    cloud.client().create_training_job(TrainingJobName="spot", **asked)

    def lines():
        found = cloud.client("logs").describe_log_streams(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="spot/"
        )["logStreams"]
        return [
            each["message"]
            for stream in found
            for each in cloud.client("logs").get_log_events(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream["logStreamName"]
            )["events"]
        ]

    cloud.until(lambda: cloud.keys("checkpoints/spot"), bool)
    cloud.admin("POST", "interruptions", job="spot")
    cloud.until(lines, lambda found: found.count("loss=0.5;") == 2)
    cloud.client().stop_training_job(TrainingJobName="spot")
    job = ended(cloud, "training_job", "spot")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert "Interrupted" in [each["Status"] for each in job["SecondaryStatusTransitions"]]
    files = unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert files["stopped-algo-1"] == b"kept"
    assert json.loads(files["algo-1"])["checkpoints"] == ["first"]
    with pytest.raises(ClientError, match="in status Stopped"):
        cloud.client().stop_training_job(TrainingJobName="spot")


def test_batch_jobs_join_answers_to_rows(cloud, stand_in, data):
    """Each file has its output, answers beside their rows in order, from two instances."""
    cloud.model("batch", stand_in)
    cloud.client().create_transform_job(
        TransformJobName="batch",
        ModelName="batch",
        BatchStrategy="SingleRecord",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}},
            "SplitType": "Line",
            "ContentType": "text/csv",
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/scored", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input"},
        DataCaptureConfig={"DestinationS3Uri": f"s3://{BUCKET}/batch-capture"},
    )
    job = ended(cloud, "transform_job", "batch")
    assert job["TransformJobStatus"] == "Completed", job
    assert cloud.keys("scored/") == [f"scored/sub/part-{n}.csv.out" for n in range(3)]
    joined = cloud.read(f"s3://{BUCKET}/scored/sub/part-0.csv.out")
    assert joined == b"1,2,batch:2\n3,4,batch:4\n5,6,batch:6\n"
    (manifest,) = cloud.keys("batch-capture/output/")
    listed = json.loads(cloud.read(f"s3://{BUCKET}/{manifest}"))
    assert listed[0] == {"prefix": f"s3://{BUCKET}/scored/"}
    assert len(listed) == 4


def test_a_batch_job_fails_with_its_file(cloud, stand_in, data):
    """A payload that is refused fails the job, and its complaint stands in the data log."""
    cloud.model("refusing", stand_in, ANSWER="415")
    cloud.client().create_transform_job(
        TransformJobName="refused",
        ModelName="refusing",
        TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/refused"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    job = ended(cloud, "transform_job", "refused")
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: 415")
    events = cloud.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamName="refused/data-log"
    )["events"]
    assert "part-0.csv" in events[0]["message"]


def test_a_processing_job_runs_any_program(cloud, stand_in, data):
    """Inputs are there, outputs go to S3, the environment and arguments arrive."""
    script = "cat /opt/ml/processing/in/sub/*.csv > /opt/ml/processing/out/all-$WHO; exit $1"

    def start(name, code):
        cloud.client().create_processing_job(
            ProcessingJobName=name,
            RoleArn=ROLE,
            AppSpecification={
                "ImageUri": stand_in,
                "ContainerEntrypoint": ["sh", "-c", script],
                "ContainerArguments": ["sh", code],
            },
            Environment={"WHO": "me"},
            ProcessingInputs=[
                {
                    "InputName": "in",
                    "S3Input": {
                        "S3Uri": data,
                        "LocalPath": "/opt/ml/processing/in",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            ProcessingOutputConfig={
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": f"s3://{BUCKET}/processed/{name}",
                            "LocalPath": "/opt/ml/processing/out",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                }
            },
        )
        return ended(cloud, "processing_job", name)

    assert start("processed", "0")["ProcessingJobStatus"] == "Completed"
    assert cloud.read(f"s3://{BUCKET}/processed/processed/all-me") == ROWS * 3
    job = start("unprocessed", "3")
    assert job["ProcessingJobStatus"] == "Failed"
    assert "exit code: 3" in job["FailureReason"]


def test_a_tuning_job_finds_its_best(cloud, stand_in, data):
    """As many jobs as wanted, values within their ranges, the best by the objective."""
    asked = training(stand_in, data, name="tuned")
    asked["StaticHyperParameters"] = asked.pop("HyperParameters")
    cloud.client().create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="tuned",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {
                        "Name": "loss",
                        "MinValue": "0.1",
                        "MaxValue": "0.9",
                        "ScalingType": "Logarithmic",
                    }
                ],
                "IntegerParameterRanges": [{"Name": "depth", "MinValue": "2", "MaxValue": "4"}],
                "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
            },
        },
        TrainingJobDefinition=asked,
    )
    client = cloud.client()
    job = cloud.until(
        lambda: client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="tuned"),
        lambda found: found["HyperParameterTuningJobStatus"] in ENDED,
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 3
    listed = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="tuned", SortBy="FinalObjectiveMetricValue"
    )["TrainingJobSummaries"]
    values = []
    for each in listed:
        tuned = each["TunedHyperParameters"]
        assert set(tuned) == {"loss", "depth", "kind"}
        assert 0.1 <= float(tuned["loss"]) <= 0.9
        assert tuned["depth"] in "234"
        assert tuned["kind"] in "ab"
        value = each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        assert value == pytest.approx(float(tuned["loss"]))
        values.append(value)
    assert values == sorted(values)
    assert len(values) == 3
    assert job["BestTrainingJob"]["TrainingJobName"] == listed[0]["TrainingJobName"]
    best = client.describe_training_job(TrainingJobName=listed[0]["TrainingJobName"])
    assert best["HyperParameters"]["_tuning_objective_metric"] == "loss"
    assert best["HyperParameters"]["name"] == "tuned"


def test_packages_have_versions_approval_and_can_be_served(cloud, stand_in):
    """Versions count up in their group, an approval is noted, and a model can name a package."""
    client = cloud.client()
    client.create_model_package_group(ModelPackageGroupName="fares")
    with pytest.raises(ClientError, match="already exists"):
        client.create_model_package_group(ModelPackageGroupName="fares")
    specification = {
        "Containers": [
            {"Image": stand_in, "ModelDataUrl": cloud.archive("packaged.tar.gz", name="packaged")}
        ],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    arns = [
        client.create_model_package(
            ModelPackageGroupName="fares", InferenceSpecification=specification
        )["ModelPackageArn"]
        for _ in range(2)
    ]
    assert [arn.rpartition(":")[2] for arn in arns] == [
        "model-package/fares/1",
        "model-package/fares/2",
    ]
    client.update_model_package(
        ModelPackageArn=arns[1],
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"mae": "1.42"},
    )
    described = client.describe_model_package(ModelPackageName=arns[1])
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ModelPackageVersion"] == 2
    assert described["CustomerMetadataProperties"] == {"mae": "1.42"}
    listed = client.list_model_packages(
        ModelPackageGroupName="fares", ModelApprovalStatus="Approved"
    )["ModelPackageSummaryList"]
    assert [each["ModelPackageArn"] for each in listed] == [arns[1]]
    client.create_model(
        ModelName="packaged",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"ModelPackageName": arns[1]},
    )
    cloud.config("packaged", {"ModelName": "packaged"})
    cloud.endpoint("packaged", "packaged")
    assert cloud.ask("packaged") == b"packaged:1"
    cloud.delete("packaged")
    with pytest.raises(ClientError, match="still contains"):
        client.delete_model_package_group(ModelPackageGroupName="fares")
    for arn in arns:
        client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName="fares")
    assert client.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
