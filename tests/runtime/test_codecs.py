import numpy as np
import pytest

from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES
from sagemaker_runtime.formats.rows import encode


@pytest.mark.parametrize(
    ("predictions", "in_csv", "in_json", "in_json_lines"),
    [
        ([8.5, 10.0], "8.5\n10.0\n", "[8.5,10.0]", ["8.5", "10.0"]),
        ([3, -1], "3\n-1\n", "[3,-1]", ["3", "-1"]),
        ([[0.1, 0.9], [1.0, 0.0]], "0.1,0.9\n1.0,0.0\n", "[[0.1,0.9],[1.0,0.0]]",
         ["[0.1,0.9]", "[1.0,0.0]"]),
        (["cat", 'a "b", c', "x\ny", ""], 'cat\n"a ""b"", c"\n"x\ny"\n""\n',
         r'["cat", "a \"b\", c", "x\ny", ""]', ['"cat"', r'"a \"b\", c"', r'"x\ny"', '""']),
        ([True, False], "true\nfalse\n", "[true,false]", ["true", "false"]),
        ([], "", "[]", []),
    ],
)  # fmt: skip
def test_predictions_are_written(
    predictions: list[object], in_csv: str, in_json: str, in_json_lines: list[str]
) -> None:
    """Each format has one entry per row, in order."""
    array = np.array(predictions)
    assert encode([array], CSV).decode() == in_csv
    assert encode([array], JSON).decode() == f'{{"predictions": {in_json}}}'
    lines = "".join(f'{{"prediction": {line}}}\n' for line in in_json_lines)
    assert encode([array], JSON_LINES).decode() == lines


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_read_back_as_they_were(dtype: str) -> None:
    """The digits written are enough for the same number, and 0.1 is written 0.1."""
    values = np.random.default_rng(0).normal(size=1000).astype(dtype)
    written = encode([values], CSV).decode().split()
    assert (np.array(written, dtype) == values).all()
    assert encode([np.array([0.1], dtype)], CSV) == b"0.1\n"
    assert encode([np.array([0.1], dtype)], JSON) == b'{"predictions": [0.1]}'
