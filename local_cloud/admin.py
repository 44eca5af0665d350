"""
The routes below /_local_cloud/: status, journal, faults, images, interruptions; not AWS's API.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

from local_cloud import images
from local_cloud.cloud import Cloud
from local_cloud.engine import EngineError
from local_cloud.errors import AwsError
from local_cloud.faults import Fault
from local_cloud.kinds import KINDS

log = logging.getLogger("local_cloud")


class Admin:
    """
    Answers what the script and tests ask about the cloud itself.
    """

    def __init__(self, cloud: Cloud, interrupt: Callable[[str], None]) -> None:
        self._cloud = cloud
        self._interrupt = interrupt
        self._routes: dict[tuple[str, str], Callable[[dict[str, Any]], object]] = {
            ("GET", "status"): self._status,
            ("GET", "journal"): self._journal,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "images"): self._push,
            ("POST", "interruptions"): self._take_away,
        }

    def __call__(self, request: Request) -> Response:
        """
        Answer a request in JSON.
        """
        place = request.path.removeprefix("/_local_cloud/")
        route = self._routes.get((request.method, place))
        if route is None:
            return _json({"message": f"there is no {request.method} {request.path}"}, 404)
        try:
            asked = json.loads(request.get_data() or b"{}")
            return _json(route(asked))
        except (ValueError, EngineError, AwsError, ClientError) as error:
            return _json({"message": str(error)}, 400)
        except (TypeError, KeyError) as error:
            return _json({"message": f"{place} cannot be asked so: {error!r}"}, 400)
        except Exception:
            log.exception("a defect of the local cloud in %s", request.path)
            said = f"a defect of the local cloud in {request.path}; its log has the traceback"
            return _json({"message": said}, 500)

    def _status(self, _: dict[str, Any]) -> object:
        resources = {
            noun: {
                record[kind.name]: record.get(kind.status, "")
                for record in self._cloud.records.all(noun)
            }
            for noun, kind in KINDS.items()
        }
        return {
            "region": self._cloud.region,
            "clock": self._cloud.clock.factor,
            "folder": str(self._cloud.folder),
            "resources": {noun: found for noun, found in resources.items() if found},
        }

    def _journal(self, _: dict[str, Any]) -> object:
        return [asdict(call) for call in self._cloud.journal.calls()]

    def _add_fault(self, asked: dict[str, Any]) -> object:
        fault = Fault(**asked)
        self._cloud.faults.add(fault)
        return asdict(fault)

    def _clear_faults(self, _: dict[str, Any]) -> object:
        self._cloud.faults.clear()
        return {}

    def _take_away(self, asked: dict[str, Any]) -> object:
        self._interrupt(asked["job"])
        return {}

    def _push(self, asked: dict[str, Any]) -> object:
        return {"uri": images.push(self._cloud, asked["image"], asked.get("name"))}


def _json(content: object, status: int = 200) -> Response:
    text = json.dumps(content, default=str)
    return Response(text, status, content_type="application/json")
