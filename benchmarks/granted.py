"""
Measures the start, the answers and the memory of an image where little is granted: as a serverless
endpoint of 1 GB, and as an inference component with a quarter of a processor and 128 MB.

    .venv/bin/python benchmarks/granted.py taxi-fare local_test/test_dir/model ONE_ROW.csv
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from in_container import PORT, docker

STARTS = 3
REQUESTS = 300
PATIENCE_S = 180  # of a serverless endpoint's platform

GRANTED = {
    "serverless: 1 processor, 1 GB, only /tmp": (
        *("--cpus=1", "--memory=1g", "--memory-swap=1g", "--env=MODEL_SERVER_MODE=serverless"),
        *("--read-only", "--tmpfs=/tmp", "--tmpfs=/dev/shm:ro,size=4k"),
    ),
    "inference component: 0.25 processors, 128 MB": (
        *("--cpus=0.25", "--memory=128m", "--memory-swap=128m"),
    ),
}


def measure(image: str, model: Path, body: bytes, options: Sequence[str]) -> dict[str, float]:
    """
    Start a container and return the seconds to the first good ping and prediction, the median
    milliseconds of an answer, and the memory in MB after these.
    """
    mount = f"--volume={model.resolve()}:/opt/ml/model:ro"
    began = time.monotonic()
    name = docker("run", "--detach", mount, *options, image, "serve")
    try:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        host = docker("inspect", "--format", form, name)
        while _ask(host, "GET", "/ping") != 200:
            if time.monotonic() > began + PATIENCE_S:
                raise SystemExit(f"no good ping within {PATIENCE_S} s: {docker('logs', name)}")
            time.sleep(0.02)
        figures = {"ping_s": time.monotonic() - began}
        times = []
        for _ in range(REQUESTS):
            asked = time.monotonic()
            if (status := _ask(host, "POST", "/invocations", body)) != 200:
                raise SystemExit(f"a request was answered {status}")
            times.append(time.monotonic() - asked)
            figures.setdefault("prediction_s", time.monotonic() - began)
        used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", name)
        figures["memory_mb"] = float(used.partition("MiB")[0]) * 1.048576
        figures["answer_ms"] = statistics.median(times) * 1000
        return figures
    finally:
        docker("rm", "--force", "--volumes", name)


def _ask(host: str, method: str, path: str, body: bytes | None = None) -> int:
    """
    Return the status of an answer, 0 when there is none.
    """
    connection = HTTPConnection(host, PORT, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "text/csv"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def main(image: str, model: str, sample: str) -> None:
    """
    Print the medians of each kind of container.
    """
    body = Path(sample).read_bytes()
    for kind, options in GRANTED.items():
        runs = [measure(image, Path(model), body, options) for _ in range(STARTS)]
        medians = {key: round(statistics.median(each[key] for each in runs), 2) for key in runs[0]}
        print(f"{kind}: {json.dumps(medians)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
