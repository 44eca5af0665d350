"""
Processing jobs: any program of an image, with inputs and outputs below /opt/ml/processing.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.engine import EngineError
from local_cloud.errors import Failed
from local_cloud.jobs import inputs
from local_cloud.jobs.job import Job
from local_cloud.records import Record

GROUP = "/aws/sagemaker/ProcessingJobs"
STOP_S = 120
LOOK_S = 0.1
MOST_RUNTIME_S = 86_400


class Processing:
    """
    Carries out one processing job after the other, on one host each.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def work(self, job: Job) -> dict[str, Any]:
        """
        Do a job from its inputs to its outputs; raises Failed.
        """
        record = job.record
        image = self._cloud.engine.image(record["AppSpecification"]["ImageUri"])
        if image is None:
            raise Failed("ClientError: the image is not here any more")
        folder = self._cloud.new_folder("processing")
        try:
            mounts = self._mounts(record, folder)
            self._cloud.records.change(record, ProcessingStartTime=self._cloud.clock.now())
            code = self._run(job, image, mounts)
            self._cloud.take_over(folder, image)
            said = folder / "output/message"
            if code and not job.stopping.is_set():
                text = said.read_text("utf-8", "replace")[:900] if said.exists() else ""
                raise Failed(f"AlgorithmError: {text}, exit code: {code}")
            self._upload(record, folder)
            return {"ExitMessage": said.read_text("utf-8", "replace") if said.exists() else None}
        finally:
            self._cloud.records.change(record, ProcessingEndTime=self._cloud.clock.now())
            self._cloud.discard(folder, image)

    def _mounts(self, record: Record, folder: Path) -> list[tuple[Path, str, bool]]:
        mounts = []
        for name, content in (
            ("processingjobconfig", _plain(record)),
            ("resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]}),
        ):
            (folder / "config").mkdir(exist_ok=True)
            (folder / f"config/{name}.json").write_text(json.dumps(content), encoding="utf-8")
        mounts.append((folder / "config", "/opt/ml/config", True))
        (folder / "output").mkdir(mode=0o777)
        mounts.append((folder / "output", "/opt/ml/output", False))
        for given in record.get("ProcessingInputs", []):
            source = given["S3Input"]
            place = folder / f"input-{given['InputName']}"
            place.mkdir()
            inputs.fetch(self._cloud.store, inputs.objects(self._cloud.store, source), place)
            mounts.append((place, source["LocalPath"], False))
        for wanted in record.get("ProcessingOutputConfig", {}).get("Outputs", []):
            place = folder / f"output-{wanted['OutputName']}"
            place.mkdir()
            place.chmod(0o777)
            mounts.append((place, wanted["S3Output"]["LocalPath"], False))
        return mounts

    def _run(self, job: Job, image: str, mounts: list[tuple[Path, str, bool]]) -> int:
        record, engine = job.record, self._cloud.engine
        specification = record["AppSpecification"]
        entry = specification.get("ContainerEntrypoint", [])
        command = [*entry[1:], *specification.get("ContainerArguments", [])]
        options = [f"--entrypoint={entry[0]}"] if entry else []
        if record.get("NetworkConfig", {}).get("EnableNetworkIsolation"):
            options.append("--network=none")
        environment = {"AWS_REGION": self._cloud.region, **record.get("Environment", {})}
        environment["PROCESSING_JOB_NAME"] = record["ProcessingJobName"]
        try:
            container = engine.start(image, command, environment, mounts, options)
        except EngineError as error:
            raise Failed(f"ClientError: the container could not be started: {error}") from None
        stream = f"{record['ProcessingJobName']}/algo-1-{int(time.time())}"
        log = self._cloud.log(container, GROUP, stream)
        limit = record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", MOST_RUNTIME_S)
        end = time.monotonic() + limit
        try:
            with ThreadPoolExecutor(max_workers=1) as pool:
                code = pool.submit(engine.exit_code, container)
                while not code.done():
                    if time.monotonic() > end:
                        job.stopping.set()
                    if job.stopping.is_set():
                        engine.stop(container, STOP_S)
                        break
                    self._cloud.clock.pause(LOOK_S)
            log.wait()
            return code.result()
        finally:
            engine.remove(container)

    def _upload(self, record: Record, folder: Path) -> None:
        for wanted in record.get("ProcessingOutputConfig", {}).get("Outputs", []):
            place = folder / f"output-{wanted['OutputName']}"
            self._cloud.store.upload(place, wanted["S3Output"]["S3Uri"])


def _plain(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(record, default=str))
    return plain
