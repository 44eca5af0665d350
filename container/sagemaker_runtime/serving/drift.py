"""
Whether captured requests are distributed as the rows of training: each worker counts its newest
ones per bin of the baseline, and whoever asks for the metrics gets an index over all workers.
"""

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sagemaker_runtime.baseline import outcomes
from sagemaker_runtime.baseline.bins import Bins, psi
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.formats.schema import Column
from sagemaker_runtime.serving.observed import Piece, outputs

# What counts as the newest: with the counts since server start a change would be hidden by weeks
# of requests before it. Fewer rows make an index of their own noise, less time one of the hour.
NEWEST_ROWS, NEWEST_S = 1000, 3600.0
# Of fewer rows there is no index: chance alone makes one of about 10 / rows with ten bins, and 0.2
# is what matters.
FEWEST_ROWS = 200

VALUES = "model_captured_values"
INDEX = "model_captured_psi"
PREDICTION = "prediction"

# Bytes in prometheus-client's file of a count, its column's name excepted.
ROOM = 256


def bins_of(baseline: Baseline | None) -> dict[str, Bins]:
    """
    Return the bins that values of requests are counted by. Hours and weekdays are not among them:
    these can be compared over whole days and weeks only.
    """
    if baseline is None:
        return {}
    names = [column.name for column in baseline.table.features if column.name in baseline.columns]
    found = {name: baseline.columns[name] for name in names}
    return found | ({PREDICTION: baseline.prediction} if baseline.prediction else {})


def room(bins: Mapping[str, Bins]) -> int:
    """
    Return how many bytes the counts take in prometheus-client's file.
    """
    return sum(len(each.counts) * (ROOM + 6 * len(name)) for name, each in bins.items())


class Newest:
    """
    Counts of this process: those of a period that has ended, and of the one that goes on.
    """

    def __init__(
        self, bins: Mapping[str, Bins], label: Column | None, registry: CollectorRegistry
    ) -> None:
        self._bins, self._label = bins, label
        self._gauge = Gauge(
            VALUES,
            "Values of the newest captured requests, by their bin in the baseline.",
            ("column", "bin"),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._rows, self._since = 0, monotonic()
        self._now = {name: np.zeros_like(each.counts) for name, each in bins.items()}
        self._before = dict(self._now)

    def add(self, pieces: Sequence[Piece]) -> None:
        """
        Count captured pieces, each of which is what ``predict`` was given and what it returned.
        """
        if self._rows >= NEWEST_ROWS and monotonic() - self._since >= NEWEST_S:
            self._rows, self._since = 0, monotonic()
            self._before = self._now
            self._now = {name: np.zeros_like(each) for name, each in self._before.items()}
        for name, bins in self._bins.items():
            found = [values for piece in pieces if (values := _values(piece, name)) is not None]
            if found:
                values = np.concatenate(found)
                if name == PREDICTION and self._label:
                    values = outcomes.read(self._label, values)
                    values = values[outcomes.present(values)]
                values = values if values.dtype.kind == "O" else values.astype(float)
                self._now[name] = self._now[name] + bins.count(values)
            self._rows = max(self._rows, int(self._now[name].sum()))
            for number, times in enumerate((self._before[name] + self._now[name]).tolist()):
                self._gauge.labels(name, str(number)).set(times)


class WithIndex(Collector):
    """
    The metrics of all workers, and for each column an index: how far its values are from training.
    """

    def __init__(self, counted: Collector, bins: Mapping[str, Bins]) -> None:
        self._counted, self._bins = counted, bins

    def collect(self) -> Iterator[Metric]:
        """
        Yield the metrics; a column of which too few values were counted has no index.
        """
        for metric in self._counted.collect():
            yield metric
            if metric.name == VALUES:
                yield self._index(metric)

    def _index(self, metric: Metric) -> Metric:
        counts = {name: np.zeros_like(each.counts) for name, each in self._bins.items()}
        for sample in metric.samples:
            counts[sample.labels["column"]][int(sample.labels["bin"])] += int(sample.value)
        index = GaugeMetricFamily(
            INDEX,
            "Population stability index of the newest captured requests against training.",
            labels=["column"],
        )
        for name, found in counts.items():
            if found.sum() >= FEWEST_ROWS:
                index.add_metric([name], psi(self._bins[name].counts, found))
        return index


def _values(piece: Piece, name: str) -> np.ndarray | None:
    """
    Return a piece's values of a column, or its predictions, of several outputs the first.
    """
    columns, predicted = piece
    if name == PREDICTION:
        found = outputs(predicted)
        return found[0][1] if found else None
    return columns.get(name) if type(columns) is dict else None
