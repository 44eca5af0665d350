"""
The model card that a better challenger is registered with, in SageMaker's form.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.compare import Comparison


def content(
    comparison: Comparison,
    how: str,
    label: str,
    hyperparameters: Mapping[str, str],
    datasets: Sequence[str],
    revision: str,
) -> str:
    """
    Return the card as the text that CreateModelPackage takes.
    """
    figures: dict[str, Any] = {
        "gain": comparison.gain,
        "gain, lower end": comparison.low,
        "gain, upper end": comparison.high,
        "rows": comparison.rows,
    }
    for name, errors in (
        ("champion", comparison.champion),
        ("challenger", comparison.challenger),
    ):
        figures |= {f"{name} MAE": errors.mae, f"{name} bias": errors.bias}
    card = {
        "model_overview": {"model_description": f"Predicts {label}"},
        "training_details": {
            "training_job_details": {
                "training_datasets": list(datasets),
                "hyper_parameters": [
                    {"name": name, "value": value} for name, value in hyperparameters.items()
                ],
            }
        },
        "evaluation_details": [
            {
                "name": "champion against challenger",
                "evaluation_observation": f"{comparison.sentence()} ({how})",
                "metric_groups": [
                    {
                        "name": comparison.measure,
                        "metric_data": [
                            {"name": name, "type": "number", "value": value}
                            for name, value in figures.items()
                        ],
                    }
                ],
            }
        ],
        "additional_information": {
            "caveats_and_recommendations": "Judged on the newest labelled rows only; the interval "
            "takes rows for independent of each other.",
            "custom_details": {"code_revision": revision},
        },
    }
    return json.dumps(card)
