"""
Training jobs.
"""

import re
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.engine import EngineError
from local_cloud.errors import Failed
from local_cloud.jobs import hosts as job_hosts
from local_cloud.jobs import pipes
from local_cloud.jobs.checkpoints import Checkpoints
from local_cloud.jobs.hosts import Host
from local_cloud.jobs.job import Job
from local_cloud.logs import ContainerLog
from local_cloud.records import Record

GROUP = "/aws/sagemaker/TrainingJobs"
STOP_S = 120  # between SIGTERM and SIGKILL
LOOK_S = 0.1
SEND_S = 2.0  # between two looks at the checkpoints
MOST_RUNTIME_S = 86_400
SPOT = "EnableManagedSpotTraining"


class Training:
    """
    Carries out training jobs, each in its own thread.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._interrupted: set[str] = set()

    def interrupt(self, name: str) -> None:
        """
        Take the instances of a spot job away, as AWS does when it needs them.
        """
        jobs = self._cloud.records.all("TrainingJob")
        if not any(each["TrainingJobName"] == name and each.get(SPOT) for each in jobs):
            raise ValueError(
                f"there is no spot training job '{name}'; expected one that was created with "
                f"{SPOT} (./deploy.sh: training.spot = true)"
            )
        self._interrupted.add(name)

    def work(self, job: Job) -> dict[str, Any]:
        """
        Do a job from its data to its archives; raises Failed.
        """
        record = job.record
        image = self._cloud.engine.image(record["AlgorithmSpecification"]["TrainingImage"])
        if image is None:
            raise Failed("ClientError: the image is not here any more")
        run = _Run(self._cloud, job, image)
        self._phase(record, "Starting", "Starting the training job")
        try:
            return self._attempts(run, job)
        except Exception:
            self._phase(record, "Failed", "Training job failed")
            self._cloud.records.change(record, TrainingEndTime=self._cloud.clock.now())
            raise
        finally:
            self._cloud.discard(run.folder, image)

    def _attempts(self, run: "_Run", job: Job) -> dict[str, Any]:
        record, name = job.record, job.record["TrainingJobName"]
        started = time.monotonic()
        self._phase(record, "Downloading", "Downloading input data")
        self._cloud.records.change(record, TrainingStartTime=self._cloud.clock.now())
        while True:
            run.prepare()
            self._phase(record, "Training", "Training image download completed. In progress.")
            ended = run.run(lambda: name in self._interrupted)
            if ended != "Interrupted":
                break
            self._interrupted.discard(name)
            self._phase(record, "Interrupted", "The spot instances were taken away")
            self._phase(record, "Starting", "Starting the training job again")
        if ended:  # Stopping or MaxRuntimeExceeded
            self._phase(record, "Stopping", "Stopping the training job")
        self._phase(record, "Uploading", "Uploading generated training model")
        run.upload()
        seconds = max(1, round(time.monotonic() - started))
        last = {"": "Completed", "Stopping": "Stopped"}.get(ended, ended)
        self._phase(record, last, "Training job completed" if not ended else last)
        now = self._cloud.clock.now()
        return {
            "TrainingJobStatus": "Stopped" if ended else "Completed",
            "TrainingEndTime": now,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
            "FinalMetricDataList": run.metrics(now),
            "ModelArtifacts": {"S3ModelArtifacts": run.model_uri},
        }

    def _phase(self, record: Record, phase: str, message: str) -> None:
        now = self._cloud.clock.now()
        with self._cloud.records.lock:
            transitions = list(record.get("SecondaryStatusTransitions", []))
            if transitions:
                transitions[-1] = transitions[-1] | {"EndTime": now}
            new = {"Status": phase, "StartTime": now, "StatusMessage": message}
            self._cloud.records.change(
                record, SecondaryStatus=phase, SecondaryStatusTransitions=[*transitions, new]
            )


class _Run:
    """
    The containers of one job.
    """

    def __init__(self, cloud: Cloud, job: Job, image: str) -> None:
        self.folder = cloud.new_folder("training")
        self._cloud = cloud
        self._job = job
        self._record = job.record
        self._image = image
        self._hosts: list[Host] = []
        self._logs: list[ContainerLog] = []
        self._checkpoints: Checkpoints | None = None
        config = job.record["OutputDataConfig"]
        self._store = f"{config['S3OutputPath'].rstrip('/')}/{job.record['TrainingJobName']}/output"
        self._packed = config.get("CompressionType", "GZIP") != "NONE"
        self.model_uri = f"{self._store}/model" + (".tar.gz" if self._packed else "/")

    def prepare(self) -> None:
        """
        Make the hosts' folders anew; raises Failed.
        """
        attempt = self.folder / uuid.uuid4().hex[:8]
        self._hosts = job_hosts.prepare(self._cloud, self._record, attempt)
        if config := self._record.get("CheckpointConfig"):
            shared = attempt / "checkpoints"
            shared.mkdir()
            shared.chmod(0o777)
            self._checkpoints = Checkpoints(self._cloud.store, config, shared)

    def run(self, interrupted: Any) -> str:
        """
        Run all hosts to their end. Return nothing, or why they were stopped; raises Failed.
        """
        engine = self._cloud.engine
        network = f"local-cloud-{uuid.uuid4().hex[:12]}" if len(self._hosts) > 1 else ""
        over = threading.Event()
        starts: list[Future[str]] = []
        try:
            if network:
                engine.network(network, bool(self._record.get("EnableNetworkIsolation")))
            # All at once: until the last of them runs, its name is not found by the others.
            with ThreadPoolExecutor(max_workers=len(self._hosts)) as pool:
                starts = [pool.submit(self._start, each, network, over) for each in self._hosts]
            containers = [each.result() for each in starts]
            with ThreadPoolExecutor(max_workers=len(containers)) as pool:
                codes = [pool.submit(engine.exit_code, each) for each in containers]
                try:
                    ended = self._watch(codes, interrupted)
                finally:
                    self._stop_all(containers, codes)
            for log in self._logs:
                log.wait()
            self._cloud.take_over(self.folder, self._image)
            if self._checkpoints:
                self._checkpoints.send()
        finally:
            over.set()
            for each in starts:
                if not each.exception():
                    engine.remove(each.result())
            if network:
                engine.remove_network(network)
        if not ended:
            self._judge([code.result() for code in codes])
        return ended

    def upload(self) -> None:
        """
        Put model and output into S3.
        """
        for part, folder in (("model", "model"), ("output", "output/data")):
            folders = [host.root / folder for host in self._hosts]
            if self._packed:
                self._cloud.store.pack(folders, f"{self._store}/{part}.tar.gz")
            else:
                for each in folders:
                    self._cloud.store.upload(each, f"{self._store}/{part}")

    def metrics(self, now: Any) -> list[dict[str, Any]]:
        """
        Return the last value of each metric in the log.
        """
        text = "\n".join(line for log in self._logs for line in log.lines)
        found = []
        for each in self._record["AlgorithmSpecification"].get("MetricDefinitions", []):
            values = [match[1] for match in re.finditer(each["Regex"], text) if _number(match[1])]
            if values:
                value = {"MetricName": each["Name"], "Value": float(values[-1]), "Timestamp": now}
                found.append(value)
        return found

    def _start(self, host: Host, network: str, over: threading.Event) -> str:
        record = self._record
        environment = {
            "AWS_REGION": self._cloud.region,
            "TRAINING_JOB_NAME": record["TrainingJobName"],
            "TRAINING_JOB_ARN": record["TrainingJobArn"],
            **record.get("Environment", {}),
        }
        mounts = [(host.root, "/opt/ml", False)]
        if self._checkpoints:
            mounts.append((self._checkpoints.folder, self._checkpoints.inside, False))
        options = [f"--hostname={host.name}"]
        if network:
            options += [f"--network={network}", f"--network-alias={host.name}"]
        elif record.get("EnableNetworkIsolation"):
            options.append("--network=none")
        specification = record["AlgorithmSpecification"]
        if entry := specification.get("ContainerEntrypoint"):
            options.append(f"--entrypoint={entry[0]}")
        command = [*(entry or [])[1:], *specification.get("ContainerArguments", [])]
        try:
            container = self._cloud.engine.start(
                self._image, command or ([] if entry else ["train"]), environment, mounts, options
            )
        except EngineError as error:
            raise Failed(f"ClientError: the container could not be started: {error}") from None
        stream = f"{record['TrainingJobName']}/{host.name}-{int(time.time())}"
        self._logs.append(self._cloud.log(container, GROUP, stream))
        data: Path = host.root / job_hosts.DATA
        for channel, files in host.pipes.items():
            self._cloud.clock.background(
                pipes.feed, self._cloud.clock, data, channel, files, over.is_set
            )
        return container

    def _watch(self, codes: list["Future[int]"], interrupted: Any) -> str:
        """
        Wait until all hosts have ended or one has failed, or until there is a reason to stop.
        """
        limit = self._record["StoppingCondition"].get("MaxRuntimeInSeconds", MOST_RUNTIME_S)
        end = time.monotonic() + limit
        send = time.monotonic() + SEND_S
        while not all(code.done() for code in codes):
            if any(code.done() and code.result() for code in codes):
                return ""
            if self._job.stopping.is_set():
                return "Stopping"
            if interrupted():
                return "Interrupted"
            if time.monotonic() > end:
                return "MaxRuntimeExceeded"
            if self._checkpoints and time.monotonic() > send:
                self._checkpoints.send()
                send = time.monotonic() + SEND_S
            self._cloud.clock.pause(LOOK_S)
        return ""

    def _stop_all(self, containers: list[str], codes: list["Future[int]"]) -> None:
        running = [each for each, code in zip(containers, codes, strict=True) if not code.done()]
        if running and not self._cloud.clock.stopped:
            with ThreadPoolExecutor(max_workers=len(running)) as pool:
                list(pool.map(lambda each: self._cloud.engine.stop(each, STOP_S), running))

    def _judge(self, codes: list[int]) -> None:
        # A host that was stopped because another had failed is not the reason.
        failed = [(host, code) for host, code in zip(self._hosts, codes, strict=True) if code]
        said = [(h, c) for h, c in failed if (h.root / "output/failure").exists()]
        for host, code in said or failed:
            path = host.root / "output/failure"
            text = path.read_text("utf-8", "replace") if path.exists() else ""
            output = host.root / "output/data"
            self._cloud.store.pack([output], f"{self._store}/output.tar.gz")
            raise Failed(f"AlgorithmError: {text[:900]}, exit code: {code}")


def _number(text: str | None) -> bool:
    """
    Tell whether what a metric's expression has found is a number; AWS passes over what is none.
    """
    try:
        float(text or "")
    except ValueError:
        return False
    return True
