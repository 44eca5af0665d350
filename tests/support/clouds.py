"""
The local cloud for tests: clients, archives, and models that are endpoints a moment later.
"""

import io
import tarfile
import time
from typing import Any

import boto3
from botocore.config import Config
from local_cloud.server import LocalCloud

BUCKET = "rehearsal"
ROLE = "arn:aws:iam::123456789012:role/execution"
PATIENCE_S = 60.0


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
                region_name="eu-west-1",
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
        return self._clients[service]

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

    def keys(self, prefix: str) -> list[str]:
        """
        Return the keys below a prefix.
        """
        listed = self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
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
