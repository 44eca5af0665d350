"""
The local cloud for tests: clients, archives, and models that are endpoints a moment later.
"""

import io
import json
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from local_cloud.journal import Call
from local_cloud.server import REGION, LocalCloud, local_cloud

BUCKET = "rehearsal"
ROLE = "arn:aws:iam::123456789012:role/execution"
PATIENCE_S = 60.0
OWN_KEY = "test"


class Rehearsal:
    """
    A cloud as its callers see it.
    """

    def __init__(self, started: LocalCloud) -> None:
        self.started = started
        self.url = started.url
        self._clients: dict[str, Any] = {}

    def client(self, service: str = "sagemaker") -> Any:
        """
        Return boto3's client, which asks once only and leaves all checks to the service.
        """
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id=OWN_KEY,
                aws_secret_access_key=OWN_KEY,
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
        return self._clients[service]

    def bucket(self, name: str = BUCKET) -> None:
        """
        Create a bucket, unless another cloud of this process has it.
        """
        s3 = self.client("s3")
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def archive(self, key: str, **files: str) -> str:
        """
        Put an archive with files into the bucket and return its address.
        """
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content.getvalue())
        return f"s3://{BUCKET}/{key}"

    def read(self, uri: str) -> bytes:
        """
        Return an object.
        """
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str, bucket: str = BUCKET) -> list[str]:
        """
        Return the keys below a prefix.
        """
        listed = self.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for each in listed.get("Contents", [])]

    def model(self, name: str, image: str, **environment: str) -> str:
        """
        Create a model whose archive holds its name.
        """
        self.client().create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": image,
                "ModelDataUrl": self.archive(f"models/{name}.tar.gz", name=name),
                "Environment": environment,
            },
        )
        return name

    def config(self, name: str, *variants: dict[str, Any], **more: Any) -> str:
        """
        Create an endpoint configuration; variants need a ModelName only.
        """
        self.client().create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[instances(**each) for each in variants],
            **more,
        )
        return name

    def endpoint(self, name: str, config: str, **more: Any) -> dict[str, Any]:
        """
        Create an endpoint and return its description once it is in service or has failed.
        """
        self.client().create_endpoint(EndpointName=name, EndpointConfigName=config, **more)
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        """
        Return an endpoint's description once nothing moves any more.
        """
        moving = ("Creating", "Updating", "RollingBack", "Deleting")
        described: dict[str, Any] = self.until(
            lambda: self.client().describe_endpoint(EndpointName=name),
            lambda found: found["EndpointStatus"] not in moving,
        )
        return described

    def until(self, look: Any, good: Any) -> Any:
        """
        Look again and again; return what was seen once it is good.
        """
        end = time.monotonic() + PATIENCE_S
        while not good(seen := look()):
            assert time.monotonic() < end, seen
            time.sleep(0.05)
        return seen

    def admin(self, method: str, route: str, **content: Any) -> Any:
        """
        Return what the cloud answers about itself.
        """
        request = urllib.request.Request(f"{self.url}/_local_cloud/{route}", method=method)
        request.data = json.dumps(content).encode() if content else None
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ask(self, endpoint: str, body: bytes = b"1", **more: Any) -> bytes:
        """
        Return what an endpoint answers.
        """
        given = {"ContentType": "text/csv", **more}
        runtime = self.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **given)
        content: bytes = answer["Body"].read()
        return content

    def delete(self, endpoint: str) -> None:
        """
        Delete an endpoint and wait until it has gone.
        """
        self.client().delete_endpoint(EndpointName=endpoint)
        self.until(
            lambda: [each["EndpointName"] for each in self.client().list_endpoints()["Endpoints"]],
            lambda names: endpoint not in names,
        )


class Watched(Rehearsal):
    """
    A cloud in which somebody else works, whose calls are looked at; the tests' own do not count.
    """

    @property
    def journal(self) -> list[Call]:
        """
        The calls of others.
        """
        return [call for call in self.started.cloud.journal.calls() if call.access_key != OWN_KEY]

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """
        SageMaker's calls that succeeded, each with what was asked.
        """
        return [
            (call.action, call.asked)
            for call in self.journal
            if call.service == "sagemaker" and call.status == 200
        ]

    @property
    def permissions(self) -> set[tuple[str, str]]:
        """
        IAM's actions and resources of whatever was asked.
        """
        return {tuple(each) for call in self.journal for each in call.permissions}


@contextmanager
def watched(
    folder: Path, images: dict[str, str], bucket: str, **settings: Any
) -> Iterator[Watched]:
    """
    Run a cloud with an empty bucket; ``images`` maps addresses to images of this machine.
    """
    with local_cloud(folder, **settings) as started:
        for uri, image in images.items():
            started.cloud.engine.register(uri, image)
        cloud = Watched(started)
        cloud.bucket(bucket)
        yield cloud


def instances(**variant: Any) -> dict[str, Any]:
    """
    Return a variant, on one instance unless it says otherwise.
    """
    if "ServerlessConfig" in variant:
        return {"VariantName": "AllTraffic", **variant}
    return {
        "VariantName": "AllTraffic",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **variant,
    }
