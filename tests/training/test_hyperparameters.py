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
        ("rounds", "many", ["rounds", "'many'", "whole number from 1 to 1000", "300"]),
        ("rounds", "1.5", ["rounds", "'1.5'", "whole number"]),
        ("rounds", "0", ["rounds", "'0'", "from 1"]),
        ("rounds", "1_0", ["rounds", "'1_0'", "whole number"]),
        ("rounds", "\u0663", ["rounds", "'\u0663'", "whole number"]),
        ("rate", "0.1_5", ["rate", "'0.1_5'", "a number"]),
        ("rounds", "1001", ["rounds", "from 1 to 1000"]),
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
    """Keys that tuning jobs and SDKs add do not count as unknown names."""
    given = {"_tuning_objective_metric": "validation:rmse", "sagemaker_program": "x.py"}
    assert hyperparameters.parse(given, TABLE)["rounds"] == 300


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_an_absent_or_empty_file_gives_the_defaults(tmp_path, text):
    """A job without hyperparameters trains with the defaults."""
    path = tmp_path / "hyperparameters.json"
    if text is not None:
        path.write_text(text)
    given = hyperparameters.read(path)
    assert hyperparameters.parse(given, TABLE) == {p.name: p.default for p in TABLE}


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 300_000])
def test_a_file_that_is_not_an_object_is_refused(tmp_path, text):
    """A damaged file is named instead of ignored."""
    path = tmp_path / "hyperparameters.json"
    path.write_text(text)
    with pytest.raises(HyperparameterError, match=r"hyperparameters\.json"):
        hyperparameters.read(path)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    """UTF-16, as an editor on Windows may save it, is named as not UTF-8."""
    path = tmp_path / "hyperparameters.json"
    path.write_text('{"rounds": "5"}', encoding="utf-16")
    with pytest.raises(HyperparameterError, match=r"hyperparameters\.json is not UTF-8"):
        hyperparameters.read(path)


def test_a_file_of_strings_is_read(tmp_path):
    """The file's strings arrive typed."""
    path = tmp_path / "hyperparameters.json"
    path.write_text(json.dumps({"rounds": "7", "kind": '"line"'}))
    values = hyperparameters.parse(hyperparameters.read(path), TABLE)
    assert (values["rounds"], values["kind"], values["rate"]) == (7, "line", 0.1)


def test_without_a_table_all_pass_as_text():
    """What is not declared is handed on, quotes of the SDKs taken off; the platform's is apart."""
    given = {"a": '"reg"', "b": 5, "c": "[1, 2]", "sagemaker_region": '"us-east-1"'}
    assert hyperparameters.parse(given, None) == {"a": "reg", "b": "5", "c": "[1, 2]"}
    assert hyperparameters.of_platform(given) == {"sagemaker_region": "us-east-1"}


def test_code_of_the_jobs_own_is_refused():
    """The message names what was given, and where such code is run."""
    platform = {"sagemaker_region": "us-east-1"}
    hyperparameters.refuse_entry_point(platform, "toy")
    for name in ("sagemaker_program", "sagemaker_submit_directory"):
        with pytest.raises(HyperparameterError) as caught:
            hyperparameters.refuse_entry_point(platform | {name: "x"}, "toy")
        for words in (f"{name}=x", "its algorithm toy", "entry_point", "examples/script_mode"):
            assert words in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"x" * 100_000_000: "1"},
        {"rounds": "9" * 100_000_000},
        {"note": "x" * 1_000_000, "rounds": "x" * 1_000_000},
    ],
    ids=["name", "number", "text"],
)
def test_long_names_and_values_end_in_short_messages(given):
    """Neither takes long nor fills the log."""
    with pytest.raises(HyperparameterError) as caught:
        hyperparameters.parse(given, TABLE)
    assert len(str(caught.value)) < 500


def test_the_log_shows_values_in_short():
    """One line, whatever the values hold."""
    line = hyperparameters.shown({"rounds": 7, "note": "x\n" * 1000})
    assert line.startswith("hyperparameters: rounds=7, note=x\\nx")
    assert line.isprintable()
    assert len(line) < 200
    assert hyperparameters.shown({}) == "hyperparameters: none"
