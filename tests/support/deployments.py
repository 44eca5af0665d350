"""
An account for the commands of deploy.sh: moto, and what SageMaker is asked is noted down.
"""

import io
import json
import urllib.request
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from deploy.__main__ import main
from local_cloud.calls import identify
from moto.sagemaker.models import sagemaker_backends
from werkzeug.wrappers import Request, Response

import aws

APPLICATION = "toys"
BUCKET = "toys-bucket"
LAYERS = {"config": {"digest": "sha256:" + "a" * 64, "size": 1}, "layers": []}


class Account(aws.Api):
    """
    ``calls`` has the changing calls of SageMaker in their order, ``asked`` the content types that
    its endpoints were asked with. ``failing`` maps an action to the
    error that it meets, ``lost`` to one that it meets after it was done, ``answers`` to what it
    answers beyond moto's answer, one after the other. ``permissions`` has what IAM would ask for.
    """

    region_name = aws.REGION  # it is boto3's session too

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._session = boto3.Session()
        self.begin(False)
        super().__init__(None)

    def begin(self, again: bool = True) -> None:
        """Forget everything."""
        if again:
            with urllib.request.urlopen(f"{self.url}/moto-api/reset", b""):
                pass
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[str] = []
        self.permissions: set[tuple[str, str]] = set()
        self.quotas: dict[str, int] = {}
        self.failing: dict[str, tuple[str, str]] = {}
        self.lost: dict[str, tuple[str, str]] = {}
        self.answers: dict[str, list[dict[str, Any]]] = {}

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if environ["PATH_INFO"].endswith("/invocations"):
            action = "InvokeEndpoint"
            self.asked.append(environ.get("CONTENT_TYPE", ""))
        body = Request(environ).get_data()
        environ["wsgi.input"] = io.BytesIO(body)
        self.permissions |= set(identify(Request(environ), aws.REGION, aws.ACCOUNT).permissions)
        environ["wsgi.input"] = io.BytesIO(body)
        if "SageMaker." in environ.get("HTTP_X_AMZ_TARGET", "") and not action.startswith(
            ("Describe", "List")
        ):
            self.calls.append((action, json.loads(body)))
        if action in self.lost:  # done, but the caller does not hear of it
            Response.from_app(super()._answer, environ)
        if action in self.failing or action in self.lost:
            code, message = self.failing.get(action) or self.lost[action]
            if action == "InvokeEndpoint":  # what the container answered
                shape = {"Message": message, "OriginalMessage": message, "OriginalStatusCode": 400}
                answer = Response(json.dumps(shape), 424, {"x-amzn-errortype": code})
                return answer(environ, start_response)
            answer = Response(json.dumps({"__type": code, "message": message}), 400)
            return answer(environ, start_response)
        if action == "ListServiceQuotas" and self.quotas:
            listed = [{"QuotaName": name, "Value": count} for name, count in self.quotas.items()]
            return Response(json.dumps({"Quotas": listed}))(environ, start_response)
        if action in ("GetDownloadUrlForLayer", "ListServiceQuotas"):  # moto has neither
            answer = Response(json.dumps({"__type": "AccessDeniedException"}), 400)
            return answer(environ, start_response)
        answer = Response.from_app(super()._answer, environ)
        if action in self.answers and answer.status_code == 200:
            more = self.answers[action]
            changed = json.loads(answer.get_data()) | (more.pop(0) if len(more) > 1 else more[0])
            answer.set_data(json.dumps(changed))
        return answer(environ, start_response)

    def client(self, service: str, config: Any = None) -> Any:
        """Return boto3's client."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]

    def forget(self) -> None:
        """Forget what SageMaker has, and nothing else."""
        for backend in sagemaker_backends[aws.ACCOUNT].values():
            backend.reset()

    def objects(self) -> list[str]:
        """Return the keys in the bucket."""
        listed = self.client("s3").list_objects_v2(Bucket=BUCKET)
        return [each["Key"] for each in listed.get("Contents", [])]


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it printed."""
        return json.loads(self.out)


@dataclass
class Commands:
    """Runs commands with a deploy.toml."""

    settings: Path
    lines: list[str] = field(default_factory=list)

    def __call__(self, *arguments: object, poll: bool = True) -> Ended:
        """Run ./deploy.sh in this process."""
        self.settings.write_text("\n".join(self.lines), encoding="utf-8")
        command = [str(each) for each in arguments] + ["--file", str(self.settings)]
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            code = main([*command, "--poll", "0.01"] if poll else command)
        for each in (out, err):
            each.seek(0)
        return Ended(int(code), out.read(), err.read())


def push(account: Account, media_type: str, tag: str) -> None:
    """Put an image with a manifest of a type into the repository."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "tag": tag, **LAYERS})
    account.client("ecr").put_image(
        repositoryName=APPLICATION,
        imageTag=tag,
        imageManifest=manifest,
        imageManifestMediaType=media_type,
    )
