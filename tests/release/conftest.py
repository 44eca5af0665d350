"""
What both scans need: an advisory database of this machine.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response


@dataclass
class Advisories:
    """OSV's API; ``known`` maps a package's name to the id of its vulnerability."""

    known: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    url: str = ""

    def environment(self) -> dict[str, str]:
        """Return the variables that lead pip-audit here."""
        return {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": self.url}

    @Request.application
    def __call__(self, request: Request) -> Response:
        """Answer which vulnerabilities a version has."""
        name = json.loads(request.get_data())["package"]["name"]
        self.asked.add(name)
        if name not in self.known:
            return Response("{}")
        package = {"name": name, "ecosystem": "PyPI"}
        found = {"id": self.known[name], "summary": "bad", "affected": [{"package": package}]}
        return Response(json.dumps({"vulns": [found]}))


@pytest.fixture
def advisories() -> Iterator[Advisories]:
    """An advisory database that knows of nothing."""
    started = Advisories()
    server = make_server("127.0.0.1", 0, lambda *request: started(*request), threaded=True)
    started.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield started
    server.shutdown()
    server.server_close()
