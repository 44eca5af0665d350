import json
import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_algorithm import FakeAlgorithm
from predictor import Predictor
from sagemaker_runtime.errors import AlgorithmError, ModelError
from sagemaker_runtime.formats.media_types import JSON

NOWHERE = Path("nowhere")


def answer(algorithm: FakeAlgorithm, rows: int = 1) -> tuple[int | None, Any]:
    """What a predictor answers to the example, so many rows of it."""
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
    """One finite number, text or row of either per row is a prediction, nothing else."""
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
