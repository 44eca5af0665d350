"""
The registry of several models: small files that all workers see.
"""

import json
import os
from pathlib import Path
from urllib.parse import quote, unquote

from model import FAULT, Refused, answer, load


class Models:
    """
    What is loaded.
    """

    def __init__(self, folder):
        self._folder = Path(folder)
        self._own = set()

    def _path(self, name):
        return self._folder / quote(name, safe="")[:200]

    def load(self, name, url):
        """Load a model; raises Refused."""
        if self._path(name).exists() and FAULT != "no-409":
            raise Refused(409, "is loaded")
        try:
            load(url)
        except (OSError, ValueError) as error:
            if FAULT != "damaged-accepted":
                raise Refused(400, f"cannot be loaded: {error}") from None
        self._path(name).write_text(json.dumps({"modelName": name, "modelUrl": url}))
        self._own.add(name)
        return {}

    def get(self, name):
        """Return what is known of a loaded model; raises Refused."""
        try:
            found = json.loads(self._path(name).read_text())
        except OSError:
            raise Refused(400 if FAULT == "unknown-400" else 404, f"{name} is not loaded") from None
        return found

    def list(self):
        names = sorted(unquote(path.name) for path in self._folder.iterdir())
        if FAULT == "own-registry":
            names = sorted(self._own)
        return {"models": [self.get(name) for name in names]}

    def unload(self, name):
        self.get(name)
        if FAULT != "kept":
            self._path(name).unlink()
        return {}

    def invoke(self, name, body, content_type, accept):
        if FAULT == "own-models" and name not in self._own:
            raise Refused(404, "is not loaded in this worker")
        return answer(load(self.get(name)["modelUrl"]), body, content_type, accept)


def folder():
    made = f"/tmp/models-{os.getpid()}"
    os.mkdir(made)
    return made
