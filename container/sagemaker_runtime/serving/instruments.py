"""
The metrics that GET /metrics lists, as prometheus-client keeps them.
"""

import os
import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sagemaker_runtime.serving.observed import Counts
from sagemaker_runtime.serving.processes import is_alive
from sagemaker_runtime.serving.tallies import OTHER, SECONDS, Answered

# Different texts that are counted by themselves, in each worker.
MOST_LABELS = 20

# Kinds of files whose values stay when their process ends.
COUNTS = "counter", "histogram"
# Of a file of prometheus-client's, in bytes: more than most workers need.
RESERVED = 32 * 1024


class Many(Histogram):
    """
    A histogram that is given counts: one call for each of a thousand values takes a thousand times
    as long.
    """

    def add(self, counts: Sequence[int], total: float) -> None:
        """
        Add how many values belong to each of the buckets, and the values' sum.
        """
        for bucket, more in zip(self._buckets, counts, strict=True):
            if more:
                bucket.inc(int(more))
        self._sum.inc(total)


class Instruments:
    """
    What is counted; predictions up to each of ``steps``. ``load_s`` is how long the one model took
    to load, None in a multi-model endpoint.
    """

    def __init__(self, steps: Sequence[float], load_s: float | None) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "model_server_requests", "Requests answered.", "route", "status"
        )
        self._seconds = Many(
            "model_server_request_seconds",
            "Time from a request's arrival in a worker until its answer is made.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._rows = self._counter("model_server_rows", "Rows answered.")
        self._bad = self._counter("model_server_bad_records", "Records that got an error.")
        self._bytes = self._counter("model_server_payload_bytes", "Bytes of bodies answered.")
        self._in_flight = self._gauge("model_server_in_flight", "Requests in work.", "livesum")
        self._loads: Histogram | None = None
        if load_s is None:
            self._loads = Histogram(
                "model_server_multi_model_load_seconds",
                "Time to load a model of a multi-model endpoint, the trial before it included.",
                buckets=SECONDS,
                registry=self.registry,
            )
        else:
            gauge = self._gauge(
                "model_server_model_load_seconds", "Time to load the model.", "livemax"
            )
            gauge.set(load_s)
        self._memory = self._gauge(
            "model_server_resident_memory_bytes", "Memory of each worker.", "liveall"
        )
        self._predictions = Many(
            "model_predictions",
            "Predictions by size; the steps are quantiles of the label in training.",
            ["output"],
            buckets=steps,
            registry=self.registry,
        )
        self._labels = self._counter(
            "model_predicted_labels",
            "Predictions that are texts, by what they say.",
            "output",
            "label",
        )
        self._compared = self._counter(
            "model_rows_compared_to_training", "Rows compared with the ranges of training."
        )
        self._outside = self._counter(
            "model_rows_outside_training_range",
            "Rows with a value outside the range that it had in training.",
        )
        self._columns = self._counter(
            "model_values_outside_training_range",
            "Values outside the range that their column had in training.",
            "column",
        )
        self._repaired = self._counter("model_rows_repaired", "Rows put right by a rule.", "rule")
        self._left_out = self._counter(
            "model_server_captures_left_out", "Requests that were to be captured and are not."
        )
        self._known_labels: set[tuple[str, str]] = set()

    def requests(self, answered: Answered) -> None:
        """
        Count requests.
        """
        for name, route in answered.routes.items():
            for status, times in route.statuses.items():
                self._requests.labels(name, status).inc(times)
            self._seconds.labels(name).add(route.times, route.seconds)
        self._bytes.inc(answered.bytes)
        self._rows.inc(answered.rows)
        self._bad.inc(answered.bad)

    def counts(self, counted: Sequence[Counts]) -> None:
        """
        Add what was counted of rows and predictions.
        """
        for each in counted:
            if each.rows:
                self._compared.inc(each.rows)
                self._outside.inc(each.outside)
            for column, values in each.outside_by_column.items():
                self._columns.labels(column).inc(values)
            for output, (buckets, total) in each.predictions.items():
                self._predictions.labels(output).add(buckets.tolist(), total)
            for (output, label), times in each.labels.items():
                self._labels.labels(output, self._shown(output, label)).inc(times)

    def repaired(self, repaired: Sequence[tuple[str, int]]) -> None:
        """
        Count repaired rows by their rule.
        """
        for rule, rows in repaired:
            self._repaired.labels(rule).inc(rows)

    def left_out(self, requests: Sequence[int]) -> None:
        """
        Count requests that were not captured.
        """
        self._left_out.inc(sum(requests))

    def loads(self, taken: Sequence[float]) -> None:
        """
        Count models that were loaded, by the seconds that each took.
        """
        if self._loads is not None:
            for seconds in taken:
                self._loads.observe(seconds)

    def state(self, in_flight: int) -> None:
        """
        Note how this process is.
        """
        self._in_flight.set(in_flight)
        self._memory.set(_resident())

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, mode: Any) -> Gauge:
        return Gauge(name, about, multiprocess_mode=mode, registry=self.registry)

    def _shown(self, output: str, label: str) -> str:
        label = label[:60].encode(errors="replace").decode()  # half a surrogate pair
        if (output, label) not in self._known_labels:
            if len(self._known_labels) >= MOST_LABELS:
                return OTHER
            self._known_labels.add((output, label))
        return label


def reserve(folder: Path, more: int) -> None:
    """
    Make the files of this process in the folder of the metrics, or go on with those of a worker
    that has ended: prometheus-client would keep and read the counts of each that there ever was.
    ``more`` bytes are for what ``drift`` counts.

    New ones are made before prometheus-client maps them with holes: to write into a hole of a disk
    that is full ends a process by SIGBUS. Raises OSError when there is no room.
    """
    for kind in (*COUNTS, "gauge_livesum", "gauge_livemax", "gauge_liveall"):
        file = folder / f"{kind}_{os.getpid()}.db"
        if kind in COUNTS and not file.exists():
            _take_over(folder.glob(f"{kind}_*.db"), file)
        if not file.exists():
            new = file.with_suffix(".new")
            try:
                new.write_bytes(bytes(RESERVED + (more if kind == "gauge_livesum" else 0)))
                new.rename(file)
            finally:
                new.unlink(missing_ok=True)


def _take_over(files: Iterable[Path], file: Path) -> None:
    """
    Make the first of these files whose process has ended the file of this one.
    """
    for left in files:
        if not is_alive(int(left.stem.rpartition("_")[2])):
            with suppress(FileNotFoundError):  # another new worker was faster
                left.rename(file)
                return


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # macOS has the peak only
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
