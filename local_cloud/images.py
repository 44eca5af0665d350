"""
Pushing without a registry: moto's ECR is told of an image that the Docker engine has.
"""

import hashlib
import json
from contextlib import suppress
from typing import Any

from local_cloud.cloud import Cloud

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def push(cloud: Cloud, image: str, name: str | None = None) -> str:
    """
    Return the ECR address, by digest, that stands for an image from now on.

    ``name`` is REPOSITORY[:TAG], by default the image's own name.
    """
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
    path, slash, last = (name or image).rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{path}{slash}{last}"
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
            imageTag=tag or "latest",
            imageDigest=digest,
        )
    address = f"{found['repositoryUri']}@{digest}"
    cloud.engine.register(address, identity)
    cloud.engine.register(f"{found['repositoryUri']}:{tag or 'latest'}", identity)
    return address
