"""
The word that a model is less than was asked for, as the job was stopped before its end.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

METADATA = "metadata.json"


class Partial:
    """
    Called by the algorithm with what there is of the model, such as ``"37 of 150 rounds"``.
    """

    def __init__(self) -> None:
        self._what = ""

    def __call__(self, what: str) -> None:
        print(f"partial model: {what}")
        self._what = what

    def mark(self, model: Path, published: Path) -> None:
        """
        Put ``partial`` into the metadata.json of ``model``, made here if need be, unless the
        algorithm has written it there.

        What is ``published`` of an earlier training in the same tree, as on a laptop, and was
        marked by nothing but this, loses its mark.
        """
        path = model / METADATA
        if not path.exists():
            _forget(published / METADATA)
        if not self._what:
            return
        try:
            metadata = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if "partial" not in metadata:
                text = json.dumps({**metadata, "partial": self._what}, indent=2)
                path.write_text(text + "\n", encoding="utf-8")
        except (ValueError, TypeError, RecursionError) as error:
            print(f"{METADATA} does not say that the model is partial: {error}", file=sys.stderr)


def _forget(path: Path) -> None:
    with suppress(OSError, ValueError, AttributeError):
        if json.loads(path.read_text(encoding="utf-8")).keys() == {"partial"}:
            path.unlink()
