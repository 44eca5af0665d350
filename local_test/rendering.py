"""
Fills the templates of new.sh with what is known of a table.
"""

import csv
import io
import json
from pathlib import Path

import csv_columns
import jinja2

from sagemaker_runtime.formats.schema import Column

TEMPLATES = Path(__file__).resolve().parent / "templates"


def facts_of(table: csv_columns.Csv, classes: bool) -> dict[str, object]:
    """
    Return what the templates want to know of a table.
    """
    texts = [column.name for column in table.features if column.kind == "text"]
    return {
        "features": table.features,
        "label": table.label,
        "empty": table.empty,
        "classes": classes,
        "estimator": f"HistGradientBoosting{'Classifier' if classes else 'Regressor'}",
        "metric": "validation:accuracy" if classes else "validation:rmse",
        "media_type": "text/csv",
        "rows": len(table.first),
        "text": texts[0] if texts else "",
    }


def request_of(table: csv_columns.Csv) -> str:
    """
    Return the first rows as a caller would send them: without the label.
    """
    text = io.StringIO()
    names = [column.name for column in table.features]
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.first)
    return text.getvalue()


def render(template: str, facts: dict[str, object]) -> str:
    """
    Fill a template in.
    """
    environment = jinja2.Environment(  # noqa: S701 - Python is written, not HTML
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"declared": _declared, "quoted": _quoted}
    return environment.get_template(template).render(facts)


def _declared(column: Column) -> str:
    optional = ", optional=True" if column.optional else ""
    return f'Column({_quoted(column.name)}, "{column.kind}", {_quoted(column.example)}{optional})'


def _quoted(text: str) -> str:
    """
    Return a text as a Python literal; JSON's are a part of Python's.
    """
    return json.dumps(text, ensure_ascii=False)
