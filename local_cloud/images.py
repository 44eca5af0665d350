"""
Pushing without a registry: moto's ECR is told of an image that the Docker engine has.
"""

import hashlib
import json
import re
from contextlib import suppress
from typing import Any

from local_cloud.cloud import Cloud

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
# ECR's rules for a repository's name and a tag.
NAME = re.compile(
    r"(?P<repository>(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?",
    re.ASCII,
)


def push(cloud: Cloud, image: str, name: str | None = None) -> str:
    """
    Return the ECR address, by digest, that stands for an image from now on.

    ``name`` is REPOSITORY[:TAG], by default the image's own name. Raises ValueError for others.
    """
    wanted = NAME.fullmatch(name or image)
    if not wanted:
        raise ValueError(
            f"'{name or image}' is not REPOSITORY[:TAG]; expected small letters, digits and single "
            "-, _, . or / between them, such as team/my-model:v1"
        )
    described: dict[str, Any] = cloud.engine.describe(image)
    identity = described["Id"]
    # The sizes are the whole image's, because the engine does not say what its parts have.
    layers = [
        {"mediaType": LAYER, "size": described.get("Size", 0), "digest": each}
        for each in described.get("RootFS", {}).get("Layers", [])
    ]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": 1, "digest": identity},
            "layers": layers,
        }
    )
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    repository, tag = wanted["repository"], wanted["tag"] or "latest"
    ecr = cloud.backend.client("ecr")
    try:
        found = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    except ecr.exceptions.RepositoryNotFoundException:
        found = ecr.create_repository(repositoryName=repository)["repository"]
    with suppress(ecr.exceptions.ImageAlreadyExistsException):  # the same image, the same tag
        ecr.put_image(
            repositoryName=repository,
            imageManifest=manifest,
            imageManifestMediaType=MANIFEST,
            imageTag=tag,
            imageDigest=digest,
        )
    address = f"{found['repositoryUri']}@{digest}"
    cloud.engine.register(address, identity)
    cloud.engine.register(f"{found['repositoryUri']}:{tag}", identity)
    return address
