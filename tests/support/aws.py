"""
AWS for tests: moto answers the API calls, a real registry takes the images.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # comes without types
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

ACCOUNT = "123456789012"  # moto's
REGION = "eu-west-1"
PASSWORD = f"{ACCOUNT}-auth-token"  # what moto's GetAuthorizationToken gives out, always

# htpasswd -Bbn -C 4 AWS PASSWORD
USERS = "AWS:$2y$04$6BGHnbqc4z0qiSVJAndUzOkRtJ8h5ZYJFAuxXJXrUNF6wkZpUGqlS"
OTHER_USERS = "AWS:$2y$04$SXiUrMM1HzFj7a6rI/gM7OF4AziGQqAzOtVbYTaE.omaJobVJPMQq"

DOCKER_V2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """
    Debian's docker-registry on a port of 127.0.0.1, where engines speak plain HTTP.
    """

    def __init__(self, folder: Path, users: str) -> None:
        """
        Start it; raises AssertionError when the program is missing or does not start.
        """
        program = shutil.which("docker-registry")
        assert program, "docker-registry is not installed; on Debian: apt-get install it"
        (folder / "htpasswd").write_text(users + "\n", encoding="utf-8")
        settings = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
            "http": {"addr": "127.0.0.1:0"},
            "auth": {"htpasswd": {"realm": "ECR", "path": str(folder / "htpasswd")}},
        }
        (folder / "config.yml").write_text(json.dumps(settings), encoding="utf-8")
        self._process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr
        said = ""
        for line in self._process.stderr:
            said += line
            if listening := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                self.host = listening[1]
                break
        else:
            raise AssertionError(f"docker-registry ended:\n{said}")
        # Otherwise it would stop once the pipe is full.
        self._log = threading.Thread(target=self._process.communicate, daemon=True)
        self._log.start()

    def stop(self) -> None:
        """
        End the process.
        """
        self._process.terminate()
        self._log.join()  # closes the pipe

    def request(
        self, path: str, method: str = "GET", body: bytes | None = None, content_type: str = ""
    ) -> tuple[bytes, str, str]:
        """
        Return body, media type and digest; raises urllib.error.HTTPError.
        """
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", body, method=method)
        user = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {user}")
        request.add_header("Accept", f"{DOCKER_V2}, {OCI_INDEX}, {OCI_IMAGE}")
        if content_type:
            request.add_header("Content-Type", content_type)
        with urllib.request.urlopen(request) as answer:
            digest = answer.headers.get("Docker-Content-Digest", "")
            return answer.read(), answer.headers.get("Content-Type", ""), digest

    def tags(self, repository: str) -> list[str]:
        """
        Return the repository's tags, none when nothing was ever pushed to it.
        """
        try:
            body, _, _ = self.request(f"{repository}/tags/list")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return sorted(json.loads(body)["tags"] or [])


class Api:
    """
    AWS's API by moto; it knows what was pushed to the registry, as ECR does.

    Actions named in ``denied`` are refused as for somebody without the permission. ``domain``
    stands in the addresses of repositories, because moto knows no partition but AWS's first.
    """

    def __init__(self, registry: Registry | None) -> None:
        """
        Start it on a free port of 127.0.0.1.
        """
        self.denied: set[str] = set()
        self.domain = "amazonaws.com"
        self._registry = registry
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """
        Forget everything and stop.
        """
        reset = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        with urllib.request.urlopen(reset):
            pass
        self._server.shutdown()
        self._server.server_close()

    def ecr(self, region: str = REGION) -> Any:
        """
        Return boto3's client.
        """
        return boto3.client(
            "ecr",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if action in self.denied:
            message = (
                f"User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: "
                f"ecr:{action} because no identity-based policy allows the ecr:{action} action"
            )
            body = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
            start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
            return [body]
        if action == "DescribeImages" and self._registry:
            self._learn(self._registry)
        answer = Response.from_app(self._moto, environ)
        if action in ("DescribeRepositories", "CreateRepository"):
            answer.data = answer.data.replace(b".amazonaws.com/", f".{self.domain}/".encode())
        return answer(environ, start_response)

    def _learn(self, registry: Registry) -> None:
        ecr = self.ecr()
        for repository in ecr.describe_repositories()["repositories"]:
            name = repository["repositoryName"]
            images = ecr.list_images(repositoryName=name)["imageIds"]
            known = {(image.get("imageTag"), image["imageDigest"]) for image in images}
            for tag in registry.tags(name):
                manifest, media_type, digest = registry.request(f"{name}/manifests/{tag}")
                if (tag, digest) in known:
                    continue
                ecr.put_image(
                    repositoryName=name,
                    imageTag=tag,
                    imageManifest=manifest.decode(),
                    imageManifestMediaType=media_type,
                    imageDigest=digest,
                )


def environment(folder: Path, **more: str) -> dict[str, str]:
    """
    Return an environment without the caller's AWS and Docker settings; homes are in ``folder``.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SAGEMAKER_", "ECR_")) and name != "PLATFORM"
    }
    programs = Path(sys.executable).parent  # the locked aws
    return kept | {
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "HOME": str(folder),
        "DOCKER_CONFIG": str(folder / ".docker"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        **more,
    }


def credentials(api: Api) -> dict[str, str]:
    """
    Return the variables that lead the AWS command line to ``api``.
    """
    return {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "the-secret-access-key",
    }


@contextlib.contextmanager
def registry(folder: Path, users: str = USERS) -> Iterator[Registry]:
    """
    Run a registry that keeps its images in ``folder``.
    """
    folder.mkdir()
    started = Registry(folder, users)
    try:
        yield started
    finally:
        started.stop()


@contextlib.contextmanager
def api(behind: Registry | None = None) -> Iterator[Api]:
    """
    Run the API in front of a registry, or of none.
    """
    started = Api(behind)
    try:
        yield started
    finally:
        started.stop()
