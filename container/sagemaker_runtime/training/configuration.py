"""
The platform's configuration files: small JSON objects, which people write by hand, too.
"""

import json
from pathlib import Path
from typing import Any

from sagemaker_runtime.errors import ConfigurationError, JobError
from sagemaker_runtime.training.failure import printable

# Bytes of a file. The platform's largest are a hundred hyperparameters of 256 and 2500 characters:
# 1.7 MB if each is written as an escape.
SIZE_LIMIT = 4_000_000


def read(
    path: Path, example: str, error_type: type[JobError] = ConfigurationError
) -> dict[str, Any]:
    """
    Return the object in a file; empty when the file is absent or empty.

    ``example`` is what a good file looks like. Raises ``error_type`` with the file's name and that
    example for anything else: other encodings, other JSON, nesting without end, more than
    SIZE_LIMIT bytes.
    """

    def refuse(found: str, remedy: str = "") -> JobError:
        return error_type(f"{path.name} {found}; expected an object such as {example}.{remedy}")

    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise refuse(f"cannot be read ({error.strerror})") from error
    if len(content) > SIZE_LIMIT:
        raise refuse(f"has more than {SIZE_LIMIT // 1_000_000} MB")
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text) if text.strip() else {}
    except UnicodeDecodeError as error:
        start = content[:4].hex(" ")
        raise refuse(f"is not UTF-8 text (it begins with {start})", " Save it as UTF-8.") from error
    except RecursionError as error:
        raise refuse("is nested too deeply") from error
    except ValueError as error:
        raise refuse(f"is not JSON ({printable(str(error), 200)})") from error
    if not isinstance(found, dict):
        raise refuse(f"holds {printable(text)}")
    return found
