"""Hyperparameters as SageMaker delivers them."""

import json

import pytest

from sagemaker_runtime.algorithm import Hyperparameter
from sagemaker_runtime.errors import HyperparameterError
from sagemaker_runtime.training import hyperparameters

TABLE = (
    Hyperparameter("rounds", 300, "Rounds.", minimum=1, maximum=1000),
    Hyperparameter("rate", 0.1, "Rate.", minimum=0.001),
    Hyperparameter("shuffle", True, "Shuffle."),
    Hyperparameter("kind", "tree", "Kind.", choices=("tree", "line")),
    Hyperparameter("note", "", "Anything."),
)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("rounds", "10", 10),
        ("rounds", '"10"', 10),
        ("rounds", '"\\"10\\""', 10),
        ("rounds", 10, 10),
        ("rounds", "10.0", 10),
        ("rate", "1e-2", 0.01),
        ("rate", '"0.5"', 0.5),
        ("shuffle", "False", False),
        ("shuffle", '"true"', True),
        ("shuffle", True, True),
        ("kind", '"line"', "line"),
        ("note", 'say "hi"', 'say "hi"'),
    ],
)
def test_strings_and_strings_within_strings_are_typed(name, raw, value):
    """A value counts the same however often an SDK has encoded it."""
    parsed = hyperparameters.parse({name: raw}, TABLE)[name]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("rounds", "many", ["rounds", "'many'", "whole number from 1 up to 1000", "300"]),
        ("rounds", "1.5", ["rounds", "'1.5'", "whole number"]),
        ("rounds", "0", ["rounds", "'0'", "from 1"]),
        ("rounds", "1001", ["rounds", "up to 1000"]),
        ("rate", "nan", ["rate", "'nan'", "a number"]),
        ("rate", "inf", ["rate", "'inf'", "a number"]),
        ("shuffle", "maybe", ["shuffle", "'maybe'", "true or false"]),
        ("kind", "forest", ["kind", "'forest'", "tree, line"]),
        ("round", "5", ["'round'", "did you mean 'rounds'"]),
        ("zzz", "5", ["'zzz'", "Known are rounds, rate"]),
    ],
)
def test_a_bad_name_or_value_is_refused_with_the_rule(name, raw, words):
    """The message states the value, the rule and an example or the nearest name."""
    with pytest.raises(HyperparameterError) as caught:
        hyperparameters.parse({name: raw}, TABLE)
    for word in words:
        assert word in str(caught.value)


def test_the_platforms_own_keys_pass():
    """Keys that tuning jobs and SDKs add are no unknown names."""
    given = {"_tuning_objective_metric": "validation:rmse", "sagemaker_program": "x.py"}
    assert hyperparameters.parse(given, TABLE)["rounds"] == 300


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_an_absent_or_empty_file_gives_the_defaults(tmp_path, text):
    """A job without hyperparameters trains with the defaults."""
    path = tmp_path / "hyperparameters.json"
    if text is not None:
        path.write_text(text)
    assert hyperparameters.read(path, TABLE) == {p.name: p.default for p in TABLE}


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_a_file_that_is_no_object_is_refused(tmp_path, text):
    """A damaged file is named instead of ignored."""
    path = tmp_path / "hyperparameters.json"
    path.write_text(text)
    with pytest.raises(HyperparameterError, match=r"hyperparameters\.json"):
        hyperparameters.read(path, TABLE)


def test_a_file_of_strings_is_read(tmp_path):
    """The file's strings arrive typed."""
    path = tmp_path / "hyperparameters.json"
    path.write_text(json.dumps({"rounds": "7", "kind": '"line"'}))
    values = hyperparameters.read(path, TABLE)
    assert (values["rounds"], values["kind"], values["rate"]) == (7, "line", 0.1)
