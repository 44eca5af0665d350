import json
import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_algorithm import FakeAlgorithm
from predictor import Predictor
from sagemaker_runtime.algorithm import Columns, Json, Rows, Text
from sagemaker_runtime.errors import (
    AlgorithmError,
    InvalidValue,
    Malformed,
    ModelError,
    RequestError,
)
from sagemaker_runtime.formats.media_types import JSON

NOWHERE = Path("nowhere")


def answer(algorithm: FakeAlgorithm, rows: int = 1) -> tuple[int | None, Any]:
    """What a predictor answers to the example, ``rows`` rows of it."""
    content_type, body = algorithm.input.example(rows)
    return Predictor(algorithm, NOWHERE).answer(BytesIO(body), content_type, "utf-8", JSON)


class Unloadable(FakeAlgorithm):
    def load(self, model_dir: Path) -> Any:
        raise ModelError("no model.onnx in nowhere;\n  it holds: nothing")


def test_a_model_that_answers_is_healthy() -> None:
    """The self-test predicts the schema's examples once, however often health is asked."""
    algorithm = FakeAlgorithm()
    predictor = Predictor(algorithm, NOWHERE)
    assert algorithm.calls == []  # not before the workers fork
    assert predictor.health() is None
    asked = len(algorithm.calls)
    assert predictor.health() is None
    assert len(algorithm.calls) == asked
    assert algorithm.calls[0]["pickup_latitude"].tolist() == [40.715937]
    assert 0 < predictor.seconds < 5


def test_a_model_that_cannot_be_loaded_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """The reason is one line, and is logged once, with its traceback."""
    predictor = Predictor(Unloadable(), NOWHERE)
    reason = (
        "the model could not be loaded: ModelError: no model.onnx in nowhere; it holds: nothing"
    )
    assert predictor.health() == reason
    assert predictor.health() == reason
    assert [record.getMessage() for record in caplog.records] == [reason]
    assert caplog.records[0].levelno == logging.ERROR
    assert caplog.records[0].exc_info


class Ending(FakeAlgorithm):
    def load(self, model_dir: Path) -> Any:
        raise SystemExit("no model")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _fail(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("algorithm", "reason"),
    [
        (Ending(), "the model could not be loaded: AlgorithmError: the algorithm raised SystemEx"),
        (FakeAlgorithm(lambda columns: _fail(SystemExit(3))),
         "the self-test failed: AlgorithmError: the algorithm raised SystemExit; expected an Exc"),
        (FakeAlgorithm(lambda columns: _fail(Mute())),
         "the self-test failed: Mute: (its message cannot be shown)"),
    ],
)  # fmt: skip
def test_whatever_an_algorithm_raises_is_a_reason(algorithm: FakeAlgorithm, reason: str) -> None:
    """What would end the process, or has no message, makes the model unhealthy like all else."""
    predictor = Predictor(algorithm, NOWHERE)
    assert (predictor.health() or "").startswith(reason)
    assert (predictor.health() or "").startswith(reason)


def test_a_model_that_fails_the_self_test_stays_unhealthy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What broke the self-test is the reason from then on, logged once."""
    predictor = Predictor(FakeAlgorithm(lambda columns: 1 / 0), NOWHERE)
    assert predictor.health() == "the self-test failed: ZeroDivisionError: division by zero"
    assert predictor.health() is not None
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        np.array([]),
        np.array([1.0, 2.0]),
        np.array(1.0),
        np.ones((1, 1, 1)),
        np.array([np.inf]),
        np.array([1 + 2j]),
    ],
)
def test_an_algorithm_must_keep_its_word(wrong: np.ndarray) -> None:
    """What is not one value per row, or not finite, is refused; test_rows has all that is."""
    with pytest.raises(AlgorithmError, match=r"predict returned .*; expected"):
        answer(FakeAlgorithm(lambda columns: wrong))


@pytest.mark.parametrize(
    "right",
    [
        [8.5],
        np.array([8.5], "float32"),
        np.array([[0.1, 0.9]]),
        np.array([3]),
        np.array([True]),
        np.array(["cat"]),
        np.array(["cat"], object),
    ],
)
def test_predictions_pass_unchanged(right: Any) -> None:
    """Numbers and text, one or several per row, come back as the algorithm returned them."""
    rows, body = answer(FakeAlgorithm(lambda columns: right))
    assert rows == 1
    assert json.loads(body) == {"predictions": np.asarray(right).tolist()}


def test_no_rows_do_not_reach_the_algorithm() -> None:
    """Zero rows give zero predictions: many libraries refuse to score nothing."""
    algorithm = FakeAlgorithm()
    assert answer(algorithm, rows=0) == (0, b'{"predictions": []}')
    assert algorithm.calls == []


def test_the_self_test_asks_with_one_row_and_with_two() -> None:
    """A prediction that happens to fit one row is found, and the message says what is allowed."""
    algorithm = FakeAlgorithm()
    assert Predictor(algorithm, NOWHERE).health() is None
    assert [len(columns["pickup_latitude"]) for columns in algorithm.calls] == [1, 1, 2]
    reason = Predictor(FakeAlgorithm(lambda columns: [7.5]), NOWHERE).health()
    assert reason is not None
    assert reason.startswith(
        "the self-test failed: AlgorithmError: predict returned a list of 1 for 2 rows; expected "
        "one prediction per row, in order: an array of shape (n,) or (n, k), a list of n values"
    )
    assert reason.endswith("or lists of these")


def test_the_self_test_asks_for_a_row_with_gaps() -> None:
    """A column is optional for a model that bears a missing value: one that does not is found."""

    def strict(columns: Columns) -> np.ndarray:
        if np.isnan(columns["passenger_count"]).any():
            raise ValueError("how many passengers?")
        return columns["passenger_count"]

    reason = Predictor(FakeAlgorithm(strict), NOWHERE).health()
    assert reason == "the self-test failed: ValueError: how many passengers?"


def test_the_self_test_of_what_has_no_rows() -> None:
    """Without rows, the example is asked for twice; the time is that of the second."""
    asked = []
    algorithm = FakeAlgorithm(lambda value: asked.append(value), Json(example={"a": 1}), Json())
    predictor = Predictor(algorithm, NOWHERE)
    assert predictor.health() is None
    assert asked == [{"a": 1}] * 2
    assert predictor.seconds > 0


def test_the_self_test_reads_a_stream_to_its_end() -> None:
    """What breaks a stream after its first piece is found before a caller finds it."""

    def pieces(text: str) -> Any:
        yield text
        raise ValueError("no more")

    predictor = Predictor(FakeAlgorithm(pieces, Text(example="x"), Text()), NOWHERE)
    assert predictor.health() == "the self-test failed: ValueError: no more"


def test_an_input_without_an_example_is_unhealthy() -> None:
    """The reason says what to add to INPUT."""
    reason = Predictor(FakeAlgorithm(lambda value: value, Json(), Json()), NOWHERE).health()
    assert reason is not None
    assert "INPUT = Json(...) has no example; add example=..." in reason


class Thirds:
    """A reader of six rows in three pieces, the second of them empty."""

    media_types = ("text/plain",)

    def read(self, body: Any, media_type: str, charset: str) -> Any:
        yield from ([1, 2, 3], [], [4, 5, 6])

    def count(self, piece: list[int]) -> int:
        return len(piece)

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        return "text/plain", b""


@pytest.mark.parametrize("error", [InvalidValue, Malformed])
def test_rows_of_errors_count_from_the_bodys_beginning(error: type[RequestError]) -> None:
    """The row that predict names is one of its piece; the caller hears that of the body."""

    def refuse(piece: list[int]) -> Any:
        if 5 in piece:
            raise error("too many", row=piece.index(5) + 1, column="n")
        return piece

    with pytest.raises(error) as info:
        answer(FakeAlgorithm(refuse, Thirds()))
    assert (info.value.row, info.value.column) == (5, "n")
    assert answer(FakeAlgorithm(lambda piece: piece, Thirds()))[0] == 6


def test_an_error_without_a_row_has_none() -> None:
    """Values that are wrong as a whole have no row."""

    def refuse(piece: list[int]) -> Any:
        raise InvalidValue("all wrong")

    with pytest.raises(InvalidValue) as info:
        answer(FakeAlgorithm(refuse, Thirds()))
    assert info.value.row is None


def test_a_writer_must_give_bytes_or_an_iterator() -> None:
    """What cannot be sent is an error of the algorithm, not of the server."""

    class Wrong(Rows):
        def write(self, predictions: Any, media_type: str) -> Any:
            return "text"

    with pytest.raises(AlgorithmError, match=r"OUTPUT.write returned a value of type str"):
        answer(FakeAlgorithm(output=Wrong()))
