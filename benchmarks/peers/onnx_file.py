"""
Writes an image model as ONNX, field by field, so that nothing has to be installed for it.

The numbers of the fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

FLOAT, UINT8 = 1, 2
INTS, INT = 7, 2  # kinds of attributes
CHANNELS = (3, 64, 128, 128)
CLASSES = 10


def _number(value: int) -> bytes:
    """
    Write a number seven bits at a time.
    """
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _number(rest) if rest else bytes([low])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    content = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(content)) + content


def _node(kind: str, inputs: tuple[str, ...], output: str, **attributes: int | list[int]) -> bytes:
    found = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            said = _field(3, value) + _field(20, INT)
        else:
            said = b"".join(_field(8, each) for each in value) + _field(20, INTS)
        found += _field(5, _field(1, name) + said)
    return _field(1, found)


def _array(name: str, values: np.ndarray) -> bytes:
    shape = b"".join(_field(1, size) for size in values.shape)
    content = values.astype("<f4").tobytes()
    return _field(5, shape + _field(2, FLOAT) + _field(8, name) + _field(9, content))


def _value(name: str, kind: int, shape: tuple[int | str, ...]) -> bytes:
    sizes = (_field(1 if isinstance(size, int) else 2, size) for size in shape)
    tensor = _field(1, kind) + _field(2, b"".join(_field(1, size) for size in sizes))
    return _field(1, name) + _field(2, _field(1, tensor))


def write(file: Path, pixels: int) -> None:
    """
    Write convolutions with random weights, an average and a linear layer: images of uint8, shape
    (rows, 3, pixels, pixels), in, probabilities of ten classes out.
    """
    rng = np.random.default_rng(3)
    nodes = [_node("Cast", ("image",), "x0", to=FLOAT)]
    arrays = []
    for layer, (before, after) in enumerate(pairwise(CHANNELS)):
        scale = np.sqrt(9 * before) * (1 if layer else 100)  # the first one meets bytes
        weights = rng.normal(size=(after, before, 3, 3)) / scale
        arrays.append(_array(f"w{layer}", weights))
        nodes += [
            _node("Conv", (f"x{layer}", f"w{layer}"), f"y{layer}", kernel_shape=[3, 3],
                  pads=[1, 1, 1, 1], strides=[1 + (layer > 0)] * 2),
            _node("Relu", (f"y{layer}",), f"x{layer + 1}"),
        ]  # fmt: skip
    last = len(CHANNELS) - 1
    arrays.append(_array("linear", rng.normal(size=(CHANNELS[-1], CLASSES))))
    nodes += [
        _node("GlobalAveragePool", (f"x{last}",), "average"),
        _node("Flatten", ("average",), "flat", axis=1),
        _node("MatMul", ("flat", "linear"), "scores"),
        _node("Softmax", ("scores",), "probabilities", axis=1),
    ]
    graph = b"".join(nodes) + _field(2, "image_model") + b"".join(arrays)
    graph += _field(11, _value("image", UINT8, ("rows", 3, pixels, pixels)))
    graph += _field(12, _value("probabilities", FLOAT, ("rows", CLASSES)))
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 17))
    file.write_bytes(model)
