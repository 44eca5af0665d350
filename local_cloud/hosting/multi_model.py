"""
Multi-model endpoints: archives are fetched and loaded when somebody asks for them.
"""

import hashlib
import json
import threading
from urllib.parse import quote

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, Failed
from local_cloud.hosting.instance import Instance
from local_cloud.hosting.models import Servable

LOADED, ALREADY, FULL = 200, 409, 507
LOAD_S = 120.0


class MultiModel:
    """
    What each instance has loaded, the least recently used first.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._loaded: dict[str, list[str]] = {}

    def path(self, instance: Instance, servable: Servable, target: str) -> str:
        """
        Return where a model of an instance is asked, loaded if need be; raises AwsError.
        """
        if not target:
            raise AwsError("ValidationError", "TargetModel is required: the endpoint has many")
        name = hashlib.sha256(f"{servable.several}{target}".encode()).hexdigest()[:32]
        with self._lock:  # one after the other, as an instance loads them
            loaded = self._loaded.setdefault(instance.container, [])
            if name in loaded:
                loaded.remove(name)
            else:
                self._fetch(servable, target, name)
                self._load(instance, servable, name, loaded)
            loaded.append(name)
        return f"/models/{quote(name)}/invoke"

    def _fetch(self, servable: Servable, target: str, name: str) -> None:
        assert servable.folder  # noqa: S101 - a multi-model endpoint has one
        folder = servable.folder / name / "model"
        if folder.exists():
            return
        try:
            self._cloud.store.unpack(f"{servable.several.rstrip('/')}/{target.lstrip('/')}", folder)
        except Failed as error:
            raise AwsError("ValidationError", f"Failed to download model data: {error}") from None
        for path in (folder.parent, folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def _load(self, instance: Instance, servable: Servable, name: str, loaded: list[str]) -> None:
        body = json.dumps({"model_name": name, "url": f"{servable.inside}/{name}/model"}).encode()
        headers = {"Content-Type": "application/json"}
        while True:
            answer = instance.ask("/models", body, headers, LOAD_S)
            if answer.status in (LOADED, ALREADY):
                return
            if answer.status != FULL or not loaded:
                text = answer.body.decode("utf-8", "replace")[:500]
                raise AwsError(
                    "ModelError",
                    f"The model could not be loaded: {text}",
                    424,
                    OriginalStatusCode=answer.status,
                    OriginalMessage=text,
                )
            instance.ask(f"/models/{loaded.pop(0)}", method="DELETE", timeout=LOAD_S)
