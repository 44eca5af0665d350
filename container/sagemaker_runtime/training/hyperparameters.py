"""
Hyperparameters: strings in hyperparameters.json, typed values for the algorithm.
"""

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_runtime.errors import HyperparameterError

# Keys that tuning jobs and AWS's SDKs add beside the user's own.
PLATFORM_PREFIXES = ("_tuning_", "sagemaker_")
TRUTHS = {"true": True, "1": True, "false": False, "0": False}

Value = str | int | float | bool


@dataclass(frozen=True)
class Hyperparameter:
    """
    One hyperparameter; its type is the default's type.
    """

    name: str
    default: Value
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def read(path: Path, table: Sequence[Hyperparameter] | None) -> dict[str, Value]:
    """
    Return a typed value for each hyperparameter of ``table``, the given texts when it is None; the
    file may be absent or empty.

    Raises HyperparameterError for a file that is no flat JSON object, an unknown name and a bad
    value.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        given = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise HyperparameterError(f"{path.name} is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise HyperparameterError(
            f'{path.name} holds {text[:80]!r}; expected an object such as {{"rounds": "300"}}.'
        )
    if table is None:
        names = [name for name in given if not name.startswith(PLATFORM_PREFIXES)]
        return {name: _unwrapped(given[name]) for name in names}
    return parse(given, table)


def parse(given: dict[str, Any], table: Sequence[Hyperparameter]) -> dict[str, Value]:
    """
    Type the ``given`` values, which may be strings or strings within strings.
    """
    known = {parameter.name: parameter for parameter in table}
    values = {parameter.name: parameter.default for parameter in table}
    for name, raw in given.items():
        if name in known:
            values[name] = _typed(known[name], raw)
        elif not name.startswith(PLATFORM_PREFIXES):
            raise HyperparameterError(_unknown(name, list(known)))
    return values


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown hyperparameter {name!r}: {hint}Known are {', '.join(known) or 'none'}."


def _typed(parameter: Hyperparameter, raw: Any) -> Value:
    text = _unwrapped(raw)
    value: Value
    try:
        if isinstance(parameter.default, bool):
            value = TRUTHS[text.lower()]
        elif isinstance(parameter.default, int):
            value = int(text) if text.lstrip("+-").isdigit() else _whole(float(text))
        elif isinstance(parameter.default, float):
            value = float(text)
            if not math.isfinite(value):
                raise ValueError
        else:
            value = text
    except (KeyError, ValueError, OverflowError):
        raise HyperparameterError(_bad(parameter, text)) from None
    if isinstance(value, str):
        allowed = not parameter.choices or value in parameter.choices
    else:
        low = -math.inf if parameter.minimum is None else parameter.minimum
        high = math.inf if parameter.maximum is None else parameter.maximum
        allowed = low <= value <= high
    if not allowed:
        raise HyperparameterError(_bad(parameter, text))
    return value


def _unwrapped(raw: Any) -> str:
    """
    Take off the quotes that some SDK paths add: ``"\\"5\\""`` means ``5``.
    """
    text = raw if isinstance(raw, str) else json.dumps(raw)
    while len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        try:
            inner = json.loads(text)
        except ValueError:
            break
        text = inner
    return text.strip()


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError
    return int(number)


def rule(parameter: Hyperparameter) -> str:
    """
    Say in words which values ``parameter`` takes, such as "a whole number from 1 to 10".
    """
    if isinstance(parameter.default, bool):
        return "true or false"
    if isinstance(parameter.default, str):
        return "one of " + ", ".join(parameter.choices) if parameter.choices else "a text"
    kind = "a whole number" if isinstance(parameter.default, int) else "a number"
    low = "" if parameter.minimum is None else f" from {parameter.minimum}"
    high = "" if parameter.maximum is None else f" up to {parameter.maximum}"
    return f"{kind}{low}{high}"


def _bad(parameter: Hyperparameter, text: str) -> str:
    return (
        f"hyperparameter {parameter.name} is {text[:80]!r}; expected {rule(parameter)}, "
        f"such as {parameter.default!r}."
    )


def markdown(table: Sequence[Hyperparameter]) -> str:
    """
    Render ``table`` for the documentation.
    """
    lines = ["| name | default | values | meaning |", "|---|---|---|---|"]
    lines += [f"| `{p.name}` | `{p.default}` | {rule(p)} | {p.help} |" for p in table]
    return "\n".join(lines) + "\n"
