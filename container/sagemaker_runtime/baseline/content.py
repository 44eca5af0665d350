"""
The baseline: what training knew of its rows and of the model's errors, for others to compare with.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_runtime.baseline.bins import Bins
from sagemaker_runtime.baseline.moments import Moments
from sagemaker_runtime.formats.schema import Column
from sagemaker_runtime.formats.table import Table

FILE = "baseline.json"
FORMAT = 1

logger = logging.getLogger(__name__)


@dataclass
class Ranges:
    """
    Of each column of numbers the lowest and the highest usual value; of the label its quantiles.
    """

    columns: dict[str, tuple[float, float]] = field(default_factory=dict)
    label: list[float] = field(default_factory=list)


@dataclass
class Baseline:
    """
    Counts per bin of what ``views`` makes of the raw columns and of the prediction; the errors of
    the newest rows that the model had not seen, over all and by segment; the table they belong to.
    """

    table: Table
    ranges: Ranges
    columns: dict[str, Bins]
    prediction: Bins | None = None
    errors: Moments | None = None
    segments: dict[str, dict[str, Moments]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | bytes) -> "Baseline":
        """
        Read what ``text`` wrote; raises ValueError for anything else.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}, expected {FORMAT}")
            ends = {str(n): (float(a), float(b)) for n, (a, b) in content["ranges"].items()}
            prediction, errors = content["prediction"], content["errors"]
            return cls(
                _table(content["table"]),
                Ranges(ends, sorted(map(float, content["label"]))),
                {name: Bins.from_json(each) for name, each in content["columns"].items()},
                prediction and Bins.from_json(prediction),
                errors and Moments.from_json(errors),
                {
                    group: {name: Moments.from_json(each) for name, each in members.items()}
                    for group, members in content["segments"].items()
                },
            )
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    @classmethod
    def load(cls, model_dir: Path) -> "Baseline | None":
        """
        Read the file beside a model; None where there is none, or nothing of use.
        """
        try:
            return cls.read((model_dir / FILE).read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            logger.info("%s is passed over: %s", FILE, error)
        return None

    def text(self) -> str:
        """
        Return the file's content.
        """
        content = {
            "format": FORMAT,
            "table": {
                "features": [_facts(column) for column in self.table.features],
                "label": self.table.label and _facts(self.table.label),
                "ignored": [_facts(column) for column in self.table.ignored],
            },
            "ranges": self.ranges.columns,
            "label": self.ranges.label,
            "columns": {name: bins.as_json() for name, bins in self.columns.items()},
            "prediction": self.prediction and self.prediction.as_json(),
            "errors": self.errors and self.errors.as_json(),
            "segments": {
                group: {name: moments.as_json() for name, moments in members.items()}
                for group, members in self.segments.items()
            },
        }
        return json.dumps(content, separators=(",", ":")) + "\n"


def _facts(column: Column) -> dict[str, Any]:
    """
    Return what of a column is not as usual.
    """
    usual = asdict(Column("", "number", ""))
    return {name: value for name, value in asdict(column).items() if value != usual[name]}


def _table(facts: Mapping[str, Any]) -> Table:
    def column(given: Mapping[str, Any]) -> Column:
        return Column(**{"kind": "number", "example": "", **given})

    return Table(
        *map(column, facts["features"]),
        label=column(facts["label"]) if facts["label"] else None,
        ignored=[*map(column, facts["ignored"])],
    )
