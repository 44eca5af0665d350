"""ONNX models: opened with the threads of a worker, by onnxruntime."""

from pathlib import Path

import numpy as np
import pytest

from project import TOP
from sagemaker_runtime.engines.onnx import session
from sagemaker_runtime.errors import ModelError

FILE = TOP / "tests/examples/onnx/arrays.onnx"


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("3", 3)])
def test_a_session_has_the_threads_of_its_worker(
    given: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, or as many as serve gives the worker's libraries; none spins."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    options = session(FILE).get_session_options()
    assert options.intra_op_num_threads == threads
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_it_predicts_what_onnxruntime_does() -> None:
    """The options change no prediction."""
    import onnxruntime

    plain = onnxruntime.InferenceSession(FILE)
    [asked] = plain.get_inputs()
    rows = np.linspace(0, 80, 6, dtype="float32").reshape(-1, asked.shape[1])
    for ours, theirs in zip(
        session(FILE).run(None, {asked.name: rows}),
        plain.run(None, {asked.name: rows}),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    """The error says which file."""
    (tmp_path / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"onnxruntime cannot read model\.onnx"):
        session(tmp_path / "model.onnx")
