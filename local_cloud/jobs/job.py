"""
What all jobs have: states, a request to stop, an end with a reason.
"""

import threading
from collections.abc import Callable
from typing import Any

from local_cloud.clock import Stopped
from local_cloud.cloud import Cloud
from local_cloud.errors import invalid, reason
from local_cloud.kinds import KINDS
from local_cloud.records import Record

LONGEST_REASON = 1024


class Job:
    """
    A job that runs; ``stopping`` is set once somebody wants it to end.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.stopping = threading.Event()


class Jobs:
    """
    Runs the jobs of one kind; ``work`` does one and returns what is noted of its success.
    """

    def __init__(self, cloud: Cloud, noun: str, work: Callable[[Job], dict[str, Any]]) -> None:
        self._cloud = cloud
        self._kind = KINDS[noun]
        self._work = work
        self._jobs: dict[str, Job] = {}

    def created(self, record: Record) -> None:
        """
        Start what Create asked for.
        """
        job = self._jobs[record[self._kind.name]] = Job(record)
        self._cloud.clock.background(self._run, job)

    def stop(self, asked: Record) -> Record:
        """
        Stop a job; raises AwsError unless it is in progress.
        """
        with self._cloud.records.lock:
            record = self._cloud.records.get(self._kind.noun, asked[self._kind.name])
            if record[self._kind.status] != "InProgress":
                raise invalid(
                    f"The request was rejected because the job is in status "
                    f"{record[self._kind.status]}."
                )
            self._cloud.records.change(record, **{self._kind.status: "Stopping"})
        self._jobs[record[self._kind.name]].stopping.set()
        return {}

    def find(self, name: str) -> Job | None:
        """
        Return a job that was started.
        """
        return self._jobs.get(name)

    def _run(self, job: Job) -> None:
        status = self._kind.status
        try:
            self._cloud.faults.strike(job.record[self._kind.name])
            noted = self._work(job)
            ended = "Stopped" if job.stopping.is_set() else "Completed"
            self._cloud.records.change(job.record, **({status: ended} | noted))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job has failed
            failed = {status: "Failed", "FailureReason": reason(error)[:LONGEST_REASON]}
            if "SecondaryStatus" in job.record:
                failed["SecondaryStatus"] = "Failed"
            self._cloud.records.change(job.record, **failed)
