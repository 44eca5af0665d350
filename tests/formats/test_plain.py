import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sagemaker_runtime.algorithm import Bytes, Json, Text
from sagemaker_runtime.errors import AlgorithmError, Malformed, UnsupportedMediaType


def read(reader: Any, body: bytes, charset: str = "utf-8") -> Any:
    """What a reader makes of a body: one piece that has no rows."""
    [piece] = reader.read(BytesIO(body), reader.media_types[0], charset)
    assert reader.count(piece) is None
    return piece


def write(writer: Any, *values: Any) -> Any:
    """What a writer makes of the values that predict returned for the pieces of a body."""
    return writer.write([(value, None) for value in values], writer.media_types[0])


@pytest.mark.parametrize(
    "value", [{"inputs": "ž", "parameters": {"n": 3, "x": [1.5, None, True]}}, [], "text", 7, None]
)
def test_json_reads_and_writes_any_value(value: Any) -> None:
    """What is sent reaches predict as json.loads would read it, and the example is such a body."""
    reader = Json(example=value)
    assert reader.media_types == ("application/json",)
    assert read(reader, json.dumps(value).encode()) == value
    media_type, body = reader.example()
    assert media_type == "application/json"
    assert read(reader, body) == value
    assert json.loads(write(Json(), value)) == value


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-8", "utf-8-sig"), ("iso-8859-15", "iso8859-15"), ("utf-16", "utf-16"),
     ("utf-16le", "utf-16-le")],
)  # fmt: skip
def test_texts_are_read_in_their_charset(charset: str, encoding: str) -> None:
    """Json and Text honour the charset, and take off a byte order mark."""
    assert read(Text(), "žlu€".encode(encoding), charset) == "žlu€"
    assert read(Json(), '["žlu€"]'.encode(encoding), charset) == ["žlu€"]


@pytest.mark.parametrize("reader", [Text(), Json()])
def test_other_charsets_and_bytes_are_refused(reader: Any) -> None:
    """An unknown charset is 415, bytes that the charset does not have are 400."""
    with pytest.raises(UnsupportedMediaType, match=r"charset is 'klingon'; expected one of utf-8"):
        read(reader, b"{}", "klingon")
    with pytest.raises(Malformed, match=r"the body is not utf-8: .* .byte 0xff"):
        read(reader, b'"\xff"')


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", r"the body is empty; send JSON such as {\"a\":1}"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON: .*line 1 column"),
        (b"[NaN]", "the body is not JSON"),
        (b"[Infinity]", "the body is not JSON"),
        (b'{"a": 1} x', r"the body is not JSON: .*; send JSON such as {\"a\":1}"),
        pytest.param(b"[" * 300_000, "the body is not JSON", id="nested"),
    ],
)
def test_what_is_not_json_is_refused(body: bytes, message: str) -> None:
    """The message says where it breaks and shows the example."""
    with pytest.raises(Malformed, match=message):
        read(Json(example={"a": 1}), body)


def test_json_writes_arrays_and_no_infinity() -> None:
    """Arrays, scalars and Series of numpy and pandas are lists and numbers; NaN is null."""
    value = {
        "array": np.array([[1.5, np.nan]], "float32"),
        "view": np.arange(4)[::2],
        "scalar": np.float32(0.1),
        "series": pd.Series([1, 2]),
        3: (None, float("nan")),
    }
    assert json.loads(write(Json(), value)) == {
        "array": [[1.5, None]],
        "view": [0, 2],
        "scalar": 0.1,
        "series": [1, 2],
        "3": [None, None],
    }
    masked = np.ma.array([1.5, 2.5], mask=[False, True])
    assert json.loads(write(Json(), {"a": masked})) == {"a": [1.5, None]}
    for bad in (np.array([np.inf, "a"], "object"), pd.Series([np.inf, "a"])):
        with pytest.raises(AlgorithmError, match="predict returned infinity"):
            write(Json(), {"a": bad})
    for bad in (float("inf"), [np.float32("-inf")], {"a": [np.array([1, np.inf])]}, (np.inf,)):
        with pytest.raises(
            AlgorithmError, match="predict returned infinity, which JSON cannot hold"
        ):
            write(Json(), bad)
    for bad in ({1, 2}, [object()], b"bytes", {"a": 1j}):
        with pytest.raises(AlgorithmError, match=r"JSON cannot hold: .*; expected dicts, lists"):
            write(Json(), bad)


def test_json_of_a_tables_parts_is_one_list() -> None:
    """However large a table is, Json writes a list of what was predicted for its rows."""
    assert write(Json(), [1, 2], np.array([3, 4]), (5,)) == b"[1,2,3,4,5]"
    assert write(Json()) == b"[]"
    with pytest.raises(AlgorithmError, match=r"return a list with one value per row, or OUTPUT = "):
        write(Json(), {"a": 1}, {"a": 2})


def test_text_is_a_str_both_ways() -> None:
    """Predict is given and returns a str; the answer is UTF-8."""
    text = Text(example="How are you, Žofie?")
    assert text.media_types == ("text/plain",)
    assert text.example() == ("text/plain", "How are you, Žofie?".encode())
    assert read(text, b"") == ""
    assert write(text, "Žofie") == "Žofie".encode()
    assert write(text, b"as it is") == b"as it is"
    assert write(text, "a\n", "b\n") == b"a\nb\n"
    with pytest.raises(
        AlgorithmError,
        match=r"predict returned a value of type list for OUTPUT = Text\(.*\); expected a str or ",
    ):
        write(text, ["a"])


def test_bytes_are_bytes_both_ways() -> None:
    """Any number of media types is read; the bytes reach predict as they are."""
    image = Bytes("image/PNG", "image/jpeg", example=b"\x89PNG")
    assert image.media_types == ("image/png", "image/jpeg")
    assert image.example() == ("image/png", b"\x89PNG")
    assert read(image, b"\x00\xff") == b"\x00\xff"
    assert write(image, bytearray(b"\x00\xff")) == b"\x00\xff"
    with pytest.raises(Malformed, match="the body is empty; send image/png or image/jpeg"):
        read(image, b"")
    with pytest.raises(AlgorithmError, match=r"type str for OUTPUT = Bytes\(.*\); expected byt"):
        write(image, "text")
    with pytest.raises(AlgorithmError, match="several values"):
        write(image, b"a", b"b")
    with pytest.raises(
        AlgorithmError, match=r"Bytes names no media type; expected one, as in Bytes"
    ):
        Bytes(example=b"")


def test_an_example_file_stands_in_the_algorithms_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is resolved against the file that declares INPUT, wherever it is run."""
    package = tmp_path / "camera_of_a_test"
    package.mkdir()
    (package / "cat.png").write_bytes(b"a cat")
    (package / "__init__.py").write_text(
        "from pathlib import Path\n"
        "from sagemaker_runtime.algorithm import Bytes\n"
        "INPUT = Bytes('image/png', example='cat.png')\n"
        "PATH = Bytes('image/png', example=Path(__file__).parent / 'cat.png')\n"
        "ABSENT = Bytes('image/png', example='dog.png')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir("/")
    import camera_of_a_test  # type: ignore[import-not-found]

    assert camera_of_a_test.INPUT.example() == ("image/png", b"a cat")
    assert camera_of_a_test.PATH.example() == ("image/png", b"a cat")
    with pytest.raises(AlgorithmError, match=rf"'dog.png', but {package}/dog.png cannot be re"):
        camera_of_a_test.ABSENT.example()
    del sys.modules["camera_of_a_test"]


@pytest.mark.parametrize("reader", [Json(), Text(), Bytes("image/png")])
def test_an_input_without_an_example_says_so(reader: Any) -> None:
    """Only an INPUT needs an example; the self-test's message says what to add."""
    with pytest.raises(AlgorithmError, match=r"has no example; add example=\.\.\., a good request"):
        reader.example()


@pytest.mark.parametrize(
    ("writer", "pieces", "sent"),
    [
        (Text(), ["a", b"b", "ž"], [b"a", b"b", "ž".encode()]),
        (Json(), ["{}\n", b"[]\n"], [b"{}\n", b"[]\n"]),
        (Bytes("image/png"), [b"a", memoryview(b"b")], [b"a", b"b"]),
    ],
)
def test_an_iterator_is_a_stream(writer: Any, pieces: list[Any], sent: list[bytes]) -> None:
    """Each piece is handed on when it is asked for, not before; left early, it is closed."""
    made: list[Any] = []

    def generate() -> Iterator[Any]:
        try:
            for piece in pieces:
                made.append(piece)
                yield piece
        finally:
            made.append("closed")

    stream = write(writer, generate())
    assert made == []
    assert next(stream) == sent[0]
    assert made == pieces[:1]
    stream.close()
    assert made == [pieces[0], "closed"]
    assert list(write(writer, iter(pieces), iter(pieces))) == sent * 2


@pytest.mark.parametrize(
    ("writer", "values", "message"),
    [
        (Bytes("image/png"), [iter(["text"])], "expected bytes, or an iterator of bytes"),
        (Json(), [iter([{"a": 1}])], "type dict .*; expected pieces that are bytes or str; one v"),
        (Text(), [iter(["a"]), "b"], "an iterator for each part or for none"),
    ],
)
def test_other_pieces_are_refused(writer: Any, values: list[Any], message: str) -> None:
    """What a stream may hold is said when something else comes."""
    with pytest.raises(AlgorithmError, match=message):
        list(write(writer, *values))
