"""
Requests of more rows, bad rows, and the count of what comes back, in each form that the kit knows.
"""

import json
from email.message import Message

import pytest
from conformance.client import Answer
from conformance.sample import OPAQUE, Sample, count_rows, described
from conformance.verdicts import Failed, NotTried

TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4]}


def answer(body: str, content_type: str) -> Answer:
    headers = Message()
    headers["Content-Type"] = content_type
    return Answer(200, headers, body.encode(), 0, 0)


@pytest.mark.parametrize(
    ("content_type", "body", "three"),
    [
        ("text/csv", "a,b\n1,2\n3,4\n", "a,b\n1,2\n3,4\n1,2\n"),
        ("text/csv; charset=utf-8", "1,2", "1,2\n1,2\n1,2\n"),
        ("application/jsonlines", '{"a": 1}\n', '{"a": 1}\n{"a": 1}\n{"a": 1}\n'),
        ("application/json", "[[1]]", "[[1], [1], [1]]"),
        ("application/json", '{"instances": [1, 2]}', '{"instances": [1, 2, 1]}'),
        (
            "application/json",
            '{"dataframe_split": {"columns": ["a"], "data": [[1]]}}',
            '{"dataframe_split": {"columns": ["a"], "data": [[1], [1], [1]]}}',
        ),
        (
            "application/json",
            json.dumps({"inputs": [TENSOR]}),
            json.dumps({"inputs": [TENSOR | {"shape": [3, 2], "data": [1, 2, 3, 4, 1, 2]}]}),
        ),
    ],
)
def test_rows_are_multiplied(content_type, body, three):
    """A sample makes a request of any number of rows, header and surroundings kept."""
    assert Sample(body.encode(), content_type).of(3).decode() == three


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", '{"text": "a"}'), ("image/png", "PNG"), ("application/json", "{")],
)
def test_an_opaque_sample_is_sent_as_it_is_only(content_type, body):
    """Where rows do not show, the checks that need them are not tried."""
    sample = Sample(body.encode(), content_type)
    assert sample.kind == OPAQUE
    with pytest.raises(NotTried, match="give one in CSV"):
        sample.of(2)


def test_a_request_of_some_bytes_is_never_larger():
    """It is as large as whole rows allow."""
    sample = Sample(b"1.5,22\n7,8\n", "text/csv")
    body, rows = sample.of_bytes(1000)
    assert 980 < len(body) <= 1000
    assert body.count(b"\n") == rows


def test_bad_rows_keep_the_number_of_rows():
    """One row of five is bad, in several ways."""
    bad = list(Sample(b"1,2\n", "text/csv").with_bad_rows())
    assert len(bad) == 3
    for one in bad:
        lines = one.body.splitlines()
        assert len(lines) == one.rows == 5
        assert [line for line in lines if line != b"1,2"] == [lines[2]]


@pytest.mark.parametrize(
    ("content_type", "body", "rows"),
    [
        ("text/csv; charset=utf-8", "1\n2\n", 2),
        ("application/x-ndjson", "{}\n", 1),
        ("application/json", "[1, 2, 3]", 3),
        ("application/json", '{"predictions": [1, 2], "model": "a"}', 2),
        ("application/json", json.dumps({"outputs": [TENSOR]}), 2),
        ("application/json", "7", 1),
    ],
)
def test_rows_of_an_answer_are_counted(content_type, body, rows):
    """Lines, elements of lists, and the first dimension of a tensor."""
    assert count_rows(answer(body, content_type)) == rows


def test_an_answer_that_tells_no_rows_is_not_judged():
    """Lists of several lengths leave open which of them holds the predictions."""
    with pytest.raises(NotTried, match="cannot be counted"):
        count_rows(answer('{"a": [1], "b": [1, 2]}', "application/json"))
    with pytest.raises(Failed, match="not JSON"):
        count_rows(answer("1,2", "application/json"))


def test_a_models_own_description_gives_a_sample(tmp_path):
    """The example of an OpenAPI description in the model's folder is sent when none was given."""
    assert described(tmp_path) is None
    content = {
        "application/json": {"examples": {"one": {"value": [[1]]}}},
        "text/csv": {"example": "1,2\n"},
    }
    operation = {"post": {"requestBody": {"content": content}}}
    text = json.dumps({"paths": {"/invocations": operation}})
    (tmp_path / "openapi.json").write_text(text)
    found = described(tmp_path)
    assert found
    assert (found.content_type, found.body) == ("text/csv", b"1,2\n")
