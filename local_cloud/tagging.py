"""
tag:GetResources, for SageMaker's resources beside moto's.
"""

import json
from typing import Any

from werkzeug.wrappers import Request, Response

from local_cloud.cloud import Cloud
from local_cloud.errors import unknown
from local_cloud.journal import Call


class Tagging:
    """
    Answers the Resource Groups Tagging API.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __call__(self, call: Call, request: Request) -> Response:
        """
        Answer a call in JSON; raises AwsError for all but GetResources.
        """
        if call.action != "GetResources":
            raise unknown(call.service, call.action)
        asked = call.asked
        client = self._cloud.backend.client("resourcegroupstaggingapi")
        found: list[dict[str, Any]] = client.get_resources(
            **{name: value for name, value in asked.items() if name in ("TagFilters",)}
        )["ResourceTagMappingList"]
        found += [
            {
                "ResourceARN": arn,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
            for arn, tags in self._cloud.records.tagged()
            if tags and _wanted(asked.get("TagFilters", []), tags)
        ]
        kinds = asked.get("ResourceTypeFilters", [])
        found = [each for each in found if _is_of(each["ResourceARN"], kinds)]
        answer = {"ResourceTagMappingList": found, "PaginationToken": ""}
        return Response(json.dumps(answer), content_type="application/x-amz-json-1.1")


def _wanted(filters: list[dict[str, Any]], tags: dict[str, str]) -> bool:
    return all(
        each["Key"] in tags and (not each.get("Values") or tags[each["Key"]] in each["Values"])
        for each in filters
    )


def _is_of(arn: str, kinds: list[str]) -> bool:
    """
    Tell whether an ARN is of a kind such as sagemaker or sagemaker:endpoint.
    """
    _, _, service, _, _, resource = arn.split(":", 5)
    whole = f"{service}:{resource.partition('/')[0]}"
    return not kinds or any(kind in (service, whole) for kind in kinds)
