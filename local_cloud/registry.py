"""
The model registry: packages have a version in their group, an approval, and no name of their own.
"""

from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, invalid
from local_cloud.records import Record


class Registry:
    """
    The calls about model packages and their groups.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.handlers = {
            "CreateModelPackage": self._create,
            "UpdateModelPackage": self._update,
            "DeleteModelPackage": self._delete,
            "DeleteModelPackageGroup": self._delete_group,
        }

    def _create(self, asked: Record) -> Record:
        records = self._cloud.records
        asked = {name: value for name, value in asked.items() if name != "ClientToken"}
        group = asked.get("ModelPackageGroupName", "").rpartition("/")[2]
        if bool(group) == bool(asked.get("ModelPackageName")):
            raise invalid("Exactly one of ModelPackageName and ModelPackageGroupName is required")
        if not group:
            name = str(asked["ModelPackageName"])
            return records.create("ModelPackage", name, asked)
        with records.lock:
            records.get("ModelPackageGroup", group)
            if asked.get("Tags"):
                raise invalid("Tags are the group's: a versioned model package has none")
            versions = [each["ModelPackageVersion"] for each in self._versions(group)]
            version = max(versions, default=0) + 1
            record = records.create("ModelPackage", f"{group}/{version}", asked)
            # The name of a versioned package is its group's; the version makes it unique.
            record |= {
                "ModelPackageGroupName": group,
                "ModelPackageVersion": version,
                "ModelApprovalStatus": asked.get("ModelApprovalStatus", "PendingManualApproval"),
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            }
        return record

    def _update(self, asked: Record) -> Record:
        record = self._cloud.records.get("ModelPackage", asked["ModelPackageArn"])
        changes: dict[str, Any] = {
            name: value
            for name, value in asked.items()
            if name not in ("ModelPackageArn", "ClientToken")
        }
        properties = dict(record.get("CustomerMetadataProperties", {}))
        properties |= changes.pop("CustomerMetadataProperties", {})
        for name in changes.pop("CustomerMetadataPropertiesToRemove", []):
            properties.pop(name, None)
        more = changes.pop("AdditionalInferenceSpecificationsToAdd", [])
        if more:
            kept = record.get("AdditionalInferenceSpecifications", [])
            changes["AdditionalInferenceSpecifications"] = [*kept, *more]
        if card := changes.get("ModelCard"):
            changes["ModelCard"] = record.get("ModelCard", {}) | card
        self._cloud.records.change(record, CustomerMetadataProperties=properties or None, **changes)
        return record

    def _delete(self, asked: Record) -> Record:
        self._cloud.records.delete("ModelPackage", asked["ModelPackageName"])
        return {}

    def _delete_group(self, asked: Record) -> Record:
        name = asked["ModelPackageGroupName"].rpartition("/")[2]
        self._cloud.records.get("ModelPackageGroup", name)
        if self._versions(name):
            raise AwsError(
                "ConflictException",
                "Model Package Group cannot be deleted because it still contains Model Packages",
            )
        self._cloud.records.delete("ModelPackageGroup", name)
        return {}

    def _versions(self, group: str) -> list[Record]:
        return [
            each
            for each in self._cloud.records.all("ModelPackage")
            if each.get("ModelPackageGroupName") == group
        ]
