"""
The endpoints, and the calls that change them.
"""

from collections.abc import Callable

from local_cloud import rules
from local_cloud.alarms import Alarms
from local_cloud.clock import Stopped
from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, Failed, invalid, reason
from local_cloud.hosting.deployments import Deployment, watched
from local_cloud.hosting.endpoint import Endpoint
from local_cloud.hosting.fleet import Fleet
from local_cloud.records import Record

READY = ("InService",)
ANSWERING = ("InService", "Updating", "RollingBack", "SystemUpdating")


class Endpoints:
    """
    What runs, by the endpoint's name. ``ending`` is told the name of an endpoint that is deleted,
    ``scaled`` is asked which of its variants are scaled automatically.
    """

    def __init__(self, cloud: Cloud, alarms: Alarms) -> None:
        self._cloud = cloud
        self._alarms = alarms
        self._running: dict[str, Endpoint] = {}
        self.ending: list[Callable[[str], None]] = []
        self.scaled: Callable[[str], set[str]] = lambda _: set()

    def find(self, name: str) -> Endpoint | None:
        """
        Return an endpoint in whatever state it is.
        """
        return self._running.get(name)

    def answering(self, name: str) -> Endpoint:
        """
        Return an endpoint that takes requests; raises AwsError.
        """
        endpoint = self._running.get(name)
        if endpoint is None or endpoint.record["EndpointStatus"] not in ANSWERING:
            raise AwsError(
                "ValidationError", f"Endpoint {name} of account {self._cloud.account} not found."
            )
        return endpoint

    def created(self, record: Record) -> None:
        """
        Start what CreateEndpoint asked for.
        """
        endpoint = Endpoint(self._cloud, record)
        self._running[endpoint.name] = endpoint
        config = self._cloud.records.get("EndpointConfig", record["EndpointConfigName"])
        self._cloud.clock.background(
            self._start, endpoint, Fleet(self._cloud, endpoint.name, config)
        )

    def describe(self, record: Record) -> Record:
        """
        Return the record with what changes by itself.
        """
        endpoint = self._running.get(record["EndpointName"])
        return record | endpoint.summary() if endpoint else record

    def update(self, asked: Record) -> Record:
        """
        UpdateEndpoint.
        """
        records = self._cloud.records
        with records.lock:
            record = self._ready(asked["EndpointName"])
            config = records.get("EndpointConfig", asked["EndpointConfigName"])
            endpoint = self._running[record["EndpointName"]]
            asked = dict(asked)
            if asked.get("RetainDeploymentConfig") and "DeploymentConfig" not in asked:
                asked["DeploymentConfig"] = record.get("LastDeploymentConfig")
            if missing := self._alarms.unknown(watched(asked)):
                raise invalid(f"Alarms that do not exist: {', '.join(missing)}")
            rules.check_update(asked, endpoint.fleet, config)
            rules.check_scaled(self.scaled(endpoint.name), endpoint.fleet, config)
            records.change(
                record,
                EndpointStatus="Updating",
                FailureReason=None,
                LastDeploymentConfig=asked.get("DeploymentConfig"),
            )
        deployment = Deployment(self._cloud, self._alarms, endpoint, config, asked)
        self._cloud.clock.background(deployment.run)
        return record

    def update_weights(self, asked: Record) -> Record:
        """
        UpdateEndpointWeightsAndCapacities.
        """
        with self._cloud.records.lock:
            record = self._ready(asked["EndpointName"])
            endpoint = self._running[record["EndpointName"]]
            known = {each.name for each in endpoint.fleet.variants}
            rules.check_capacities(asked["DesiredWeightsAndCapacities"], endpoint.fleet)
            for wanted in asked["DesiredWeightsAndCapacities"]:
                if wanted["VariantName"] not in known:
                    raise invalid(f"Variant {wanted['VariantName']} not found in {endpoint.name}")
            self._cloud.records.change(record, EndpointStatus="Updating", FailureReason=None)
        self._cloud.clock.background(self._scale, endpoint, asked["DesiredWeightsAndCapacities"])
        return record

    def delete(self, asked: Record) -> Record:
        """
        DeleteEndpoint.
        """
        records = self._cloud.records
        with records.lock:
            record = records.get("Endpoint", asked["EndpointName"])
            if record["EndpointStatus"] not in (*READY, "Failed", "OutOfService"):
                raise _in_progress(record)
            records.change(record, EndpointStatus="Deleting")
        self._cloud.clock.background(self._end, self._running[record["EndpointName"]])
        return {}

    def _ready(self, name: str) -> Record:
        record = self._cloud.records.get("Endpoint", name)
        if record["EndpointStatus"] not in READY:
            raise _in_progress(record)
        return record

    def _start(self, endpoint: Endpoint, fleet: Fleet) -> None:
        try:
            self._cloud.faults.strike(endpoint.name)
            fleet.start()
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the endpoint has failed
            fleet.stop()
            self._cloud.records.change(
                endpoint.record, EndpointStatus="Failed", FailureReason=reason(error)
            )
            return
        endpoint.routes = [(1.0, fleet)]
        self._cloud.records.change(endpoint.record, EndpointStatus="InService")

    def _scale(self, endpoint: Endpoint, wanted: list[Record]) -> None:
        why = None
        for each in wanted:
            variant = endpoint.fleet.variant(each["VariantName"])
            variant.weight = each.get("DesiredWeight", variant.weight)
            if serverless := each.get("ServerlessUpdateConfig"):
                variant.serverless = (variant.serverless or {}) | serverless
            try:
                if "DesiredInstanceCount" in each:
                    variant.scale(each["DesiredInstanceCount"])
            except Failed as error:
                why = str(error)
                variant.wanted = variant.count
        self._cloud.records.change(endpoint.record, EndpointStatus="InService", FailureReason=why)

    def _end(self, endpoint: Endpoint) -> None:
        for told in self.ending:
            told(endpoint.name)
        for _, fleet in endpoint.routes:
            fleet.stop()
        del self._running[endpoint.name]
        self._cloud.records.delete("Endpoint", endpoint.name)


def _in_progress(record: Record) -> AwsError:
    return invalid(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
