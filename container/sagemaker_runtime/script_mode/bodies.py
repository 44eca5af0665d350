"""
Requests and answers of script mode: any media type, since the script's own functions read and
write them.
"""

import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sagemaker_runtime.algorithm import ANY
from sagemaker_runtime.errors import AlgorithmError, Malformed
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES
from sagemaker_runtime.formats.npy import NPY
from sagemaker_runtime.formats.plain import TEXT
from sagemaker_runtime.script_mode.defaults import NPZ

# The types whose bodies AWS's toolkit hands over as text.
TEXTS = (JSON, CSV)
SUFFIXES = {
    ".csv": CSV,
    ".json": JSON,
    ".jsonl": JSON_LINES,
    ".npy": NPY,
    ".npz": NPZ,
    ".txt": TEXT,
}
# The variable by which AWS's toolkit is told what to write where a request leaves the choice.
DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"


@dataclass(frozen=True)
class Body:
    """
    A request's body: text where its media type is JSON or CSV, otherwise bytes.
    """

    content: str | bytes
    media_type: str


class Typed(bytes):
    """
    An answer that names its media type itself, whatever was asked for.
    """

    media_type: str

    def __new__(cls, content: bytes, media_type: str) -> "Typed":
        """
        Return the content with its media type.
        """
        typed = super().__new__(cls, content)
        typed.media_type = media_type
        return typed


class AnyBody:
    """
    A Reader of every Content-Type.

    The self-test asks what a file called ``example`` beside ``inference.py`` holds, such as
    example.csv; ``folder`` is where that one was found.
    """

    media_types = (JSON, ANY)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, body: IO[bytes], media_type: str, charset: str) -> Iterator[Body]:
        """
        Yield the whole body; raises Malformed for text that is not in its charset.
        """
        content = body.read()
        if media_type not in TEXTS:
            yield Body(content, media_type)
            return
        try:
            text = content.decode(charset)
        except (UnicodeDecodeError, LookupError) as error:
            raise Malformed(
                f"the body is not {charset}: {error}; send UTF-8, or name the charset: "
                f"Content-Type: {media_type}; charset=iso-8859-1"
            ) from error
        yield Body(text, media_type)

    def count(self, piece: Body) -> None:
        """
        Return None: only the script knows of rows.
        """

    def example(self, rows: int = 1) -> tuple[str, bytes] | None:
        """
        Return the Content-Type and the content of the example file, None without one.
        """
        for path in sorted(self.folder.glob("example.*")):
            guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            return SUFFIXES.get(path.suffix.lower(), guessed), path.read_bytes()
        return None


class AnyAnswer:
    """
    A Writer of whatever the script's ``output_fn`` or ``transform_fn`` makes.
    """

    @property
    def media_types(self) -> tuple[str, str]:
        """
        The default that AWS's toolkit has, and any other.
        """
        return os.environ.get(DEFAULT_ACCEPT) or JSON, ANY

    def write(
        self, predictions: Sequence[tuple[Callable[[str], Any], int | None]], media_type: str
    ) -> Typed:
        """
        Return the answer that the script makes for the one piece of a body, under the media type
        that it names, if it does.

        Raises AlgorithmError when it returns neither text nor bytes.
        """
        ((answer, _),) = predictions
        content = answer(media_type)
        if isinstance(content, tuple) and len(content) == 2:
            content, media_type = content
        if isinstance(content, str):
            content = content.encode()
        if isinstance(content, bytes | bytearray | memoryview):
            return Typed(bytes(content), media_type)
        raise AlgorithmError(
            f"output_fn or transform_fn returned {type(content).__name__}; expected text or bytes, "
            'alone or with the media type: return json.dumps(result), "application/json"'
        )
