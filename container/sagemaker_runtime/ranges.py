"""
The ranges of the values that a model was trained on, stored beside it for serving to compare with.
"""

import json
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sagemaker_runtime.formats.columns import count
from sagemaker_runtime.formats.schema import Columns
from sagemaker_runtime.formats.table import Table

FILE = "training_ranges.json"

# A range ends at these quantiles: the few values beyond them are often wrong ones.
LOW, HIGH = 0.001, 0.999
# Steps between the smallest and the largest label, by which predictions are counted.
STEPS = 10
# Rows that the quantiles are taken of: enough for each end to stand on 50 of them.
SAMPLE_ROWS = 50_000

logger = logging.getLogger(__name__)


@dataclass
class Ranges:
    """
    Of each column of numbers the lowest and the highest usual value; of the label its quantiles.
    """

    columns: dict[str, tuple[float, float]] = field(default_factory=dict)
    label: list[float] = field(default_factory=list)

    @classmethod
    def load(cls, model_dir: Path) -> "Ranges":
        """
        Read what ``Seen.save`` wrote; empty where there is nothing, or nothing of use.
        """
        try:
            content = json.loads((model_dir / FILE).read_text(encoding="utf-8"))
            columns = {str(n): (float(a), float(b)) for n, (a, b) in content["columns"].items()}
            return cls(columns, sorted(map(float, content["label"])))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.info("%s is passed over: %s: %s", FILE, type(error).__name__, error)
        return cls()


class Seen:
    """
    Takes an even sample of the rows that a job reads.
    """

    def __init__(self) -> None:
        self._pieces: list[Columns] = []
        self._rows = self._kept = 0
        self._stride = 1

    def watch(self, pieces: Iterable[Columns]) -> Iterator[Columns]:
        """
        Hand pieces on and take some of their rows.
        """
        for columns in pieces:
            self._add(columns)
            yield columns

    def use(self, columns: Columns) -> None:
        """
        Forget what was read: the model is trained on these rows.
        """
        self.__init__()  # type: ignore[misc]
        self._add(columns)

    def save(self, model_dir: Path, table: object) -> None:
        """
        Write the ranges beside a model that was trained on rows of a table, and that has no file of
        that name.
        """
        if not self._pieces or not isinstance(table, Table) or (model_dir / FILE).exists():
            return
        label = table.label.name if table.label and table.label.kind == "number" else ""
        names = [column.name for column in table.features if column.kind == "number"]
        ends = {name: self._quantiles(name, [LOW, HIGH]) for name in names}
        content = {
            "columns": {name: found for name, found in ends.items() if found},
            "label": self._quantiles(label, np.linspace(LOW, HIGH, STEPS + 1)),
        }
        (model_dir / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _add(self, columns: Columns) -> None:
        rows = count(columns)
        some = slice(-self._rows % self._stride, None, self._stride)
        numbers = {n: v[some].copy() for n, v in columns.items() if v.dtype.kind == "f"}
        self._rows += rows
        if not numbers:
            return
        self._pieces.append(numbers)
        self._kept += count(numbers)
        if self._kept > 2 * SAMPLE_ROWS:
            whole = {n: self._values(n) for n in numbers}
            self._pieces = [{n: values[::2].copy() for n, values in whole.items()}]
            self._kept, self._stride = count(self._pieces[0]), 2 * self._stride

    def _values(self, name: str) -> np.ndarray:
        return np.concatenate([piece[name] for piece in self._pieces if name in piece])

    def _quantiles(self, name: str, at: Iterable[float]) -> list[float]:
        if not any(name in piece for piece in self._pieces):
            return []
        values = self._values(name)
        values = values[np.isfinite(values)]
        if not len(values):
            return []
        return [_rounded(float(value)) for value in np.quantile(values, list(at))]


def _rounded(value: float) -> float:
    """
    Keep six digits, which is more than the sample has.
    """
    return float(f"{value:.6g}") if math.isfinite(value) else value
