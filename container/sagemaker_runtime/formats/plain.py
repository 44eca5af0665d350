"""
Requests and answers that are not tables: JSON of any shape, text, bytes (see npy.py for arrays).

Each of these classes is a Reader and a Writer. As INPUT, it hands ``predict`` the whole body at
once and needs an ``example``, which the self-test sends. As OUTPUT, it writes the one thing that
``predict`` returns; where that is an iterator of bytes, Json, Text and Bytes send its pieces as
they come.
"""

import inspect
from collections.abc import Iterator, Sequence
from itertools import chain
from math import isinf
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from sagemaker_runtime.errors import AlgorithmError, Malformed
from sagemaker_runtime.formats.media_types import (
    CHARSETS,
    JSON,
    MARKS,
    check_charset,
    not_in_charset,
)

TEXT = "text/plain"

Predictions = Sequence[tuple[Any, int | None]]

NO_EXAMPLE: Any = object()


class Whole:
    """
    What these readers have in common: one piece, not made of rows.
    """

    media_types: tuple[str, ...]

    def __init__(self, example: Any = NO_EXAMPLE) -> None:
        self._example = example

    def count(self, piece: Any) -> None:
        """
        Return None: what is read has no rows.
        """
        return None

    def given_example(self) -> Any:
        """
        Return the example; raises AlgorithmError when there is none.
        """
        if self._example is NO_EXAMPLE:
            raise AlgorithmError(
                f"INPUT = {type(self).__name__}(...) has no example; add example=..., a good "
                "request, which the self-test of /ping sends"
            )
        return self._example


class Json(Whole):
    """
    Any JSON: ``predict`` is given, and returns, what ``json.loads`` would make of it.

    ``Json(example={"inputs": "How are you?"})``; the example is that value, not its text. Answers
    may hold arrays of numpy; NaN is null, infinity is refused.
    """

    media_types = (JSON,)

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[Any]:
        """
        Yield the value; raises Malformed for what is not JSON.
        """
        text = decoded(body.read(), media_type, charset)
        example = (
            "" if self._example is NO_EXAMPLE else f" such as {_json(self._example).decode()[:200]}"
        )
        if not text.strip():
            raise Malformed(f"the body is empty; send JSON{example}")
        try:
            yield orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"the body is not JSON: {error}; send JSON{example}") from None

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        """
        Return the media type and the example as JSON.
        """
        return JSON, _json(self.given_example())

    def write(self, predictions: Predictions, media_type: str) -> bytes | Iterator[bytes]:
        """
        Write a value as JSON, or send the pieces of an iterator of bytes or text.

        A table that is read in several parts makes one list of the parts' lists. Raises
        AlgorithmError for what JSON does not have.
        """
        values = [value for value, _ in predictions]
        if _is_stream(values):
            return _pieces(values, "Json")
        if len(values) == 1:
            return _json(values[0])
        if not all(isinstance(value, list | tuple | np.ndarray) for value in values):
            raise _several("Json", "a list with one value per row, or OUTPUT = Rows()")
        return _json(list(chain.from_iterable(values)))


class Text(Whole):
    """
    A text: ``predict`` is given, and returns, a str. ``Text(example="How are you?")``.
    """

    media_types = (TEXT,)

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[str]:
        """
        Yield the text; raises Malformed for bytes that its charset does not have.
        """
        yield decoded(body.read(), media_type, charset)

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        """
        Return the media type and the example in UTF-8.
        """
        return TEXT, str(self.given_example()).encode()

    def write(self, predictions: Predictions, media_type: str) -> bytes | Iterator[bytes]:
        """
        Write a text in UTF-8, or send the pieces of an iterator of text or bytes.
        """
        values = [value for value, _ in predictions]
        if _is_stream(values):
            return _pieces(values, "Text")
        return b"".join(_bytes(value, "Text") for value in values)


class Bytes(Whole):
    """
    Bytes of the media types named: ``predict`` is given, and returns, bytes.

    ``Bytes("image/png", "image/jpeg", example="cat.png")``; the example is of the first type: bytes
    or a path, relative to the folder of the file that makes this object.
    """

    def __init__(self, *media_types: str, example: bytes | str | Path = NO_EXAMPLE) -> None:
        if not media_types:
            raise AlgorithmError(
                'Bytes names no media type; expected one, as in Bytes("image/png")'
            )
        super().__init__(example)
        self.media_types = tuple(media_type.lower() for media_type in media_types)
        self._folder = _folder_of_caller()

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[bytes]:
        """
        Yield the body; raises Malformed when there is none.
        """
        content = body.read()
        if not content:
            raise Malformed(f"the body is empty; send {' or '.join(self.media_types)}")
        yield content

    def example(self, rows: int = 1) -> tuple[str, bytes]:
        """
        Return the first media type and the example's bytes.
        """
        example = self.given_example()
        if isinstance(example, bytes):
            return self.media_types[0], example
        path = self._folder / example
        try:
            return self.media_types[0], path.read_bytes()
        except OSError as error:
            raise AlgorithmError(
                f"the example of INPUT = Bytes(...) is {str(example)!r}, but {path} cannot be read "
                f"({error.strerror}); put the file there or give the bytes themselves"
            ) from None

    def write(self, predictions: Predictions, media_type: str) -> bytes | Iterator[bytes]:
        """
        Return the bytes, or send the pieces of an iterator of bytes.
        """
        values = [value for value, _ in predictions]
        if _is_stream(values):
            return _pieces(values, "Bytes")
        if len(values) != 1:
            raise _several("Bytes", "an iterator of bytes for each")
        return _bytes(values[0], "Bytes")


def decoded(body: bytes, media_type: str, charset: str) -> str:
    """
    Return a whole body as text; raises UnsupportedMediaType, or Malformed for other bytes.
    """
    check_charset(media_type, charset)
    encoding = CHARSETS[charset]
    try:
        return body.removeprefix(MARKS.get(encoding, b"")).decode(encoding)
    except UnicodeDecodeError as error:
        raise not_in_charset(error, media_type, charset) from None


def _folder_of_caller() -> Path:
    """
    Return the folder of the module that makes an object of this one.
    """
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    file = frame and frame.f_globals.get("__file__")
    return Path(file).resolve().parent if file else Path.cwd()


def _is_stream(values: Sequence[Any]) -> bool:
    return any(isinstance(value, Iterator) for value in values)


def _pieces(values: Sequence[Any], kind: str) -> Iterator[bytes]:
    """
    Yield the pieces of all iterators, and close the one that is left early.
    """
    for value in values:
        if not isinstance(value, Iterator):
            raise _several(kind, "an iterator for each part or for none")
        try:
            for piece in value:
                yield _bytes(piece, kind)
        finally:
            if close := getattr(value, "close", None):
                close()


def _bytes(value: Any, kind: str) -> bytes:
    if isinstance(value, str) and kind != "Bytes":
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    wanted = "bytes" if kind == "Bytes" else "a str or bytes"
    if kind == "Json":
        wanted = "pieces that are bytes or str; one value is returned as it is, not by an iterator"
    raise AlgorithmError(
        f"predict returned a value of type {type(value).__name__} for OUTPUT = {kind}(...); "
        f"expected {wanted}" + ("" if kind == "Json" else f", or an iterator of {wanted}")
    )


def _several(kind: str, remedy: str) -> AlgorithmError:
    return AlgorithmError(
        f"predict returned several values, one for each part of a large body or none for an empty "
        f"one, which OUTPUT = {kind}(...) cannot put together; return {remedy}"
    )


def _json(value: Any) -> bytes:
    try:
        content = orjson.dumps(
            value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS, default=_default
        )
    except orjson.JSONEncodeError as error:
        raise AlgorithmError(
            f"predict returned what JSON cannot hold: {error}; expected dicts, lists, texts, "
            "numbers, booleans, None and arrays of numpy"
        ) from None
    # orjson writes null for infinity too.
    if b"null" in content and _holds_infinity(value):
        raise AlgorithmError(
            "predict returned infinity, which JSON cannot hold; expected finite numbers, or NaN "
            "or None where there is no number"
        )
    return content


def _default(value: Any) -> Any:
    """
    Return what orjson does not know as what it does: a view, a Series, a tensor.
    """
    if isinstance(value, np.ma.MaskedArray):
        return value.tolist()  # None where asarray would show what is masked
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    raise TypeError(f"a value of type {type(value).__name__}")


def _holds_infinity(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return isinf(value)
    if isinstance(value, dict):
        return any(map(_holds_infinity, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_infinity, value))
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind == "O":
            return _holds_infinity(array.tolist())
        return bool(np.isinf(array).any()) if array.dtype.kind == "f" else False
    return False
