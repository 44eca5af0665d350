"""
From the record of a model to what an instance needs: image, environment, folder.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from local_cloud.clock import Clock
from local_cloud.cloud import Cloud
from local_cloud.errors import Failed
from local_cloud.records import Record


@dataclass
class Servable:
    """
    A model that can be started; ``several`` is the prefix of a multi-model endpoint's archives.
    """

    image: str
    specified: str
    environment: dict[str, str]
    isolated: bool = False
    folder: Path | None = None
    several: str = ""
    inside: str = "/opt/ml/model"
    fetched: datetime = field(default_factory=Clock.now)


def definition(cloud: Cloud, model: Record) -> dict[str, Any]:
    """
    Return the container of a model, that of its model package if it names one.
    """
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    container: dict[str, Any] = dict(containers[0])
    if package := container.get("ModelPackageName"):
        specification = cloud.records.get("ModelPackage", package)["InferenceSpecification"]
        container = specification["Containers"][0] | container
    return container


def archive(container: dict[str, Any]) -> str:
    """
    Return where the model lies, or nothing.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(container.get("ModelDataUrl") or source.get("S3Uri") or "")


def fetch(cloud: Cloud, name: str) -> Servable:
    """
    Fetch what a model needs to be served; raises Failed.
    """
    model = cloud.records.find("Model", name)
    if model is None:
        raise Failed(f"Could not find model {name}")
    container = definition(cloud, model)
    uri = container["Image"]
    image = cloud.engine.image(uri)
    if image is None:
        raise Failed(f"The image {uri} is not here any more")
    environment = {"AWS_REGION": cloud.region, **container.get("Environment", {})}
    servable = Servable(image, uri, environment, bool(model.get("EnableNetworkIsolation")))
    if container.get("Mode") == "MultiModel":
        servable.several = archive(container)
        servable.folder = cloud.new_folder("models")
        servable.inside = "/opt/ml/models"
        environment["SAGEMAKER_MULTI_MODEL"] = "true"
        return servable
    if source := archive(container):
        servable.folder = cloud.new_folder("model")
        described = container.get("ModelDataSource", {}).get("S3DataSource", {})
        if described.get("CompressionType", "Gzip") == "None":
            cloud.store.download(source, servable.folder)
        else:
            cloud.store.unpack(source, servable.folder)
        # Archives may hold files that only their owner reads; the platform shows them to all.
        for path in servable.folder.rglob("*"):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    return servable
