"""
A variant of an endpoint: one model on some instances, or on demand.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_cloud.clock import Clock
from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, Failed
from local_cloud.hosting import models
from local_cloud.hosting.instance import Instance
from local_cloud.records import Record

HEALTH_S = 480  # an instance has 8 minutes to answer its first ping
SERVERLESS_HEALTH_S = 180
IDLE_S = 300  # until a container of a serverless endpoint is taken away; AWS states no figure


class Variant:
    """
    The instances of one variant; ``config`` is its part of the endpoint configuration.
    """

    def __init__(self, cloud: Cloud, endpoint: str, config: Record) -> None:
        self.config = config
        self.name: str = config["VariantName"]
        self.weight: float = config.get("InitialVariantWeight", 1.0)
        self.serverless: dict[str, Any] | None = config.get("ServerlessConfig")
        self.wanted: int = 0 if self.serverless else config.get("InitialInstanceCount", 1)
        self.servable: models.Servable | None = None
        self.instances: list[Instance] = []
        self._cloud = cloud
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._made = 0
        self._ended = False

    def start(self) -> None:
        """
        Fetch the model and start all instances; raises Failed unless all of them are healthy.
        """
        self.servable = models.fetch(self._cloud, self.config["ModelName"])
        # A serverless endpoint too is only in service once its container has answered a ping.
        self._grow(max(self._least(), 1 if self.serverless else 0))
        if self.serverless:
            self._cloud.clock.background(self._shrink_when_idle)

    def scale(self, wanted: int) -> None:
        """
        Come to a number of instances; raises Failed.
        """
        self.wanted = wanted
        more = wanted - len(self.instances)
        if more > 0:
            self._grow(more)
        with self._lock:
            surplus, self.instances = self.instances[wanted:], self.instances[:wanted]
        self._end(surplus)

    def stop(self) -> None:
        """
        Stop all instances and forget the model.
        """
        self.wanted = 0
        with self._lock:
            self._ended = True
            ended, self.instances = self.instances, []
        self._end(ended)
        if self.servable and self.servable.folder:
            self._cloud.discard(self.servable.folder, self.servable.image)

    def take(self) -> Instance:
        """
        Return the instance with the fewest requests, counted as taken; raises AwsError.
        """
        if self.serverless:
            return self._take_on_demand(self.serverless["MaxConcurrency"])
        with self._lock:
            if not self.instances:
                raise AwsError("ServiceUnavailable", f"variant {self.name} has no instance", 503)
            instance = min(self.instances, key=lambda each: each.busy)
            instance.take()
            return instance

    def replace(self, broken: Instance) -> None:
        """
        Put another instance in the place of one that has ended.
        """
        with self._lock:
            if broken not in self.instances:
                return
            self.instances.remove(broken)
        broken.stop()
        if len(self.instances) < self.wanted:
            self._grow(1)

    @property
    def count(self) -> int:
        """
        The number of instances that there are.
        """
        return len(self.instances)

    def _take_on_demand(self, most: int) -> Instance:
        with self._lock:
            for instance in self.instances:
                if not instance.busy:
                    instance.take()
                    return instance
            if len(self.instances) + self._made >= most:
                raise AwsError("ThrottlingException", "Rate exceeded", 429)
            self._made += 1
        try:
            instance = self._started()
        except Failed as error:
            raise AwsError("ModelError", str(error), 424, OriginalStatusCode=500) from None
        finally:
            with self._lock:
                self._made -= 1
        instance.take()
        if not self._kept([instance]):
            instance.give_back()
            self._end([instance])
            raise AwsError("ServiceUnavailable", f"variant {self.name} has ended", 503)
        return instance

    def _kept(self, started: list[Instance]) -> bool:
        with self._lock:
            if not self._ended:
                self.instances += started
            return not self._ended

    def _least(self) -> int:
        if self.serverless:
            return int(self.serverless.get("ProvisionedConcurrency", 0))
        return self.wanted

    def _shrink_when_idle(self) -> None:
        idle_s = self._cloud.clock.real(IDLE_S)
        while self.servable and self.servable.folder:
            self._cloud.clock.pause(min(1.0, idle_s))
            now = time.monotonic()
            with self._lock:
                idle = [
                    each
                    for each in self.instances[self._least() :]
                    if not each.busy and now - each.used > idle_s
                ]
                self.instances = [each for each in self.instances if each not in idle]
            self._end(idle)

    def _grow(self, more: int) -> None:
        with ThreadPoolExecutor(max_workers=max(1, more)) as pool:
            started = [pool.submit(self._started) for _ in range(more)]
        # What has started is kept until the caller stops the variant, also beside a failure.
        failures = [error for each in started if (error := each.exception())]
        good = [each.result() for each in started if not each.exception()]
        if not self._kept(good):
            self._end(good)
        if failures:
            raise failures[0]

    def _started(self) -> Instance:
        assert self.servable  # noqa: S101 - start() came first
        number = f"i-{time.time_ns():017x}"[:19]
        log = (f"/aws/sagemaker/Endpoints/{self._endpoint}", f"{self.name}/{number}")
        options = _limits(self.serverless) if self.serverless else []
        servable = self.servable
        instance = Instance(
            self._cloud,
            servable.image,
            servable.folder,
            servable.environment,
            options,
            log,
            servable.inside,
        )
        reason = (
            f"The primary container for production variant {self.name} did not pass the ping "
            "health check. Please check CloudWatch logs for this endpoint."
        )
        try:
            instance.wait_until_healthy(self._patience_s(self._cloud.clock), reason)
        except BaseException:
            instance.stop()
            raise
        return instance

    def _patience_s(self, clock: Clock) -> float:
        default = SERVERLESS_HEALTH_S if self.serverless else HEALTH_S
        stated = self.config.get("ContainerStartupHealthCheckTimeoutInSeconds", default)
        # However fast the clock is, a real container needs real seconds.
        return max(clock.real(stated), self._cloud.startup_s)

    def _end(self, instances: list[Instance]) -> None:
        if instances:
            with ThreadPoolExecutor(max_workers=len(instances)) as pool:
                list(pool.map(Instance.stop, instances))


def _limits(serverless: dict[str, Any]) -> list[str]:
    """
    Return what docker limits a serverless container by: memory, read-only root, no /dev/shm.
    """
    memory = f"{serverless['MemorySizeInMB']}m"
    return [
        f"--memory={memory}",
        f"--memory-swap={memory}",
        "--read-only",
        "--tmpfs=/tmp:rw,exec,mode=1777",
        "--ipc=none",
    ]
