"""
The image in ECR: which one, by digest, and whether SageMaker can run it.
"""

import json
import re
import urllib.request
from dataclasses import dataclass

from botocore.exceptions import ClientError

from deploy.errors import UsageError
from deploy.session import Session, client

DOCKER_V2 = "application/vnd.docker.distribution.manifest.v2+json"
OTHERS = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
]
ADDRESS = re.compile(
    r"(?:(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.[a-z.]+/)?(?P<repository>[a-z0-9][a-z0-9._/-]+)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
GRAVITON = re.compile(r"ml\.[a-z]+\d+g")  # ml.m7gd.large; of ml.g5 and ml.g4dn the g is the family


@dataclass(frozen=True)
class Image:
    """
    An image by digest; ``architecture`` is empty where it cannot be known.
    """

    uri: str
    media_type: str
    architecture: str


def find(session: Session, name: str = "") -> Image:
    """
    Return the image that a name stands for: of a repository alone, the one pushed last.

    Raises UsageError when there is none.
    """
    name = name or session.settings.image or session.settings.application
    match = ADDRESS.fullmatch(name)
    if not match:
        raise UsageError(f"the image is '{name}'; expected a repository in ECR such as my-model:v1")
    ecr, repository = client(session, "ecr"), match["repository"]
    account = {"registryId": match["account"]} if match["account"] else {}
    where = {"repositoryName": repository, **account}
    try:
        listed = ecr.describe_repositories(repositoryNames=[repository], **account)["repositories"]
        if match["digest"]:
            wanted = [{"imageDigest": match["digest"]}]
        elif match["tag"]:
            wanted = [{"imageTag": match["tag"]}]
        else:
            pages = ecr.get_paginator("describe_images").paginate(**where)
            newest = max(
                (each for page in pages for each in page["imageDetails"]),
                key=lambda each: each["imagePushedAt"],
                default=None,
            )
            if newest is None:
                raise UsageError(f"the repository '{repository}' is empty; {_push(repository)}")
            wanted = [{"imageDigest": newest["imageDigest"]}]
        found = ecr.batch_get_image(
            imageIds=wanted, acceptedMediaTypes=[DOCKER_V2, *OTHERS], **where
        )["images"]
    except ecr.exceptions.RepositoryNotFoundException:
        raise UsageError(f"there is no repository '{repository}'; {_push(repository)}") from None
    if not found:
        raise UsageError(f"there is no image '{name}'; {_push(repository)}")
    digest = found[0]["imageId"]["imageDigest"]
    manifest = json.loads(found[0]["imageManifest"])
    media_type = found[0].get("imageManifestMediaType") or manifest.get("mediaType", DOCKER_V2)
    return Image(
        f"{listed[0]['repositoryUri']}@{digest}",
        media_type,
        _architecture(session, where, manifest),
    )


def _push(repository: str) -> str:
    return (
        f"push one: ./build_and_push.sh {repository}, in the local cloud: "
        f"local_test/cloud.sh push {repository}"
    )


def _architecture(session: Session, where: dict[str, str], manifest: dict) -> str:
    """
    Return what the image's configuration says, or nothing where it cannot be read.
    """
    try:
        blob = client(session, "ecr").get_download_url_for_layer(
            layerDigest=manifest["config"]["digest"], **where
        )["downloadUrl"]
        if not blob.startswith("https://"):
            return ""
        with urllib.request.urlopen(blob, timeout=10) as answer:  # noqa: S310 - https, see above
            return str(json.load(answer)["architecture"])
    except (ClientError, KeyError, OSError, ValueError):
        return ""


def check(image: Image, instance_type: str = "", trains: bool = False) -> None:
    """
    Raise UsageError for an image that SageMaker refuses, or that the instances cannot run.
    """
    if image.media_type != DOCKER_V2:
        raise UsageError(
            f"SageMaker would refuse {image.uri}:\nits manifest is {image.media_type}, expected "
            f"{DOCKER_V2}; push it by ./build_and_push.sh, which makes and checks that"
        )
    graviton = bool(GRAVITON.match(instance_type))
    if graviton and trains:
        raise UsageError(
            f"{instance_type} has arm64 processors; jobs run on amd64 only: ml.m5.large"
        )
    wanted = "arm64" if graviton else "amd64"
    if image.architecture and image.architecture != wanted:
        raise UsageError(
            f"{image.uri} is for {image.architecture}, not {wanted} "
            f"({instance_type or 'serverless'}); "
            f"build it so: PLATFORM=linux/{wanted} ./build_and_push.sh NAME TAG"
        )
