"""
A running endpoint: the fleets that have its traffic, and its summary in DescribeEndpoint.
"""

from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.engine import EngineError
from local_cloud.errors import AwsError
from local_cloud.hosting.fleet import Fleet, Turns
from local_cloud.hosting.instance import Instance
from local_cloud.hosting.variant import Variant
from local_cloud.records import Record


class Endpoint:
    """
    What runs behind a record. ``routes`` has the share of the traffic that each fleet takes.
    """

    def __init__(self, cloud: Cloud, record: Record) -> None:
        self.name: str = record["EndpointName"]
        self.record = record
        self.routes: list[tuple[float, Fleet]] = []
        self.pending: Fleet | None = None
        self.phase = ""
        self._cloud = cloud
        self._turns = Turns()

    @property
    def fleet(self) -> Fleet:
        """
        The fleet of the configuration that the endpoint has.
        """
        return self.routes[0][1]

    def choose(self, target: str = "") -> Variant:
        """
        Return the variant that answers the next request; raises AwsError for an unknown target.
        """
        fleet = self._turns.choose(self.routes)
        return fleet.variant(target) if target else fleet.choose()

    def take(self, target: str = "") -> tuple[Variant, Instance]:
        """
        Return an instance, counted as taken, and its variant; raises AwsError.
        """
        variant = self.choose(target)
        try:
            return variant, variant.take()
        except AwsError:
            # The fleet was stopped in between: its traffic has gone to the other one already.
            variant = self.choose(target)
            return variant, variant.take()

    def summary(self) -> dict[str, Any]:
        """
        Return the part of DescribeEndpoint that changes by itself.
        """
        if not self.routes:
            return {}
        config = self.fleet.config
        found: dict[str, Any] = {
            "ProductionVariants": [self._variant(each) for each in self.fleet.variants],
        }
        if self.fleet.shadows:
            found["ShadowProductionVariants"] = [self._variant(each) for each in self.fleet.shadows]
        for name in ("DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig"):
            if name in config:
                found[name] = config[name]
        if capture := config.get("DataCaptureConfig"):
            found["DataCaptureConfig"] = {
                "EnableCapture": capture.get("EnableCapture", True),
                "CaptureStatus": "Started" if capture.get("EnableCapture", True) else "Stopped",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        if self.pending:
            found["PendingDeploymentSummary"] = {
                "EndpointConfigName": self.pending.config["EndpointConfigName"],
                "StartTime": self.record["LastModifiedTime"],
                "ProductionVariants": [
                    self._variant(each, self.phase) for each in self.pending.variants
                ],
            }
        return found

    def _variant(self, variant: Variant, phase: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {
            "VariantName": variant.name,
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "DeployedImages": self._images(variant),
        }
        if variant.serverless:
            found["CurrentServerlessConfig"] = variant.serverless
            found["DesiredServerlessConfig"] = variant.serverless
        else:
            found["CurrentInstanceCount"] = variant.count
            found["DesiredInstanceCount"] = variant.wanted
        for name in ("InstanceType", "RoutingConfig"):
            if name in variant.config:
                found[name] = variant.config[name]
        if phase:
            found["VariantStatus"] = [{"Status": phase, "StartTime": self._cloud.clock.now()}]
        return found

    def _images(self, variant: Variant) -> list[dict[str, Any]]:
        if not variant.servable:
            return []
        specified = variant.servable.specified
        return [
            {
                "SpecifiedImage": specified,
                "ResolvedImage": self._resolved(specified, variant.servable.image),
                "ResolutionTime": variant.servable.fetched,
            }
        ]

    def _resolved(self, specified: str, image: str) -> str:
        if "@" in specified:
            return specified
        try:
            digest = str(self._cloud.engine.describe(image)["Id"])
        except EngineError:
            return specified
        name, colon, tag = specified.rpartition(":")
        repository = name if colon and "/" not in tag else specified
        return f"{repository}@{digest}"
