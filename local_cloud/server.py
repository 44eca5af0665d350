"""
The cloud as a whole: put together, started on a port of 127.0.0.1, stopped.
"""

import json
import logging
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from local_cloud.admin import Admin
from local_cloud.alarms import Alarms
from local_cloud.application import Application
from local_cloud.calls import RUNTIME
from local_cloud.cloud import Cloud
from local_cloud.control import ControlPlane
from local_cloud.errors import unknown
from local_cloud.hosting.asynchronous import Queues
from local_cloud.hosting.endpoints import Endpoints
from local_cloud.hosting.requests import Requests
from local_cloud.jobs.job import Jobs
from local_cloud.jobs.processing import Processing
from local_cloud.jobs.training import Training
from local_cloud.jobs.transform import Transform
from local_cloud.jobs.tuning import Tuning
from local_cloud.journal import Call
from local_cloud.pipelines import Pipelines
from local_cloud.registry import Registry
from local_cloud.scaler import Scaler
from local_cloud.scaling import Scaling
from local_cloud.tagging import Tagging

REGION = "eu-west-1"
STARTUP_S = 60.0  # that a container has in any case, however fast the clock is
log = logging.getLogger("local_cloud")


class LocalCloud:
    """
    Answers at ``url`` from its making until stop(), which removes all that it started.

    ``folder`` is new or empty; ``clock`` is how many times as short as AWS's its waits are. moto's
    records belong to the process: several clouds in one share buckets. The first that starts and
    the last that stops forget them.
    """

    _running = 0

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        region: str = REGION,
        clock: float = 60,
        startup_s: float = STARTUP_S,
    ) -> None:
        LocalCloud._running += 1
        folder.mkdir(parents=True, exist_ok=True)
        self.cloud = cloud = Cloud(folder, region, clock, startup_s)
        self._training = Training(cloud)
        application = Application(cloud, Admin(cloud, self._training.interrupt))
        self._server = make_server(
            "127.0.0.1", port, application, threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        cloud.connect(self.url)

        alarms = Alarms(cloud)
        self.endpoints = endpoints = Endpoints(cloud, alarms)
        requests = Requests(cloud, endpoints)
        scaling = Scaling(cloud, endpoints)
        scaler = Scaler(cloud, endpoints, scaling)
        endpoints.scaled = scaling.scaled
        endpoints.ending.append(scaling.forget)
        alarms.acting.append(scaler.alarmed)
        control = ControlPlane(cloud)
        control.created["Endpoint"] = endpoints.created
        control.described["Endpoint"] = endpoints.describe
        control.handlers |= {
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.update_weights,
            "DeleteEndpoint": endpoints.delete,
        }
        training = Jobs(cloud, "TrainingJob", self._training.work)
        tuning = Tuning(cloud, training)
        for noun, jobs in (
            ("TrainingJob", training),
            ("TransformJob", Jobs(cloud, "TransformJob", Transform(cloud).work)),
            ("ProcessingJob", Jobs(cloud, "ProcessingJob", Processing(cloud).work)),
            ("HyperParameterTuningJob", Jobs(cloud, "HyperParameterTuningJob", tuning.work)),
        ):
            control.created[noun] = jobs.created
            control.handlers[f"Stop{noun}"] = jobs.stop
        control.described["HyperParameterTuningJob"] = tuning.describe
        control.handlers["ListTrainingJobsForHyperParameterTuningJob"] = tuning.list_jobs
        control.handlers |= Registry(cloud).handlers | Pipelines(cloud, control.call).handlers
        self._runtime = {
            "invocations": requests.invoke,
            "invocations-response-stream": requests.stream,
            "async-invocations": Queues(cloud, endpoints, requests).invoke,
        }
        self._control = control
        self._capture = requests.capture
        application.services |= {
            "sagemaker": self._sagemaker,
            "tag": Tagging(cloud),
            "application-autoscaling": scaling,
        }

        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        if LocalCloud._running == 1:
            self._forget()
        cloud.backend.furnish()
        for loop in (
            alarms.look_forever,
            scaler.look_forever,
            cloud.metrics.send_forever,
            requests.capture.write_forever,
        ):
            cloud.clock.background(loop)

    def stop(self) -> None:
        """
        Remove all containers, forget everything, stop answering.
        """
        self.cloud.clock.stop()
        self.cloud.engine.clear()
        LocalCloud._running -= 1
        if not LocalCloud._running:
            self._forget()
        self._server.shutdown()
        self._server.server_close()

    def _forget(self) -> None:
        reset = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")  # noqa: S310
        with urllib.request.urlopen(reset):  # noqa: S310
            pass

    def _sagemaker(self, call: Call, request: Request) -> Response:
        if invoked := RUNTIME.fullmatch(request.path):
            return self._runtime[invoked[2]](invoked[1], request)
        if not request.headers.get("X-Amz-Target", "").startswith("SageMaker."):
            raise unknown(call.service, call.action)
        answer = self._control.call(call.action, call.asked)
        return Response(json.dumps(answer), content_type="application/x-amz-json-1.1")


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        if type == "error":
            log.error(message, *args)


@contextmanager
def local_cloud(folder: Path, **settings: Any) -> Iterator[LocalCloud]:
    """
    Run a cloud for as long as the context lasts.
    """
    started = LocalCloud(folder, **settings)
    try:
        yield started
    finally:
        started.stop()
