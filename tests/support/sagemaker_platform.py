"""
SageMaker for tests: moto keeps the records, Docker runs the jobs and endpoints that it only lists.

It follows the published contract on inputs, archives, metrics and transforms, which does not prove
that AWS does the same.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
from werkzeug.wrappers import Request, Response

import aws
import containers

INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")

# The kind of resource in the ARN of what a call names.
KINDS = {
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
}
S3_ACTIONS = {"PUT": "s3:PutObject", "GET": "s3:GetObject", "HEAD": "s3:GetObject"}


class SageMaker(aws.Api):
    """
    AWS's API; ``images`` maps the URIs that callers may name to images of this machine.

    ``calls`` has each SageMaker call that succeeded, ``permissions`` the IAM action and resource
    of whatever was asked. What stays behind of endpoints is in ``endpoints``.
    """

    def __init__(self, folder: Path, images: dict[str, str]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.permissions: set[tuple[str, str]] = set()
        self.endpoints: dict[str, tuple[containers.Container, ExitStack]] = {}
        self._folder = folder
        self._images = images
        self._metrics: dict[str, list[dict[str, Any]]] = {}
        super().__init__(None)

    def client(self, service: str) -> Any:
        """
        Return boto3's client; what it asks is recorded nowhere.
        """
        return boto3.client(
            service,
            region_name=aws.REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """
        Return the names of the objects in a bucket.
        """
        listed = self.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for each in listed.get("Contents", [])]

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "Credential=test/" in environ.get("HTTP_AUTHORIZATION", ""):
            return super()._answer(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        request = Request(environ)
        if invocation := INVOCATION.fullmatch(request.path):
            self._permit("sagemaker:InvokeEndpoint", "endpoint", invocation[1])
            started, _ = self.endpoints[invocation[1]]
            answer = started.predict(request.get_data(), request.content_type)
            return Response(answer.body, answer.status, content_type=request.content_type)(
                environ, start_response
            )
        if not target.startswith("SageMaker."):
            self._permit_other(target, request)
            return super()._answer(environ, start_response)

        action, asked = target.removeprefix("SageMaker."), json.loads(request.get_data() or b"{}")
        environ["wsgi.input"] = io.BytesIO(request.get_data())
        response = Response.from_app(super()._answer, environ)
        if response.status_code == 200:
            self.calls.append((action, asked))
            self._permit_call(action, asked)
            self._act(action, asked, response)
        return response(environ, start_response)

    def _permit(self, action: str, kind: str, name: str) -> None:
        resource = f"arn:aws:sagemaker:{aws.REGION}:{aws.ACCOUNT}:{kind}/{name}"
        self.permissions.add((action, resource))

    def _permit_call(self, action: str, asked: dict[str, Any]) -> None:
        # A call is judged by what it is named after: a transform job names a model as well.
        named = next(
            (name for name in KINDS if name in asked and KINDS[name] in _dashed(action)), ""
        )
        if action == "CreateEndpoint":
            named = "EndpointName"
        self._permit(f"sagemaker:{action}", KINDS[named], asked[named])
        if role := asked.get("RoleArn") or asked.get("ExecutionRoleArn"):
            self.permissions.add(("iam:PassRole", role))

    def _permit_other(self, target: str, request: Request) -> None:
        if target:
            service, _, action = target.partition(".")
            self.permissions.add((f"{service.partition('_')[0].lower()}:{action}", "*"))
            return
        bucket, _, key = request.path.strip("/").partition("/")
        action = S3_ACTIONS.get(request.method, "s3:DeleteObject")
        if not key:
            listing = request.method in ("GET", "HEAD")
            action = "s3:ListBucket" if listing else "s3:DeleteObject"
        resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
        if action == "s3:DeleteObject" and not key:
            resource += "/taxi-fare-or-pretrained"  # the names stand in the request's body
        self.permissions.add((action, resource))

    def _act(self, action: str, asked: dict[str, Any], response: Response) -> None:
        match action:
            case "CreateTrainingJob":
                self._train(asked)
            case "DescribeTrainingJob":
                described = json.loads(response.get_data())
                described["FinalMetricDataList"] = self._metrics[asked["TrainingJobName"]]
                response.set_data(json.dumps(described))
            case "CreateEndpoint":
                running = ExitStack()
                config = self.client("sagemaker").describe_endpoint_config(
                    EndpointConfigName=asked["EndpointConfigName"]
                )
                model = config["ProductionVariants"][0]["ModelName"]
                started = running.enter_context(self._served(model, asked["EndpointName"]))
                self.endpoints[asked["EndpointName"]] = started, running
            case "DeleteEndpoint":
                _, running = self.endpoints.pop(asked["EndpointName"])
                running.close()
            case "CreateTransformJob":
                self._transform(asked)

    def _train(self, asked: dict[str, Any]) -> None:
        name = asked["TrainingJobName"]
        root = self._folder / name
        job = containers.Job(root, None, **asked.get("HyperParameters", {}))
        for channel in asked["InputDataConfig"]:
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            self._download(uri, root / "input/data" / channel["ChannelName"])
        specification = asked["AlgorithmSpecification"]
        assert job.train(self._images[specification["TrainingImage"]], "train") == 0, job.log
        self._metrics[name] = [
            {"MetricName": each["Name"], "Value": float(values[-1]), "Timestamp": 0}
            for each in specification.get("MetricDefinitions", [])
            if (values := re.findall(each["Regex"], job.log))
        ]
        store = f"{asked['OutputDataConfig']['S3OutputPath']}/{name}/output"
        self._upload(f"{store}/model.tar.gz", _packed(root / "model"))
        self._upload(f"{store}/output.tar.gz", _packed(root / "output/data"))

    @contextmanager
    def _served(
        self, model: str, name: str, options: tuple[str, ...] = ()
    ) -> Iterator[containers.Container]:
        described = self.client("sagemaker").describe_model(ModelName=model)["PrimaryContainer"]
        folder = self._folder / f"{name}-model"
        archive = self._download(described["ModelDataUrl"], folder)
        containers.unpack(folder / archive[0], folder)
        (folder / archive[0]).unlink()
        with containers.server(self._images[described["Image"]], folder, options) as started:
            yield started

    def _transform(self, asked: dict[str, Any]) -> None:
        given, wanted = asked["TransformInput"], asked["TransformOutput"]
        name = asked["TransformJobName"]
        folder = self._folder / f"{name}-input"
        batch = ("--env", "SAGEMAKER_BATCH=true")
        with self._served(asked["ModelName"], name, batch) as started:
            for file in self._download(given["DataSource"]["S3DataSource"]["S3Uri"], folder):
                answer = started.predict((folder / file).read_bytes(), given["ContentType"])
                assert answer.status == 200, answer.body
                self._upload(f"{wanted['S3OutputPath']}/{file}.out", answer.body)

    def _download(self, uri: str, folder: Path) -> list[str]:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        keys = self.keys(bucket, prefix)
        assert keys, f"nothing stands at {uri}"
        # A prefix is a folder, or the name of an object.
        top = prefix.rpartition("/")[0] if prefix in keys else prefix.rstrip("/")
        files = [key.removeprefix(top).lstrip("/") for key in keys]
        for key, file in zip(keys, files, strict=True):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            self.client("s3").download_file(bucket, key, str(folder / file))
        return files

    def _upload(self, uri: str, content: bytes) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=content)


def _dashed(action: str) -> str:
    """
    Return training-job for CreateTrainingJob.
    """
    return "-".join(re.findall("[A-Z][a-z]+", action)[1:]).lower()


def _packed(folder: Path) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    return archive.getvalue()


@contextmanager
def sagemaker(folder: Path, images: dict[str, str], bucket: str) -> Iterator[SageMaker]:
    """
    Run the platform with an empty bucket; endpoints that were left are stopped in the end.
    """
    folder.mkdir()
    platform = SageMaker(folder, images)
    try:
        platform.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.REGION}
        )
        yield platform
    finally:
        for _, running in platform.endpoints.values():
            running.close()
        platform.stop()
