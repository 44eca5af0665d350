"""
The figures of a run by subject: their medians, and the best of the peers.
"""

import statistics
from typing import Any

from subjects import SUBJECTS

LABELS = {subject.name: subject.label for subject in SUBJECTS} | {
    "container": "the sample in its container, log lines to Docker",
    "container-empty": "empty route in the same image, plain nginx and gunicorn",
}
MODELS = {
    "pipeline": "DataFrame pipeline",
    "lightgbm": "LightGBM classifier",
    "xgboost": "XGBoost classifier",
    "image": "ONNX image model",
    "text": "TF-IDF and linear model",
    "waiting": "predict that waits 50 ms",
}
Results = dict[str, Any]


class Medians:
    """
    The medians of a run's rounds; None stands for what was not measured.
    """

    def __init__(self, results: Results) -> None:
        self._rounds, self._looks = results["rounds"], results["looks"]
        self.names = [name for name in LABELS if name in self._rounds or name in self._looks]

    def all(self, name: str, figure: str) -> list[float]:
        return self._rounds.get(name, {}).get(figure, [])

    def of(self, name: str, figure: str) -> float | None:
        values = self.all(name, figure)
        return statistics.median(values) if values else None

    def look(self, name: str, figure: str) -> float | None:
        """
        Return what a brief look gave, of those that were not measured in every round.
        """
        values = self._looks.get(name, {}).get(figure, [])
        return values[-1] if values else None

    def term(self, text: str) -> float | None:
        """
        Return the figure that a term of GOALS names: of a subject, or the best of the peers,
        ``plain`` ones, those that are ``batching``, or all (``peers``).
        """
        who, figure = text.split()
        if who in LABELS:
            return self.of(who, figure)
        peers = [each for each in SUBJECTS if each.role == "peer"]
        some = [each for each in peers if who == "peers" or each.batches == (who == "batching")]
        values = [value for each in some if (value := self.of(each.name, figure)) is not None]
        best = max if figure.endswith(("_per_s", "rows_s")) else min
        return best(values) if values else None


def short(value: float) -> str:
    """
    Write a figure with three digits, or as thousands.
    """
    if value >= 100_000:
        return f"{value / 1000:,.0f}k"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
