"""
What the application owns in the account: all that carries its tag.
"""

import os
from dataclasses import dataclass
from typing import Any

from deploy.session import ENDPOINT_TAG, TAG, Session, client

KINDS = {
    "endpoint": "endpoint",
    "endpoint-config": "endpoint_config",
    "model": "model",
    "training-job": "training_job",
    "transform-job": "transform_job",
    "pipeline": "pipeline",
    "model-package-group": "model_package_group",
    "alarm": "alarm",
}


@dataclass(frozen=True)
class Owned:
    """
    A thing with its tags.
    """

    kind: str
    name: str
    tags: dict[str, str]

    @property
    def endpoint(self) -> str:
        """
        The endpoint that it belongs to, if any.
        """
        return self.name if self.kind == "endpoint" else self.tags.get(ENDPOINT_TAG, "")


def find(session: Session) -> list[Owned]:
    """
    Return everything that carries the application's tag, ordered by kind and name.
    """
    pages = client(session, "resourcegroupstaggingapi").get_paginator("get_resources")
    wanted = [{"Key": TAG, "Values": [session.settings.application]}]
    found = []
    for page in pages.paginate(TagFilters=wanted):
        for each in page["ResourceTagMappingList"]:
            resource = each["ResourceARN"].split(":", 5)[5]
            kind, name = (
                resource.replace(":", "/", 1).split("/", 1)
                if set(resource) & set(":/")
                else ("", resource)
            )
            if kind in KINDS:
                tags = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
                found.append(Owned(KINDS[kind], _as_given(name, tags), tags))
    return sorted(found, key=lambda each: (each.kind, each.name))


def _as_given(name: str, tags: dict[str, str]) -> str:
    """
    Return a name as it was given: SageMaker writes the names in its ARNs in lower case.
    """
    base = tags.get(ENDPOINT_TAG) or tags[TAG]
    same = len(os.path.commonprefix([name.lower(), base.lower()]))  # noqa: RUF071 - no paths
    return base[:same] + name[same:]


def scaled(session: Session, endpoint: str) -> list[dict[str, Any]]:
    """
    Return the scalable targets of an endpoint's variants.
    """
    pages = client(session, "application-autoscaling").get_paginator("describe_scalable_targets")
    return [
        each
        for page in pages.paginate(ServiceNamespace="sagemaker")
        for each in page["ScalableTargets"]
        if each["ResourceId"].startswith(f"endpoint/{endpoint}/")
    ]
