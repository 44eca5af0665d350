"""
Hyperparameters: strings in hyperparameters.json, typed values for the algorithm.
"""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_runtime.errors import HyperparameterError
from sagemaker_runtime.training import configuration
from sagemaker_runtime.training.failure import NAME_LIMIT, printable

# Keys that tuning jobs and AWS's SDKs add beside the user's own.
PLATFORM_PREFIXES = ("_tuning_", "sagemaker_")
# Those by which the SDKs hand over code: Estimator(entry_point=..., source_dir=...).
ENTRY_POINT = ("sagemaker_program", "sagemaker_submit_directory")
EXAMPLE = '{"rounds": "300"}'
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


def read(path: Path) -> dict[str, Any]:
    """
    Return what hyperparameters.json holds; the file may be absent or empty.

    Raises HyperparameterError for a file that is not a JSON object in UTF-8.
    """
    return configuration.read(path, EXAMPLE, HyperparameterError)


def parse(given: Mapping[str, Any], table: Sequence[Hyperparameter] | None) -> dict[str, Value]:
    """
    Type the ``given`` values of ``table``, which may be strings or strings within strings; without
    a table return each as text. The platform's own are left out.

    Raises HyperparameterError for an unknown name and a bad value.
    """
    own = {name: raw for name, raw in given.items() if not name.startswith(PLATFORM_PREFIXES)}
    if table is None:
        return {name: _unwrapped(raw) for name, raw in own.items()}
    known = {parameter.name: parameter for parameter in table}
    values = {parameter.name: parameter.default for parameter in table}
    for name, raw in own.items():
        if name not in known:
            raise HyperparameterError(_unknown(name, list(known)))
        values[name] = _typed(known[name], raw)
    return values


def of_platform(given: Mapping[str, Any]) -> dict[str, str]:
    """
    Return as text what tuning jobs and AWS's SDKs have added to the user's hyperparameters.
    """
    return {
        name: _unwrapped(raw) for name, raw in given.items() if name.startswith(PLATFORM_PREFIXES)
    }


def refuse_entry_point(platform: Mapping[str, str], algorithm: str) -> None:
    """
    Raise HyperparameterError when the job brings code of its own, which would be ignored.
    """
    asked = [f"{name}={printable(platform[name])}" for name in ENTRY_POINT if platform.get(name)]
    if asked:
        raise HyperparameterError(
            f"the job brings its own code ({', '.join(asked)}), but this image takes no "
            f"entry_point or source_dir: it trains its algorithm {algorithm}. Leave both out of "
            "the Estimator, or build an image in script mode, which runs your train.py: see "
            "examples/script_mode."
        )


def shown(values: Mapping[str, Value]) -> str:
    """
    Return the values in force as one line of the log.
    """
    pairs = (f"{printable(name)}={printable(str(value))}" for name, value in values.items())
    return f"hyperparameters: {', '.join(pairs) or 'none'}"


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1) if len(name) <= NAME_LIMIT else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"unknown hyperparameter {printable(name)!r}: {hint}Known are {', '.join(known) or 'none'}."
    )


def _typed(parameter: Hyperparameter, raw: Any) -> Value:
    text = _unwrapped(raw)
    value: Value
    try:
        if isinstance(parameter.default, bool):
            value = TRUTHS[text.lower()]
        elif not isinstance(parameter.default, str) and ("_" in text or not text.isascii()):
            raise ValueError  # "1_000" and digits of other alphabets, as in data
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
    try:
        text = raw if isinstance(raw, str) else json.dumps(raw)
    except RecursionError as error:
        raise HyperparameterError(
            f"a hyperparameter is nested too deeply; expected texts, as in {EXAMPLE}."
        ) from error
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
        f"hyperparameter {parameter.name} is {printable(text)!r}; expected {rule(parameter)}, "
        f"such as {parameter.default!r}."
    )


def markdown(table: Sequence[Hyperparameter]) -> str:
    """
    Render ``table`` for the documentation.
    """
    lines = ["| name | default | values | meaning |", "|---|---|---|---|"]
    lines += [f"| `{p.name}` | `{p.default}` | {rule(p)} | {p.help} |" for p in table]
    return "\n".join(lines) + "\n"
