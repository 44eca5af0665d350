"""
Starts the server, asks it for the fares of payload.csv, prints them, stops it: the second half of
quickstart.sh.
"""

import csv
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVE = HERE.parent / "container/serve"
PAYLOAD = HERE / "payload.csv"

# Longitude and latitude of places that a reader knows, to name the nearest.
PLACES = {
    "Downtown": (-74.010, 40.710),
    "Village": (-74.000, 40.730),
    "Midtown": (-73.985, 40.755),
    "Upper East": (-73.960, 40.772),
    "Upper West": (-73.975, 40.785),
    "Harlem": (-73.945, 40.810),
    "Brooklyn": (-73.960, 40.680),
    "Queens": (-73.920, 40.750),
    "LaGuardia": (-73.872, 40.774),
    "JFK": (-73.782, 40.645),
    "Newark": (-74.177, 40.690),
}


def nearest(longitude: float, latitude: float) -> str:
    """
    Name the place closest to a point.
    """

    def distance(name: str) -> float:
        east, north = PLACES[name][0] - longitude, PLACES[name][1] - latitude
        return (east * 0.76) ** 2 + north**2  # a degree of longitude is shorter, by cos 40.75°

    return min(PLACES, key=distance)


def wait_for_ping(server: subprocess.Popen[bytes], port: int) -> None:
    """
    Return once /ping answers 200.

    Raises RuntimeError when the server ends first, or says why it is not healthy.
    """
    while server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ping")
            answer = connection.getresponse()
            if answer.status == 200:
                return
            raise RuntimeError(f"/ping answered {answer.status}: {answer.read().decode()}")
        except OSError:
            time.sleep(0.02)  # nothing listens yet
        finally:
            connection.close()
    raise RuntimeError(f"the server ended with exit code {server.returncode} before it answered")


def ask(port: int) -> list[float]:
    """
    Return the fares of the payload's trips in dollars.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/invocations", PAYLOAD.read_bytes(), {"Content-Type": "text/csv"})
    answer = connection.getresponse()
    body = answer.read().decode()
    if answer.status != 200:
        raise RuntimeError(f"/invocations answered {answer.status}: {body}")
    return [float(line) for line in body.split()]


def show(fares: list[float], metrics: dict[str, float]) -> None:
    """
    Print a row per trip and the model's error.
    """
    with PAYLOAD.open(newline="", encoding="utf-8") as file:
        trips = list(csv.DictReader(file))
    print(f"{'when':<16}  {'pickup':<10} → {'drop-off':<10} {'fare':>8}")
    for trip, fare in zip(trips, fares, strict=True):
        start, end = (
            nearest(float(trip[f"{side}_longitude"]), float(trip[f"{side}_latitude"]))
            for side in ("pickup", "dropoff")
        )
        print(f"{trip['pickup_datetime'][:16]:<16}  {start:<10} → {end:<10} {fare:>7.2f} $")
    print(
        f"\nOn trips it has not seen, the model is off by {metrics['validation:mae']:.2f} $ "
        f"on average (RMSE {metrics['validation:rmse']:.2f} $)."
    )


def main() -> None:
    """
    Serve the model below SAGEMAKER_BASE_DIR, ask, show, stop.
    """
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    environ = os.environ | {"SAGEMAKER_BIND_TO_PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, str(SERVE)]
        server = subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603
        try:
            wait_for_ping(server, port)
            fares = ask(port)
        except (OSError, RuntimeError, ValueError) as error:
            log.seek(0)
            sys.exit(f"{log.read().decode()}\n{error}; the server's log stands above")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        log.seek(0)
        for line in log.read().decode().splitlines():
            if "nginx is not" in line:
                print(json.loads(line)["message"])
    root = Path(os.environ["SAGEMAKER_BASE_DIR"])
    show(fares, json.loads((root / "output/data/metrics.json").read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
