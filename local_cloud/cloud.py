"""
What all parts of the cloud share.
"""

import os
import shutil
import uuid
from pathlib import Path

from local_cloud.backend import Backend
from local_cloud.clock import Clock
from local_cloud.engine import Engine
from local_cloud.faults import Faults
from local_cloud.journal import Journal
from local_cloud.logs import ContainerLog
from local_cloud.metrics import Metrics
from local_cloud.records import Records
from local_cloud.service_model import ServiceModel
from local_cloud.store import Store

ACCOUNT = "123456789012"  # moto's


class Cloud:
    """
    Records, clock, engine, and the clients of moto; ``folder`` is where models and jobs lie.
    """

    def __init__(self, folder: Path, region: str, factor: float, startup_s: float) -> None:
        self.folder = folder
        self.region = region
        self.account = ACCOUNT
        self.startup_s = startup_s
        self.identity = uuid.uuid4().hex[:12]
        self.clock = Clock(factor)
        self.engine = Engine(self.identity)
        # If this process is killed, cloud.sh removes its containers by it.
        (folder / "identity").write_text(self.identity, encoding="utf-8")
        self.faults = Faults()
        self.journal = Journal(folder / "journal.jsonl")
        self.model = ServiceModel()
        self.records = Records(region, ACCOUNT)

    def connect(self, url: str) -> None:
        """
        Know where the cloud itself answers.
        """
        self.backend = Backend(url, self.region)
        self.store = Store(self.backend)
        self.metrics = Metrics(self.backend, self.clock)

    def new_folder(self, name: str) -> Path:
        """
        Return a new empty folder that any account may write to, as containers do.
        """
        folder = self.folder / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return folder

    def discard(self, folder: Path, image: str) -> None:
        """
        Remove a folder in which a container of an image has written, perhaps as root.
        """
        self.take_over(folder, image)
        shutil.rmtree(folder, ignore_errors=True)

    def take_over(self, folder: Path, image: str) -> None:
        """
        Make this account the owner of what a container has written.
        """
        if os.getuid() != 0:
            self.engine.hand_back(image, folder, f"{os.getuid()}:{os.getgid()}")

    def log(self, container: str, group: str, stream: str) -> ContainerLog:
        """
        Send what a container prints to a log stream.
        """
        return ContainerLog(self.backend, self.engine, container, group, stream)
