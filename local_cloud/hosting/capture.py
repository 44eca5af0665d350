"""
Data capture: requests and answers, written to S3 in AWS's own form.
"""

import base64
import json
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from local_cloud.cloud import Cloud
from local_cloud.errors import Failed
from local_cloud.hosting.fleet import Turns

FLUSH_S = 60.0


@dataclass(frozen=True)
class Side:
    """
    A body with its media type.
    """

    content_type: str
    body: bytes


class Capture:
    """
    Collects events, and writes them as files of JSON Lines.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._events: dict[str, list[str]] = defaultdict(list)
        self._turns: dict[tuple[str, str], Turns] = {}

    def add(
        self,
        config: dict[str, Any] | None,
        place: tuple[str, str],
        given: Side,
        answered: Side,
        inference: str,
    ) -> None:
        """
        Note a request, if it is among those that the configuration wants.
        """
        if not config or not config.get("EnableCapture", True):
            return
        share = config["InitialSamplingPercentage"] / 100
        with self._lock:
            turns = self._turns.setdefault(place, Turns())
        if not turns.choose([(share, True), (1 - share, False)]):
            return
        now = self._cloud.clock.now()
        modes = {each["CaptureMode"] for each in config["CaptureOptions"]}
        data = {}
        if modes & {"Input", "InputAndOutput"}:
            data["endpointInput"] = _side(config, given, "INPUT")
        if modes & {"Output", "InputAndOutput"}:
            data["endpointOutput"] = _side(config, answered, "OUTPUT")
        about = {"eventId": str(uuid.uuid4()), "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        if inference:
            about["inferenceId"] = inference
        event = {"captureData": data, "eventMetadata": about, "eventVersion": "0"}
        folder = f"{config['DestinationS3Uri'].rstrip('/')}/{'/'.join(place)}/{now:%Y/%m/%d/%H}"
        with self._lock:
            self._events[folder].append(json.dumps(event))

    def write_forever(self) -> None:
        """
        Write a file a minute, as long as there is something to write.
        """
        while True:
            self._cloud.clock.pause(max(0.5, self._cloud.clock.real(FLUSH_S)))
            self.write()

    def write(self) -> None:
        """
        Write what there is.
        """
        with self._lock:
            events, self._events = self._events, defaultdict(list)
        for folder, lines in events.items():
            name = f"{self._cloud.clock.now():%M-%S-%f}-{uuid.uuid4()}.jsonl"
            try:
                self._cloud.store.write(f"{folder}/{name}", ("\n".join(lines) + "\n").encode())
            except Failed:
                continue  # the bucket has gone; AWS's capture stops as quietly


def _side(config: dict[str, Any], side: Side, mode: str) -> dict[str, str]:
    kinds = config.get("CaptureContentTypeHeader", {})
    plain = side.content_type.partition(";")[0].strip().lower()
    encoding, data = "BASE64", base64.b64encode(side.body).decode()
    for name, members in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if plain in (each.lower() for each in kinds.get(members, [])):
            encoding, data = name, side.body.decode("utf-8", "replace")
    return {
        "observedContentType": side.content_type,
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }
