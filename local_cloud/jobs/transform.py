"""
Batch transform jobs.
"""

import gzip
import http.client
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.errors import Failed
from local_cloud.hosting import models
from local_cloud.hosting.instance import Instance
from local_cloud.jobs import inputs, joining
from local_cloud.jobs.job import Job
from local_cloud.records import Record

GROUP = "/aws/sagemaker/TransformJobs"
HEALTH_S = 480
DEFAULT_PAYLOAD_MB = 6
DEFAULT_TIMEOUT_S = 600
DEFAULT_RETRIES = 3


class Transform:
    """
    Carries out transform jobs, each in its own thread.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def work(self, job: Job) -> dict[str, Any]:
        """
        Do a job: start the instances, send them all files; raises Failed.
        """
        record, clock = job.record, self._cloud.clock
        with self._instances(record) as instances:
            self._cloud.records.change(record, TransformStartTime=clock.now())
            settings = _Settings(record, instances[0])
            found = inputs.objects(
                self._cloud.store, record["TransformInput"]["DataSource"]["S3DataSource"]
            )
            turns = itertools.cycle(instances)
            workers = settings.concurrent * len(instances)
            try:
                with ThreadPoolExecutor(max_workers=workers) as requests:
                    done = []
                    failures = []
                    for uri, name in found:
                        if job.stopping.is_set():
                            break
                        try:
                            self._file(settings, requests, turns, uri, name)
                            done.append(name)
                        except Failed as error:
                            self._complain(record, name, str(error))
                            failures.append(error)
            finally:
                self._cloud.records.change(record, TransformEndTime=clock.now())
            self._manifests(record, found, done)
        if failures:
            raise failures[0]
        return {}

    @contextmanager
    def _instances(self, record: Record) -> Iterator[list[Instance]]:
        servable = models.fetch(self._cloud, record["ModelName"])
        stated = {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": record.get("MaxPayloadInMB"),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": record.get("MaxConcurrentTransforms"),
        }
        if strategy := record.get("BatchStrategy"):
            names = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
            stated["SAGEMAKER_BATCH_STRATEGY"] = names[strategy]
        environment = servable.environment | {
            name: str(value) for name, value in stated.items() if value is not None
        }
        environment |= record.get("Environment", {})
        started: list[Instance] = []
        try:
            for number in range(record["TransformResources"]["InstanceCount"]):
                stream = f"{record['TransformJobName']}/i-{number:017x}-{int(time.time())}"
                place = (GROUP, stream)
                started.append(
                    Instance(self._cloud, servable.image, servable.folder, environment, [], place)
                )
            patience = max(self._cloud.clock.real(HEALTH_S), self._cloud.startup_s)
            for instance in started:
                instance.wait_until_healthy(
                    patience,
                    "AlgorithmError: the container did not pass the ping health check. "
                    "See job logs for more information",
                )
            yield started
        finally:
            for instance in started:
                instance.stop()
            if servable.folder:
                self._cloud.discard(servable.folder, servable.image)

    def _file(
        self,
        settings: "_Settings",
        requests: ThreadPoolExecutor,
        turns: Iterator[Instance],
        uri: str,
        name: str,
    ) -> None:
        body = self._cloud.store.read(uri)
        if settings.gzipped:
            body = gzip.decompress(body)
        given, parts = settings.parts(body)
        sent = [requests.submit(settings.ask, next(turns), part) for part in parts]
        # All of them are waited for, so that a file that failed leaves no request behind.
        failures = [error for each in sent if (error := each.exception())]
        if failures:
            raise failures[0]
        answers = [each.result() for each in sent]
        output = settings.record["TransformOutput"]
        if settings.lines:
            answers = [each if each.endswith(b"\n") else each + b"\n" for each in answers if each]
        assembled = b"".join(answers)
        if settings.joins:
            assembled = joining.join(settings.record, given, assembled)
        self._cloud.store.write(f"{output['S3OutputPath'].rstrip('/')}/{name}.out", assembled)

    def _complain(self, record: Record, name: str, text: str) -> None:
        event = {"timestamp": int(time.time() * 1000), "message": f"{name}: {text}"}
        stream = f"{record['TransformJobName']}/data-log"
        self._cloud.backend.log_events(GROUP, stream, [event])

    def _manifests(self, record: Record, found: list[tuple[str, str]], done: list[str]) -> None:
        """
        Data capture of a batch job: manifests that name its files.
        """
        capture = record.get("DataCaptureConfig")
        if not capture or not done:
            return
        source = record["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        output = record["TransformOutput"]["S3OutputPath"].rstrip("/") + "/"
        now = self._cloud.clock.now()
        for side, prefix, ending in (("input", source, ""), ("output", output, ".out")):
            manifest = [{"prefix": prefix}, *(f"{name}{ending}" for name in done)]
            place = f"{capture['DestinationS3Uri'].rstrip('/')}/{side}/{now:%Y/%m/%d/%H}"
            name = f"{record['TransformJobName']}-{now:%M%S}.json"
            self._cloud.store.write(f"{place}/{name}", json.dumps(manifest).encode())


class _Settings:
    """
    How a job cuts its files and asks: what it states, else what the container says, else AWS's.
    """

    def __init__(self, record: Record, instance: Instance) -> None:
        self.record = record
        given = record["TransformInput"]
        said = self._said(instance)
        self.split = given.get("SplitType", "None")
        self.gzipped = given.get("CompressionType") == "Gzip"
        self.lines = record["TransformOutput"].get("AssembleWith", "None") == "Line"
        self.joins = "DataProcessing" in record
        self.concurrent = int(
            record.get("MaxConcurrentTransforms") or said.get("MaxConcurrentTransforms") or 1
        )
        megabytes = record.get("MaxPayloadInMB", said.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB))
        self.most = int(megabytes) * 1_000_000 or None
        strategy = record.get("BatchStrategy", said.get("BatchStrategy", "MultiRecord"))
        self.single = str(strategy).lower().replace("_", "") == "singlerecord"
        client = record.get("ModelClientConfig", {})
        self.timeout = float(client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_S))
        self.tries = 1 + int(client.get("InvocationsMaxRetries", DEFAULT_RETRIES))
        self._headers = {
            name: value
            for name, value in (
                ("Content-Type", given.get("ContentType")),
                ("Accept", record["TransformOutput"].get("Accept")),
            )
            if value
        }

    def parts(self, body: bytes) -> tuple[bytes, list[bytes]]:
        """
        Return what is joined with the answers, and the payloads; raises Failed.
        """
        if self.split == "None":
            if self.most and len(body) > self.most:
                raise Failed("ClientError: Too much data for max payload size")
            return body, [body]
        lines = body.splitlines(keepends=True)
        asked = joining.reduce(self.record, lines) if self.joins else lines
        if self.single:
            return body, asked
        parts: list[bytes] = []
        size = 0
        for line in asked:
            if not parts or (self.most and size + len(line) > self.most):
                parts.append(b"")
                size = 0
            parts[-1] += line
            size += len(line)
        return body, parts

    def ask(self, instance: Instance, part: bytes) -> bytes:
        """
        Return the answer to a payload; raises Failed.
        """
        why = ""
        for _ in range(self.tries):
            try:
                answer = instance.ask("/invocations", part, self._headers, self.timeout)
            except (OSError, http.client.HTTPException) as error:
                why = f"AlgorithmError: {error}"
                continue
            if answer.status < 400:
                return answer.body
            text = answer.body.decode("utf-8", "replace")[:500]
            if answer.status < 500:
                raise Failed(
                    f"ClientError: {answer.status}: {text}. See job logs for more information"
                )
            why = f"AlgorithmError: {answer.status}: {text}. See job logs for more information"
        raise Failed(why)

    def _said(self, instance: Instance) -> dict[str, Any]:
        try:
            answer = instance.ask("/execution-parameters", method="GET", timeout=10)
            said: dict[str, Any] = json.loads(answer.body) if answer.status == 200 else {}
        except (OSError, ValueError, http.client.HTTPException):
            return {}
        return said
