"""
Tuning jobs: training jobs with hyperparameters drawn at random, the best by its objective.

AWS's strategies other than Random search better; here each of them draws at random.
"""

import math
import random
import uuid
from collections import Counter
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, Failed
from local_cloud.jobs.job import Job, Jobs
from local_cloud.records import Record

LOOK_S = 0.2
ENDED = ("Completed", "Failed", "Stopped")


class Tuning:
    """
    Carries out one tuning job after the other; ``jobs`` runs their training jobs.
    """

    def __init__(self, cloud: Cloud, jobs: Jobs) -> None:
        self._cloud = cloud
        self._jobs = jobs

    def work(self, job: Job) -> dict[str, Any]:
        """
        Start training jobs until there are as many as wanted; raises Failed when none succeeds.
        """
        record = job.record
        config = record["HyperParameterTuningJobConfig"]
        limits = config["ResourceLimits"]
        draw = random.Random(config.get("RandomSeed"))  # noqa: S311 - reproducible, not secret
        while True:
            running = [each for each in self.trained(record) if each[STATUS] not in ENDED]
            made = len(self.trained(record))
            over = made >= limits["MaxNumberOfTrainingJobs"] or job.stopping.is_set()
            if job.stopping.is_set():
                self._stop(running)
            if over and not running:
                break
            if not over and len(running) < limits["MaxParallelTrainingJobs"]:
                self._train(record, made + 1, draw)
            else:
                self._cloud.clock.pause(LOOK_S)
        noted = {"HyperParameterTuningEndTime": self._cloud.clock.now()}
        if not job.stopping.is_set() and not self._ranked(record):
            self._cloud.records.change(record, **noted)
            raise Failed("No training job succeeded: see the FailureReason of its training jobs")
        return noted

    def describe(self, record: Record) -> Record:
        """
        Return the record with its counts and its best training job so far.
        """
        counts = Counter(each[STATUS] for each in self.trained(record))
        ranked = self._ranked(record)
        done = counts["Completed"]
        found: Record = {
            "TrainingJobStatusCounters": {
                "Completed": done,
                "InProgress": counts["InProgress"] + counts["Stopping"],
                "RetryableError": 0,
                "NonRetryableError": counts["Failed"],
                "Stopped": counts["Stopped"],
            },
            "ObjectiveStatusCounters": {
                "Succeeded": len(ranked),
                "Pending": counts["InProgress"],
                "Failed": done - len(ranked),
            },
        }
        if ranked:
            found["BestTrainingJob"] = self._summary(record, ranked[0])
        return record | found

    def list_jobs(self, asked: Record) -> Record:
        """
        ListTrainingJobsForHyperParameterTuningJob.
        """
        record = self._cloud.records.get(
            "HyperParameterTuningJob", asked["HyperParameterTuningJobName"]
        )
        jobs = self.trained(record)
        if asked.get("SortBy") == "FinalObjectiveMetricValue":
            ranked = self._ranked(record)
            jobs = ranked[::-1] if asked.get("SortOrder") == "Descending" else ranked
        if wanted := asked.get("StatusEquals"):
            jobs = [each for each in jobs if each[STATUS] == wanted]
        start = int(asked.get("NextToken") or 0)
        end = start + int(asked.get("MaxResults") or 10)
        answer: Record = {
            "TrainingJobSummaries": [self._summary(record, each) for each in jobs[start:end]]
        }
        return answer | ({"NextToken": str(end)} if end < len(jobs) else {})

    def trained(self, record: Record) -> list[Record]:
        """
        Return the training jobs of a tuning job.
        """
        arn = record["HyperParameterTuningJobArn"]
        return [
            each for each in self._cloud.records.all("TrainingJob") if each.get(TUNED_BY) == arn
        ]

    def _train(self, record: Record, number: int, draw: random.Random) -> None:
        definition = record["TrainingJobDefinition"]
        ranges = record["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
        tuned = {
            each["Name"]: drawn(kind, each, draw)
            for kind in RANGES
            for each in ranges.get(kind, [])
        }
        objective = _objective(record)["MetricName"]
        unique = f"{number:03}-{uuid.uuid4().hex[:8]}"
        asked = {name: value for name, value in definition.items() if name not in TUNINGS_OWN}
        if resources := definition.get("HyperParameterTuningResourceConfig"):
            more = resources.get("InstanceConfigs", [{}])[0]  # of several the first, as AWS tries
            config = {name: value for name, value in resources.items() if name in HOSTS}
            asked["ResourceConfig"] = config | more
        asked["HyperParameters"] = {
            **definition.get("StaticHyperParameters", {}),
            **tuned,
            "_tuning_objective_metric": objective,
        }
        name = f"{record['HyperParameterTuningJobName']}-{unique}"
        started = self._cloud.records.create("TrainingJob", name, asked)
        self._cloud.records.change(
            started,
            **{TUNED_BY: record["HyperParameterTuningJobArn"], "TunedHyperParameters": tuned},
        )
        self._jobs.created(started)

    def _stop(self, running: list[Record]) -> None:
        for each in running:
            try:
                self._jobs.stop({"TrainingJobName": each["TrainingJobName"]})
            except AwsError:
                continue  # it is stopping already, or has just ended

    def _ranked(self, record: Record) -> list[Record]:
        """
        Return the completed training jobs that have the objective, the best first.
        """
        objective = _objective(record)
        found = [each for each in self.trained(record) if _value(each, objective) is not None]
        sign = -1 if objective["Type"] == "Maximize" else 1
        return sorted(found, key=lambda each: sign * (_value(each, objective) or 0.0))

    def _summary(self, record: Record, job: Record) -> Record:
        objective = _objective(record)
        value = _value(job, objective)
        summary = job | {"ObjectiveStatus": "Pending" if job[STATUS] not in ENDED else "Failed"}
        if value is not None:
            summary["ObjectiveStatus"] = "Succeeded"
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": objective["Type"],
                "MetricName": objective["MetricName"],
                "Value": value,
            }
        return summary


STATUS = "TrainingJobStatus"
TUNED_BY = "TuningJobArn"
# Of a tuning job's definition, what no training job has.
TUNINGS_OWN = (
    "DefinitionName",
    "StaticHyperParameters",
    "HyperParameterRanges",
    "HyperParameterTuningResourceConfig",
    "TuningObjective",
)
HOSTS = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


def _objective(record: Record) -> dict[str, str]:
    found: dict[str, str] = record["HyperParameterTuningJobConfig"][
        "HyperParameterTuningJobObjective"
    ]
    return found


def _value(job: Record, objective: dict[str, str]) -> float | None:
    if job[STATUS] != "Completed":
        return None
    for each in job.get("FinalMetricDataList", []):
        if each["MetricName"] == objective["MetricName"]:
            return float(each["Value"])
    return None


def drawn(kind: str, given: dict[str, Any], draw: random.Random) -> str:
    """
    Return a value of a range, as a string like all hyperparameters.
    """
    if kind == "CategoricalParameterRanges":
        return str(draw.choice(given["Values"]))
    low, high = float(given["MinValue"]), float(given["MaxValue"])
    if given.get("ScalingType") == "Logarithmic":
        value = math.exp(draw.uniform(math.log(low), math.log(high)))
    else:
        value = draw.uniform(low, high)
    if kind == "IntegerParameterRanges":
        return str(min(int(high), max(int(low), round(value))))
    return repr(value)
