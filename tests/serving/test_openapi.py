"""
The OpenAPI description: what it says of each kind of input and output, and that it is true.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import jsonschema
import pytest

from described import hold
from fake_algorithm import FakeAlgorithm
from guests import start
from project import assemble
from rides import INPUT
from sagemaker_runtime import openapi
from sagemaker_runtime.algorithm import Bytes, Json, Npy, Reader, Rows, Text, Writer
from sagemaker_runtime.script_mode import ScriptMode
from served import start_serve

HEAD = "from sagemaker_runtime.algorithm import Column, Json, Rows, Table, Text\n"
BODY = "\nHYPERPARAMETERS = ()\ndef train(job): ...\ndef load(model_dir): ...\n"
ALGORITHMS = {
    "table": """
INPUT = Table(
    Column("when", "timestamp", "2014-02-25 12:17:00"),
    Column("size", "number", "3.5", optional=True, omittable=True),
    Column("new", "boolean", "true", optional=True),
    Column("town", "text", "Oslo"),
    Column("series", "numbers", "[1, 2]", optional=True),
    label=Column("price", "number", "9.5"),
)
OUTPUT = Rows("town", "rows")
def predict(model, columns): return [{"town": town, "rows": 1} for town in columns["town"]]
""",
    "json": """
INPUT = OUTPUT = Json(example={"inputs": ["How are you?"]})
def predict(model, question): return {"outputs": question}
""",
    "text": """
INPUT = OUTPUT = Text(example="How are you?")
def predict(model, question): return question.upper()
""",
}


def describe(input: Reader = INPUT, output: Writer | None = None) -> Any:
    return openapi.describe(FakeAlgorithm(input=input, output=output))


def contents(document: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return what a document says of the questions and answers of /invocations.
    """
    about = document["paths"]["/invocations"]["post"]
    return about["requestBody"]["content"], about["responses"]["200"]["content"]


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("kind", ALGORITHMS)
def test_the_server_does_what_the_description_says(kind: str, tmp_path: Path) -> None:
    """Whatever Schemathesis sends is answered as declared, and never with a server's error."""
    program = assemble(tmp_path / "program", HEAD + ALGORITHMS[kind] + BODY)
    command = [sys.executable, str(program / "serve"), "--openapi"]
    document = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    (tmp_path / "model").mkdir()
    with start_serve(
        program, tmp_path / "model", workers=1, allowed=['"level": "warning"']
    ) as serve:
        serve.wait_for_ping()
        assert 200 in hold(document, serve.port)


@pytest.mark.needs("nginx")
def test_a_multi_model_endpoint_does_what_its_description_says(tmp_path: Path) -> None:
    """
    1. schemathesis lists, loads, asks, describes and unloads one model 2. the same with any names
    Result: each answer is declared; the description has no /invocations, which names no model.
    """
    program = assemble(tmp_path / "program", HEAD + ALGORITHMS["text"] + BODY)
    (tmp_path / "model").mkdir()
    command = [sys.executable, str(program / "serve"), "--openapi"]
    several = os.environ | {"SAGEMAKER_MULTI_MODEL": "true"}
    shown = subprocess.run(command, env=several, capture_output=True, check=True).stdout
    assert "/invocations" not in json.loads(shown)["paths"]
    one = json.loads(shown)
    wanted = one["paths"]["/models"]["post"]["requestBody"]["content"]["application/json"]
    wanted["schema"]["properties"] = {
        "model_name": {"enum": ["one"]},
        "url": {"enum": [str(tmp_path / "model")]},
    }
    for path in ("/models/{model_name}", "/models/{model_name}/invoke"):
        one["paths"][path]["parameters"][0]["schema"] = {"enum": ["one"]}
    allowed = ['"level": "warning"']
    with start(program, tmp_path / "model", allowed=allowed) as serve:
        serve.wait_for_ping()
        assert {200, 400, 409} <= hold(one, serve.port, requests=10)
        assert {200, 400, 404} <= hold(json.loads(shown), serve.port, requests=10)


RECORD = {"pickup_datetime": "2014-02-25 12:17:00", "pickup_latitude": 40.7}


@pytest.mark.parametrize(
    ("body", "is_right"),
    [
        (RECORD, True),
        ([RECORD, RECORD], True),
        ({"instances": [RECORD]}, True),
        ([["2014-02-25", 1, 2, 3, 4, None]], True),
        ([["key", 9.5, "2014-02-25", 1, 2, 3, 4, None]], True),
        ({"features": 1}, False),
        ({"instances": [{"features": ["2014-02-25", 1, 2, 3, 4, None]}]}, True),
        ({"pickup_datetime": ["2014-02-25"], "pickup_latitude": [40.7]}, True),
        ({"columns": ["pickup_datetime"], "data": [["2014-02-25"]]}, True),
        ([["2014-02-25"]], False),
        ({"pickup_latitude": 40.7}, False),
        ({**RECORD, "pickup_latitude": [40.7]}, False),
        ("2014-02-25", False),
    ],
)
def test_a_table_is_described_in_all_its_forms(body: object, is_right: bool) -> None:
    """The schema takes the forms of JSON that are read, and nothing in which a column is absent."""
    document = describe()
    question, _ = contents(document)
    schema = {**question["application/json"]["schema"], "components": document["components"]}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is is_right
    assert question["text/csv"]["example"].startswith("pickup_datetime,")


def test_predictions_are_described_by_their_names() -> None:
    """Rows says under which names the values of a prediction are found."""
    _, answer = contents(describe(output=Rows("label", "probability")))
    items = answer["application/json"]["schema"]["properties"]["predictions"]["items"]
    assert items["required"] == ["label", "probability"]
    assert answer["text/csv"] == {"schema": {"type": "string"}}


class Foreign:
    """Reader and Writer of somebody's own, which know nothing of the description."""

    media_types = ("text/x-own", "image/x-own", "application/x-own+json")

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[bytes]:
        yield body.read()

    def count(self, piece: bytes) -> None:
        return None

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        return "text/x-own", b"hello"

    def write(self, predictions: Any, media_type: str) -> bytes:
        return b""


BINARY = {"schema": {"type": "string", "format": "binary"}}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Json(example={"a": 1}), {"application/json": {"schema": {}, "example": {"a": 1}}}),
        (lambda: Text(example="a"), {"text/plain": {"schema": {"type": "string"}, "example": "a"}}),
        (lambda: Bytes("image/png", example=b"\x89"), {"image/png": BINARY}),
        (lambda: Npy(example=[[1.0]]), {"application/x-npy": BINARY}),
        (
            Foreign,
            {
                "text/x-own": {"schema": {"type": "string"}, "example": "hello"},
                "image/x-own": BINARY,
                "application/x-own+json": {"schema": {}},
            },
        ),
        (
            lambda: ScriptMode(Path("nowhere")).input,
            {"application/json": {"schema": {}}, "*/*": BINARY},
        ),
    ],
)
def test_other_bodies_are_described_by_their_media_type(
    make: Callable[[], Reader], expected: object
) -> None:
    """JSON is any JSON, text a string and all else bytes, with the self-test's example."""
    assert contents(describe(make()))[0] == expected


def test_a_package_that_cannot_be_imported_is_said(tmp_path: Path) -> None:
    """``serve --openapi`` ends with the reason, as ``train`` would."""
    program = assemble(tmp_path / "program", "INPUT = None")
    command = [sys.executable, str(program / "serve"), "--openapi"]
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 4
    assert "lacks HYPERPARAMETERS" in done.stderr
